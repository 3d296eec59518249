//! Sockets that systemd has opened, and notifications to it: systemd.socket(5), sd_listen_fds(3), sd_notify(3).

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Type};

use super::socket::Socket;
use super::{tcp, unix};
use crate::util::io_error;
use crate::util::unwind::caught;

/// Maximum value of `LISTEN_FDS`. By default a process may open no more descriptors than this.
const MAX_SOCKETS: usize = 1024;

/// `SD_LISTEN_FDS_START`.
const FIRST: usize = 3;

/// Takes all sockets that systemd passed to this process. A second call fails.
pub(crate) fn sockets() -> io::Result<Vec<Socket>> {
    // Each descriptor has one owner. This flag does not cover other code of the process that takes them.
    static TAKEN: AtomicBool = AtomicBool::new(false);

    let variable = |name: &str| env::var(name).ok();
    let names = handed_over(variable, process::id())?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(missing("another server of this process has taken the systemd sockets"));
    }
    // First, because owning a closed descriptor is unsound.
    for descriptor in FIRST..FIRST + names.len() {
        let open = fs::read_link(format!("/proc/self/fd/{descriptor}")).map_err(|error| {
            io_error::annotated(error, format_args!("descriptor {descriptor} of LISTEN_FDS is not open"))
        })?;
        if !open.as_os_str().as_bytes().starts_with(b"socket:") {
            let sentence = format!("descriptor {descriptor} of LISTEN_FDS is not a socket");
            return Err(io_error::new(io::ErrorKind::InvalidInput, sentence));
        }
    }
    let mut sockets = sd_listen_fds::get().unwrap_or_default().into_iter().zip(names);
    let taken =
        sockets.by_ref().map(|((_, descriptor), name)| socket(descriptor.into_std(), &name)).collect();
    // After an error. These descriptors may be the program's own, if it has executed itself again.
    sockets.for_each(|((_, descriptor), _)| mem::forget(descriptor));
    taken
}

/// Returns the names of the sockets, if systemd passed any to this process.
fn handed_over(variable: impl Fn(&str) -> Option<String>, own_pid: u32) -> io::Result<Vec<String>> {
    let pid = variable("LISTEN_PID")
        .ok_or_else(|| missing("LISTEN_PID is not set: no systemd socket unit started this process"))?;
    if pid.parse() != Ok(own_pid) {
        return Err(missing(&format!(
            "LISTEN_PID is {pid:?}: the sockets are for another process (this one is {own_pid})"
        )));
    }
    let count =
        variable("LISTEN_FDS").ok_or_else(|| missing("LISTEN_FDS is not set: systemd passed no sockets"))?;
    let count = match count.parse() {
        Ok(0) => return Err(missing("LISTEN_FDS is 0: systemd passed no sockets")),
        Ok(count @ 1..=MAX_SOCKETS) => count,
        _ => return Err(missing(&format!("LISTEN_FDS is {count:?}: not a number of sockets"))),
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    // sd_listen_fds_with_names(3) uses this name for sockets without one.
    let names = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(names.chain(std::iter::repeat("unknown".to_owned())).take(count).collect())
}

fn socket(descriptor: OwnedFd, name: &str) -> io::Result<Socket> {
    let socket = socket2::Socket::from(descriptor);
    let refuse = |socket, is: &str| {
        let sentence = format!("{name:?} of LISTEN_FDS {is}");
        // It may be the program's own.
        mem::forget(socket);
        Err(io_error::new(io::ErrorKind::InvalidInput, sentence))
    };
    let is_stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM);
    let domain = socket.local_addr().ok().filter(|_| is_stream).map(|address| address.domain());
    let Some(domain @ (Domain::IPV4 | Domain::IPV6 | Domain::UNIX)) = domain else {
        return refuse(socket, "is neither a TCP nor a Unix stream socket");
    };
    if !socket.is_listener().is_ok_and(|listens| listens) {
        return refuse(socket, "does not listen (expected a socket unit with Accept=no)");
    }
    // Child processes of the host must not inherit the socket.
    socket.set_cloexec(true)?;
    let descriptor = OwnedFd::from(socket);
    if domain == Domain::UNIX { unix::from_std(descriptor.into()) } else { tcp::from_std(descriptor.into()) }
}

fn missing(what: &str) -> io::Error {
    io_error::new(io::ErrorKind::NotFound, what)
}

/// Sends the service's state to systemd. Does nothing without `NOTIFY_SOCKET`.
pub(crate) fn tell(state: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    if let Err(error) = notify(&name, state) {
        // `Drop` calls this, so a panic of a subscriber must not escape.
        caught(|| tracing::warn!(?name, %error, "failed to notify systemd"));
    }
}

