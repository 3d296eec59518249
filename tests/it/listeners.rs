//! Where it listens.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::{fs, io};

use prometheus_hyper::Server;
use prometheus_hyper::prometheus::Registry;

use crate::support::client::{get, get_unix, wait_for};
use crate::support::{Scratch, run_alone};

#[test]
fn server_listens_on_all_listeners() {
    let folder = Scratch::new("all");
    let (ours, theirs) = (folder.0.join("ours"), folder.0.join("theirs"));
    let existing = TcpListener::bind("127.0.0.1:0").unwrap();
    let existing_addr = existing.local_addr().unwrap();
    let guard = Server::builder()
        .registry(&Registry::new())
        .listen_unix(&ours)
        .listen("127.0.0.1:0")
        .tcp_listener(existing)
        .listen("[::1]:0")
        .unix_listener(UnixListener::bind(&theirs).unwrap())
        .bind()
        .unwrap()
        .start()
        .unwrap();
    let addrs: Vec<SocketAddr> = guard.local_addrs().to_vec();
    assert_eq!(addrs.len(), 3);
    assert_eq!(addrs[1], existing_addr);
    assert_eq!(guard.local_addr(), Some(addrs[0]));
    for addr in &addrs {
        assert_eq!(get(*addr, "/metrics").status, 200, "{addr}");
    }
    for path in [&ours, &theirs] {
        let answer = get_unix(path);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("prometheus_exporter_"), "{path:?}");
    }
    let [one, two, three] = addrs[..] else { unreachable!() };
    let (ours_shown, theirs_shown) = (ours.display(), theirs.display());
    let shown = format!(
        "http://unix:{ours_shown}:/metrics, http://{one}/metrics, http://{two}/metrics, http://{three}/metrics, \
         http://unix:{theirs_shown}:/metrics"
    );
    assert_eq!(guard.to_string(), shown);

    guard.shutdown_blocking();
    assert!(!ours.exists(), "removed at the stop");
    assert!(theirs.exists(), "its owner's");
}

#[test]
fn a_dual_stack_is_as_the_system_has_it() {
    let guard =
        Server::builder().registry(&Registry::new()).listen("[::]:0").bind().unwrap().start().unwrap();
    let port = guard.local_addr().unwrap().port();
    assert_eq!(get(([0, 0, 0, 0, 0, 0, 0, 1], port).into(), "/-/healthy").status, 200);
    if fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0") {
        assert_eq!(get(([127, 0, 0, 1], port).into(), "/-/healthy").status, 200);
    }
}

