//! A socket that listens, before there is a runtime.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

use tokio::net::TcpStream;

use super::unix::UnixSocket;
use crate::net::stream::Io;
use crate::util::io_error;

/// So many newcomers wait to be accepted, as tokio and Go have it, if the system's own limit is not lower: std's 128 are
/// less than a fleet that guesses passwords, and who is dropped tries again only a second later.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

/// So much of an answer lies unsent in the kernel at the most. Without a limit Linux takes up to 4 MiB (tcp_wmem, tcp(7)) and
/// says that there is room again when a third of it has gone: a client that takes 16 KiB a second makes no progress for
/// longer than `write_timeout`, and one that takes nothing costs the host memory in which nobody shares.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// A socket that is bound, and listens.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// Where a socket can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    /// None for a socket without a name.
    Unix(Option<PathBuf>),
}

impl Socket {
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Socket::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Socket::Unix(socket) => Ok(Address::Unix(socket.path())),
        }
    }

    /// The first of the addresses that works, else the last one's error, as std has it.
    pub(crate) fn tcp(addrs: Vec<SocketAddr>) -> io::Result<Socket> {
        let mut last_error = None;
        for addr in addrs {
            match TcpListener::bind(addr).and_then(with_backlog).and_then(Socket::of_tcp) {
                Ok(socket) => return Ok(socket),
                Err(error) => {
                    last_error = Some(io_error::annotated(error, format_args!("cannot listen on {addr}")));
                }
            }
        }
        let nothing = || io_error::new(io::ErrorKind::InvalidInput, "there is no address");
        Err(last_error.unwrap_or_else(nothing))
    }

    /// A listener that exists. A runtime wants it non-blocking.
    pub(crate) fn of_tcp(listener: TcpListener) -> io::Result<Socket> {
        listener.set_nonblocking(true)?;
        Ok(Socket::Tcp(listener))
    }
}

/// Prepares a connection for answers.
pub(super) fn prepare(stream: &TcpStream) {
    // Nagle's algorithm would hold back the end of a response until the client has acknowledged the rest.
    // Where this fails, the response is late, not lost.
    let _ = stream.set_nodelay(true);
    // Where this fails, a slow reader may be cut.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

impl Io for TcpStream {
    #[cfg(unix)]
    fn reset_on_drop(&self) {
        // Where this fails, the kernel keeps what is unsent for some minutes.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

/// It listens once more, with our own backlog.
#[cfg(unix)]
fn with_backlog(listener: TcpListener) -> io::Result<TcpListener> {
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

#[cfg(not(unix))]
fn with_backlog(listener: TcpListener) -> io::Result<TcpListener> {
    Ok(listener)
}

/// As one may open it: nobody reaches an unspecified address, but it includes this host. A Unix socket is written as
/// nginx writes it; the path of the request follows.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => match addr.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                    write!(f, "localhost:{}", addr.port())
                }
                _ => addr.fmt(f),
            },
            Address::Unix(Some(path)) => write!(f, "unix:{}:", path.display()),
            Address::Unix(None) => f.write_str("unix:"),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::{fs, net::TcpStream};

    use super::*;

    /// Linux drops what is beyond the backlog, and the client tries again, here for good: nobody accepts any.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_burst_of_newcomers_waits_in_the_backlog() {
        let most: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        let socket = Socket::tcp(vec![([127, 0, 0, 1], 0).into()]).unwrap();
        let Address::Tcp(addr) = socket.address().unwrap() else { unreachable!() };
        let connect = |place| {
            let connected = TcpStream::connect_timeout(&addr, Duration::from_secs(30));
            connected.unwrap_or_else(|error| panic!("newcomer {place}, of {most} at most: {error}"))
        };
        let burst: Vec<TcpStream> = (0..most.min(300)).map(connect).collect();
        drop(burst);
    }

    #[test]
    fn addresses_as_one_may_open_them() {
        let table = [
            (Address::Tcp(([0, 0, 0, 0], 9184).into()), "localhost:9184"),
            (Address::Tcp((Ipv6Addr::UNSPECIFIED, 1).into()), "localhost:1"),
            (Address::Tcp(([127, 0, 0, 1], 9184).into()), "127.0.0.1:9184"),
            (Address::Tcp((Ipv6Addr::LOCALHOST, 80).into()), "[::1]:80"),
            (Address::Unix(Some("/run/a b.sock".into())), "unix:/run/a b.sock:"),
            (Address::Unix(None), "unix:"),
        ];
        for (address, shown) in table {
            assert_eq!(address.to_string(), shown);
        }
    }
}
