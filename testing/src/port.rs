//! Ports that nobody else gets.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address of the loopback network with a port that is free, and that the system gives to nobody who asks for any port,
/// until the process ends.
///
/// A port of a listener that was dropped is anybody's: another test may have it before this one binds it again. Here a socket
/// keeps it that is bound and does not listen. With `SO_REUSEADDR`, which all listeners of std and of the crate have on Unix,
/// a listener may be bound beside such a one, and connections are refused while there is none.
pub fn reserved() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    #[cfg(unix)]
    socket.set_reuse_address(true).unwrap();
    // All addresses, so that none of them has the port elsewhere.
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    // Elsewhere two sockets can not have one port.
    #[cfg(unix)]
    std::mem::forget(socket);
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(unix)]
#[test]
fn a_reserved_port_can_be_bound_again_and_again() {
    use std::net::{TcpListener, TcpStream};

    let addr = reserved();
    for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        crate::client::wait_for("the end of the listener", || TcpStream::connect(addr).is_err());
        let listener = TcpListener::bind((host, addr.port())).unwrap();
        let client = TcpStream::connect(addr).unwrap();
        assert!(TcpListener::bind(addr).is_err(), "somebody listens");
        drop((client, listener));
    }
}