#[test]
fn a_unix_socket_has_the_mode_that_it_was_given() {
    let folder = Scratch::new("mode");
    let path = folder.0.join("s");
    let bind = || Server::builder().registry(&Registry::new()).listen_unix(&path);
    let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
    let server = bind().bind().unwrap();
    assert_eq!(mode(), prometheus_hyper::Builder::DEFAULT_UNIX_SOCKET_MODE);
    // Somebody is there.
    assert_eq!(bind().bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(server);
    assert!(!path.exists(), "a server that never served removes it, too");
    let server = bind().unix_socket_mode(0o600).bind().unwrap();
    assert_eq!(mode(), 0o600);
    drop(server);

    let error = bind().unix_socket_mode(0o10_660).bind().unwrap_err();
    assert!(error.to_string().starts_with("unix_socket_mode"), "{error}");
}

#[test]
fn failed_bind_removes_the_unix_socket() {
    let folder = Scratch::new("later");
    let path = folder.0.join("s");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = Server::builder().registry(&Registry::new()).listen_unix(&path);
    let error = builder.listen(taken.local_addr().unwrap()).bind().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(!path.exists());
}

#[test]
fn a_killed_server_does_not_keep_the_next_one_out() {
    let folder = Scratch::new("killed");
    let path = folder.0.join("s");
    // As a kill leaves it: std removes no file. Another test's child may have a copy of the socket until it execs.
    drop(UnixListener::bind(&path).unwrap());
    wait_for("nobody there", || UnixStream::connect(&path).is_err());
    let guard =
        Server::builder().registry(&Registry::new()).listen_unix(&path).bind().unwrap().start().unwrap();
    assert!(get_unix(&path).starts_with("HTTP/1.1 200 "));
    drop(guard);
    wait_for("the end of the file", || !path.exists());
}

#[test]
fn relative_socket_path_is_removed_after_change_of_directory() {
    let folder = Scratch::new("chdir");
    run_alone("listeners::child_that_moves", folder.0.to_str().unwrap(), &[]);
}

/// The directory is the whole process's.
#[test]
#[ignore = "run by another test"]
fn child_that_moves() {
    let Ok(folder) = std::env::var("PROMETHEUS_HYPER_TEST_CHILD") else { return };
    std::env::set_current_dir(&folder).unwrap();
    let server = Server::builder().registry(&Registry::new()).listen_unix("s").bind().unwrap();
    let path = Path::new(&folder).join("s");
    assert!(path.exists());
    let guard = server.start().unwrap();
    assert_eq!(guard.to_string(), "http://unix:s:/metrics", "as it was given");
    std::env::set_current_dir("/").unwrap();
    guard.shutdown_blocking();
    assert!(!path.exists());
}

#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// Makes a descriptor one that a child inherits, as those of systemd are.
    fn inherited(socket: &impl std::os::fd::AsFd) -> socket2::Socket {
        let socket = socket2::Socket::from(socket.as_fd().try_clone_to_owned().unwrap());
        socket.set_cloexec(false).unwrap();
        socket
    }

    #[test]
    fn sockets_of_systemd_are_served_and_it_is_told() {
        let folder = Scratch::new("systemd");
        let (path, notify) = (folder.0.join("s"), folder.0.join("n"));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let notified = UnixDatagram::bind(&notify).unwrap();
        notified.set_read_timeout(Some(crate::support::client::PATIENCE)).unwrap();
        let (tcp, unix) = (inherited(&tcp), inherited(&unix));

        // systemd's are at 3 and up, and for the process that it starts; sh has one digit for a descriptor, bash has more.
        // By way of other numbers, which bash chooses above 9: either may be 3 or 4 itself.
        let script = format!(
            "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:local NOTIFY_SOCKET={}; \
             exec {{tcp}}<&{} {{unix}}<&{}; exec \"$0\" \"$@\" 3<&$tcp 4<&$unix",
            notify.display(),
            tcp.as_raw_fd(),
            unix.as_raw_fd(),
        );
        let mode = format!("{addr} {}", path.display());
        run_alone("listeners::systemd::child_of_systemd", &mode, &["bash", "-c", &script]);
        let mut told = [0; 64];
        for expected in ["READY=1\n", "STOPPING=1\n"] {
            let length = notified.recv(&mut told).unwrap();
            assert_eq!(std::str::from_utf8(&told[..length]).unwrap(), expected);
        }
    }

    /// What the test above runs in a process of its own.
    #[test]
    #[ignore = "run by another test"]
    fn child_of_systemd() {
        let Ok(mode) = std::env::var("PROMETHEUS_HYPER_TEST_CHILD") else { return };
        let (addr, path) = mode.split_once(' ').unwrap();
        let builder = || Server::builder().registry(&Registry::new()).listen_systemd();
        let guard = builder().bind().unwrap().start().unwrap();
        assert_eq!(guard.local_addr(), Some(addr.parse().unwrap()));
        assert_eq!(get(addr.parse().unwrap(), "/metrics").status, 200);
        assert!(get_unix(Path::new(path)).starts_with("HTTP/1.1 200 "));
        let error = builder().bind().unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        guard.shutdown_blocking();
        assert!(Path::new(path).exists(), "systemd's");
    }

    #[test]
    fn without_systemd_it_says_what_is_missing() {
        let error = Server::builder().listen_systemd().bind().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("listen_systemd: LISTEN_PID is not set"), "{error}");
    }
}
