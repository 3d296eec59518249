//! Sockets that systemd has opened, and what it is told in return: systemd.socket(5), sd_listen_fds(3), sd_notify(3).

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;
use socket2::{Domain, Type};

use super::socket::{Socket, annotated};
use super::unix::UnixSocket;

/// What `LISTEN_FDS` may say at the most; a process has no more descriptors than that by default.
const MAX_SOCKETS: usize = 1024;

/// The sockets that were handed to this process: all of them, once.
pub(crate) fn sockets() -> io::Result<Vec<Socket>> {
    // Descriptors are owned once. Whoever else in the process takes them is not known to us.
    static TAKEN: AtomicBool = AtomicBool::new(false);

    let variable = |name: &str| env::var(name).ok();
    let names = handed_over(variable, process::id())?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(missing("the sockets of systemd have been taken by another server of this process"));
    }
    // Fails if one of them is not open, and keeps them from the host's children.
    let descriptors = sd_notify::listen_fds();
    let annotated =
        |error| annotated(&error, format_args!("listen_systemd: not all of LISTEN_FDS are there"));
    let _are_there = descriptors.map_err(annotated)?;
    let sockets = sd_listen_fds::get().unwrap_or_default();
    sockets
        .into_iter()
        .zip(names)
        .map(|((_, descriptor), name)| socket(descriptor.into_std(), &name))
        .collect()
}

/// How the sockets are called, if there are any for this process.
fn handed_over(variable: impl Fn(&str) -> Option<String>, own_pid: u32) -> io::Result<Vec<String>> {
    let Some(pid) = variable("LISTEN_PID") else {
        return Err(missing(
            "LISTEN_PID is not set: the process was not started by a socket unit of systemd",
        ));
    };
    if pid.parse() != Ok(own_pid) {
        return Err(missing(&format!(
            "LISTEN_PID is {pid:?}: the sockets are for another process than {own_pid}"
        )));
    }
    let Some(count) = variable("LISTEN_FDS") else {
        return Err(missing("LISTEN_FDS is not set: there are no sockets"));
    };
    let count = match count.parse() {
        Ok(0) => return Err(missing("LISTEN_FDS is 0: there are no sockets")),
        Ok(count @ 1..=MAX_SOCKETS) => count,
        _ => return Err(missing(&format!("LISTEN_FDS is {count:?}: not a number of sockets"))),
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    // What sd_listen_fds_with_names(3) calls those without a name.
    let names = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(names.chain(std::iter::repeat("unknown".to_owned())).take(count).collect())
}

fn socket(descriptor: OwnedFd, name: &str) -> io::Result<Socket> {
    let socket = socket2::Socket::from(descriptor);
    match (kind(&socket), OwnedFd::from(socket)) {
        (Some(Kind::Tcp), socket) => Socket::of_tcp(socket.into()),
        (Some(Kind::Unix), socket) => UnixSocket::of(socket.into()).map(Socket::Unix),
        (None, _) => {
            let sentence =
                format!("listen_systemd: {name:?} of LISTEN_FDS is neither a TCP nor a Unix stream socket");
            Err(io::Error::new(io::ErrorKind::InvalidInput, sentence))
        }
    }
}

enum Kind {
    Tcp,
    Unix,
}

fn kind(socket: &socket2::Socket) -> Option<Kind> {
    let address =
        socket.local_addr().ok().filter(|_| socket.r#type().is_ok_and(|kind| kind == Type::STREAM))?;
    match address.domain() {
        Domain::IPV4 | Domain::IPV6 => Some(Kind::Tcp),
        Domain::UNIX => Some(Kind::Unix),
        _ => None,
    }
}

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("listen_systemd: {what}"))
}

/// Tells systemd that the server serves, and with its drop that it is about to end.
#[derive(Debug)]
pub(crate) struct Notice(());

impl Notice {
    pub(crate) fn ready() -> Self {
        send(NotifyState::Ready);
        Notice(())
    }

    pub(crate) fn stopping(self) {}
}

impl Drop for Notice {
    fn drop(&mut self) {
        send(NotifyState::Stopping);
    }
}

/// Without `NOTIFY_SOCKET` there is nobody to tell.
fn send(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell systemd how the server is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
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
                    assert!(error.starts_with("listen_systemd: ") && error.contains(expected), "{error}");
                }
                (got, _) => panic!("{variables:?}: {got:?}"),
            }
        }
    }
}
