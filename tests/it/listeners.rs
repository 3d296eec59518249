//! Tests the listeners.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use prometheus_hyper::Server;
use prometheus_hyper::prometheus::Registry;
use tokio::time::timeout;

use crate::support::client::{get, get_unix, wait_for};
use crate::support::runtime::current_thread;
use crate::support::server::large;
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
    assert!(!ours.exists(), "the server removes its socket when it stops");
    assert!(theirs.exists(), "the owner removes this socket");
}

#[test]
fn dual_stack_follows_the_systems_setting() {
    let guard =
        Server::builder().registry(&Registry::new()).listen("[::]:0").bind().unwrap().start().unwrap();
    let port = guard.local_addr().unwrap().port();
    assert_eq!(get(([0, 0, 0, 0, 0, 0, 0, 1], port).into(), "/-/healthy").status, 200);
    if fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|only| only.trim() == "0") {
        assert_eq!(get(([127, 0, 0, 1], port).into(), "/-/healthy").status, 200);
    }
}

#[test]
fn unix_socket_has_the_configured_mode() {
    let folder = Scratch::new("mode");
    let path = folder.0.join("s");
    let bind = || Server::builder().registry(&Registry::new()).listen_unix(&path);
    let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
    let server = bind().bind().unwrap();
    assert_eq!(mode(), prometheus_hyper::Builder::DEFAULT_UNIX_SOCKET_MODE);
    // The first server listens.
    assert_eq!(bind().bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(server);
    assert!(!path.exists(), "a server that never served removes it too");
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
fn bind_replaces_the_socket_of_a_killed_server() {
    let folder = Scratch::new("killed");
    let path = folder.0.join("s");
    // A killed server leaves its socket file, and so does std. A child of another test may have a copy of the
    // socket until it execs.
    drop(UnixListener::bind(&path).unwrap());
    wait_for("the end of the listener", || UnixStream::connect(&path).is_err());
    let guard =
        Server::builder().registry(&Registry::new()).listen_unix(&path).bind().unwrap().start().unwrap();
    assert!(get_unix(&path).starts_with("HTTP/1.1 200 "));
    drop(guard);
    wait_for("the removal of the file", || !path.exists());
}

#[test]
fn relative_socket_path_is_removed_after_change_of_directory() {
    let folder = Scratch::new("chdir");
    run_alone("listeners::child_that_moves", folder.0.to_str().unwrap(), &[]);
}

/// Runs in a child process of the test above, because the directory belongs to the process.
#[test]
#[ignore = "run by another test"]
fn child_that_moves() {
    let Ok(folder) = std::env::var("PROMETHEUS_HYPER_TEST_CHILD") else { return };
    std::env::set_current_dir(&folder).unwrap();
    let server = Server::builder().registry(&Registry::new()).listen_unix("s").bind().unwrap();
    let path = Path::new(&folder).join("s");
    assert!(path.exists());
    let guard = server.start().unwrap();
    assert_eq!(guard.to_string(), "http://unix:s:/metrics", "the path as configured");
    std::env::set_current_dir("/").unwrap();
    guard.shutdown_blocking();
    assert!(!path.exists());
}

#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// Returns a copy of a descriptor that a child inherits, as systemd passes them.
    fn inherited(socket: &impl std::os::fd::AsFd) -> socket2::Socket {
        let socket = socket2::Socket::from(socket.as_fd().try_clone_to_owned().unwrap());
        socket.set_cloexec(false).unwrap();
        socket
    }

    #[test]
    fn server_serves_systemd_sockets_and_notifies_systemd() {
        let folder = Scratch::new("systemd");
        let (path, notify) = (folder.0.join("s"), folder.0.join("n"));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let notified = UnixDatagram::bind(&notify).unwrap();
        notified.set_read_timeout(Some(crate::support::client::PATIENCE)).unwrap();
        let (tcp, unix) = (inherited(&tcp), inherited(&unix));

        // systemd passes descriptors from 3 up to the process that it starts. bash can redirect numbers of
        // two digits, sh cannot. The script copies them by way of numbers above 9, because a source may be 3
        // or 4 itself.
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

    /// Runs in a child process of the test above.
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

    /// A program that executes itself again keeps the variables, but not the sockets.
    #[test]
    fn listen_systemd_keeps_descriptors_that_are_no_listeners() {
        for descriptor in ["3</dev/null", "3<>/dev/udp/127.0.0.1/9"] {
            let script = format!("export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" {descriptor}");
            run_alone("listeners::systemd::child_with_another_descriptor", "", &["bash", "-c", &script]);
        }
    }

    /// Runs in a child process of the test above.
    #[test]
    #[ignore = "run by another test"]
    fn child_with_another_descriptor() {
        let open = || fs::read_link("/proc/self/fd/3").unwrap();
        let before = open();
        let error = Server::builder().listen_systemd().bind().unwrap_err();
        assert!(error.to_string().contains("of LISTEN_FDS is"), "{error}");
        assert_eq!(open(), before);
    }

    #[test]
    fn listen_systemd_names_the_missing_variable() {
        let error = Server::builder().listen_systemd().bind().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("listen_systemd: LISTEN_PID is not set"), "{error}");
    }
}

/// Clones of a listener share the mode. A program may set it back, such as a child that inherits the socket.
#[test]
fn server_accepts_on_a_listener_set_back_to_blocking() {
    let folder = Scratch::new("blocking");
    let (tcp, unix) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(folder.0.join("s")).unwrap());
    let clones = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
    let builder = Server::builder().registry(&Registry::new()).tcp_listener(tcp).unix_listener(unix);
    let block = || {
        clones.0.set_nonblocking(false).unwrap();
        clones.1.set_nonblocking(false).unwrap();
    };
    let server = builder.bind().unwrap();
    block();
    let guard = server.start().unwrap();
    block();
    for _ in 0..3 {
        assert_eq!(get(guard.local_addr().unwrap(), "/metrics").status, 200);
        assert!(get_unix(&folder.0.join("s")).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn client_that_closes_raises_no_sigpipe() {
    run_alone("listeners::child_whose_client_closes", "", &[]);
}

/// Runs in a child process of the test above, because other tests write to closed sockets, too.
#[test]
#[ignore = "run by another test"]
fn child_whose_client_closes() {
    use tokio::signal::unix::{SignalKind, signal};

    let folder = Scratch::new("sigpipe");
    let path = folder.0.join("socket");
    let guard = Server::builder().registry(&large()).listen_unix(&path).bind().unwrap().start().unwrap();
    let runtime = current_thread();
    // Replaces the setting of Rust's runtime, which ignores the signal.
    let mut signals = runtime.block_on(async { signal(SignalKind::pipe()).unwrap() });

    // Over TCP, the first write after a reset returns an error without the signal.
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // The response has begun, and most of it is still to be written.
    client.read_exact(&mut [0]).unwrap();
    drop(client);
    guard.shutdown_blocking();
    // A signal would have been caught by the thread that wrote, before the end of the server.
    let caught = runtime.block_on(async { timeout(Duration::from_millis(100), signals.recv()).await });
    assert!(caught.is_err());
}
