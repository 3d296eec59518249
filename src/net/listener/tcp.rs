//! TCP sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::task::{Context, Poll};
#[cfg(unix)]
use std::time::Duration;

use super::socket::{Accept, Address, Socket};
use crate::net::stream::{Io, Stream};
use crate::util::io_error;

/// Number of newcomers that wait to be accepted, as in tokio and Go. The system's own limit may be lower. std's 128
/// are too few for a fleet of clients that guess passwords: a client whose packet is dropped tries again a second
/// later.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

/// Maximum bytes of a response that the kernel keeps unsent. Without a limit, Linux takes up to 4 MiB (tcp_wmem,
/// tcp(7)) and reports free space again after a third of it is sent. A client that takes 16 KiB a second then makes
/// no progress for longer than `write_timeout`. A client that takes nothing costs the host memory.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Listens on the first address that works. If none does, returns the error of the last one, as std does.
pub(crate) fn bind(addrs: Vec<SocketAddr>) -> io::Result<Socket> {
    let mut failed = io_error::new(io::ErrorKind::InvalidInput, "there is no address to listen on");
    for addr in addrs {
        match listen(addr) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = io_error::annotated(error, format_args!("cannot listen on {addr}")),
        }
    }
    Err(failed)
}

fn listen(addr: SocketAddr) -> io::Result<Socket> {
    let listener = TcpListener::bind(addr)?;
    // std's backlog is 128, so listen again with ours.
    #[cfg(unix)]
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    from_std(listener)
}

/// Listens on an existing socket.
pub(crate) fn from_std(listener: TcpListener) -> io::Result<Socket> {
    let address = Address::Tcp(listener.local_addr()?);
    let enter = || {
        listener.set_nonblocking(true)?;
        Ok(Box::new(tokio::net::TcpListener::from_std(listener)?) as _)
    };
    Ok(Socket { address, enter: Box::new(enter) })
}

impl Accept for tokio::net::TcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>> {
        // Clones share the mode, and the program may have set it back. A blocking accept would stop the server.
        #[cfg(unix)]
        let _ = socket2::SockRef::from(self).set_nonblocking(true);
        self.poll_accept(cx).map_ok(|(stream, peer)| {
            // Nagle's algorithm would delay the end of a response until the client has acknowledged the rest. If this
            // call fails, the response is late, not lost.
            let _ = stream.set_nodelay(true);
            // If this call fails, the server may close the connection of a slow client.
            #[cfg(target_os = "linux")]
            let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
            #[cfg(unix)]
            let stream = super::no_signal::NoSignal(stream);
            (Box::new(stream) as Stream, Some(peer.ip()))
        })
    }
}

#[cfg(not(unix))]
impl Io for tokio::net::TcpStream {}

#[cfg(unix)]
impl Io for super::no_signal::NoSignal<tokio::net::TcpStream> {
    fn reset_on_drop(&self) {
        // If this call fails, the kernel keeps unsent bytes for some minutes.
        let _ = socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::{fs, net::TcpStream};

    use super::*;

    /// Linux drops connections above the backlog, and the client retries. Here it retries in vain, because the test
    /// accepts none.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_backlog_holds_a_burst_of_newcomers() {
        let most: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        let socket = bind(vec![([127, 0, 0, 1], 0).into()]).unwrap();
        let Address::Tcp(addr) = socket.address else { unreachable!() };
        let connect = |newcomer| {
            let connected = TcpStream::connect_timeout(&addr, Duration::from_secs(30));
            connected.unwrap_or_else(|error| panic!("newcomer {newcomer}, of {most} at most: {error}"))
        };
        let burst: Vec<TcpStream> = (0..most.min(300)).map(connect).collect();
        drop(burst);
    }
}
