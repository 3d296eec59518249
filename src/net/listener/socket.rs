//! A listening socket, before a runtime exists.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::task::{Context, Poll};

use crate::net::stream::Stream;

/// A bound and listening socket.
pub(crate) struct Socket {
    pub(crate) address: Address,
    /// Registers the socket with the current runtime, which needs its I/O driver.
    pub(super) enter: Box<Enter>,
}

type Enter = dyn FnOnce() -> io::Result<Box<dyn Accept>> + Send + Sync;

/// A socket on a runtime.
pub(crate) trait Accept: Send {
    /// Accepts the next connection. Returns it with its peer's address, which a peer on a Unix socket does not have.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>>;
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    /// `None` for a socket without a name.
    Unix(Option<PathBuf>),
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.address).finish()
    }
}

/// Writes the address as a client on this host can open it. An unspecified address cannot be opened, so it becomes
/// `localhost`. A Unix socket is written in nginx's form, which the request's path follows.
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
    use super::*;

    #[test]
    fn displays_addresses_that_a_client_can_open() {
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
