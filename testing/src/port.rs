//! Ports that no other socket gets.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// Returns an address of the loopback network with a free port. The system gives that port to no other socket
/// until the process ends.
///
/// The port of a dropped listener is free for any process: another test may get it before this one binds it
/// again. A socket that is bound but does not listen keeps it. All listeners of std and of the crate set
/// `SO_REUSEADDR` on Unix, so they can bind the same port. Connections are refused while none listens.
pub fn reserved() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    #[cfg(unix)]
    socket.set_reuse_address(true).unwrap();
    // All addresses, so that no address has the port elsewhere.
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    // On other systems two sockets cannot share a port.
    #[cfg(unix)]
    std::mem::forget(socket);
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(unix)]
#[test]
fn reserved_port_can_be_bound_repeatedly() {
    use std::net::{TcpListener, TcpStream};

    let addr = reserved();
    for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        crate::client::wait_for("the end of the listener", || TcpStream::connect(addr).is_err());
        let listener = TcpListener::bind((host, addr.port())).unwrap();
        let client = TcpStream::connect(addr).unwrap();
        assert!(TcpListener::bind(addr).is_err(), "another listener has the port");
        drop((client, listener));
    }
}