/// Sends once without waiting, because systemd's queue may be full. The caller may be a thread of the program's
/// runtime, or the server's I/O thread.
fn notify(name: &OsStr, state: &str) -> io::Result<()> {
    let address = notified(name)?;
    let socket = socket2::Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.send_to(state.as_bytes(), &address).map(drop)
}

/// Parses a path, or an abstract name, in which `@` stands for NUL.
fn notified(name: &OsStr) -> io::Result<SockAddr> {
    match name.as_bytes() {
        [b'/', ..] => SockAddr::unix(name),
        [b'@', rest @ ..] => {
            let mut abstract_name = OsString::from("\0");
            abstract_name.push(OsStr::from_bytes(rest));
            SockAddr::unix(abstract_name)
        }
        _ => Err(io_error::new(
            io::ErrorKind::Unsupported,
            "this kind of NOTIFY_SOCKET is not supported (expected a Unix socket)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_missing_variable() {
        type Variables<'v> = &'v [(&'v str, &'v str)];
        let table: &[(Variables<'_>, Result<&[&str], &str>)] = &[
            (&[], Err("LISTEN_PID is not set")),
            (&[("LISTEN_FDS", "1")], Err("LISTEN_PID is not set")),
            (&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")], Err("another process")),
            (&[("LISTEN_PID", "x"), ("LISTEN_FDS", "1")], Err("another process")),
            (&[("LISTEN_PID", "7")], Err("LISTEN_FDS is not set")),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "0")], Err("LISTEN_FDS is 0")),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "-1")], Err("not a number")),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "4000000000")], Err("not a number")),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")], Ok(&["unknown", "unknown"])),
            (
                &[("LISTEN_PID", "7"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "http:admin")],
                Ok(&["http", "admin", "unknown"]),
            ),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")], Ok(&["a"])),
        ];
        for (variables, expected) in table {
            let variable = |name: &str| {
                variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
            };
            match (handed_over(variable, 7), expected) {
                (Ok(names), Ok(expected)) => assert_eq!(names, *expected, "{variables:?}"),
                (Err(error), Err(expected)) => {
                    let error = error.to_string();
                    assert!(error.contains(expected), "{error}");
                }
                (got, _) => panic!("{variables:?}: {got:?}"),
            }
        }
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use std::net::{TcpListener, TcpStream};
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

        use super::*;

        fn abstract_socket(name: &str) -> (OsString, UnixDatagram) {
            let name = format!("prometheus-hyper-{name}-{}", process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            (format!("@{name}").into(), UnixDatagram::bind_addr(&address).unwrap())
        }

        #[test]
        fn notifies_abstract_sockets() {
            let (name, socket) = abstract_socket("abstract");
            notify(&name, "READY=1\n").unwrap();
            let mut told = [0; 64];
            let length = socket.recv(&mut told).unwrap();
            assert_eq!(&told[..length], b"READY=1\n");
        }

        #[test]
        fn notifying_does_not_wait_for_a_full_queue() {
            let (name, _socket) = abstract_socket("full");
            // The kernel's queue of datagrams is limited, to 10 by default.
            let error = (0..1_000_000).find_map(|_| notify(&name, "READY=1\n").err()).unwrap();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }

        #[test]
        fn rejects_other_kinds_of_sockets() {
            for (name, kind) in [
                ("vsock:2:1234", io::ErrorKind::Unsupported),
                ("relative/path", io::ErrorKind::Unsupported),
                ("/run/nobody/is/here", io::ErrorKind::NotFound),
            ] {
                let error = notify(OsStr::new(name), "READY=1\n").unwrap_err();
                assert_eq!(error.kind(), kind, "{name}: {error}");
            }
        }

        #[test]
        fn rejects_sockets_that_do_not_listen() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (pair, _other) = UnixStream::pair().unwrap();
            let (datagrams, _) = UnixDatagram::pair().unwrap();
            let table: [(OwnedFd, &str); 3] = [
                (connection.into(), "does not listen"),
                (pair.into(), "does not listen"),
                (datagrams.into(), "neither a TCP nor a Unix stream socket"),
            ];
            for (descriptor, reason) in table {
                let error = socket(descriptor, "http").unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                let error = error.to_string();
                assert!(error.starts_with("\"http\" of LISTEN_FDS ") && error.contains(reason), "{error}");
            }
            socket(listener.into(), "http").unwrap();
        }
    }
}
