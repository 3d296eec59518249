//! Clients of the tests.

use std::net::{IpAddr, SocketAddr, TcpStream};

pub(crate) use testing::client::{Client, PATIENCE, Response, ask, ask_and_be_heard, get, wait_for};

/// Connects from an address of the loopback network.
pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Waits until the port of [`reserved`] refuses connections. Between fork and exec, a child of another test
/// has a copy of each socket.
pub(crate) fn refused(addr: SocketAddr) {
    wait_for("the end of the listener", || TcpStream::connect(addr).is_err());
}

/// Scrapes a Unix socket, and returns the response.
#[cfg(unix)]
pub(crate) fn get_unix(path: &std::path::Path) -> String {
    use std::io::{Read, Write};

    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Returns the header of a request. The credentials are `user:password`.
#[cfg(feature = "auth")]
pub(crate) fn basic(credentials: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
    format!("Authorization: Basic {encoded}\r\n")
}
