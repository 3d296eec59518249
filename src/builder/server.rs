//! Options of listeners and connections.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;

use super::Builder;
use crate::net::listener::{self, Socket};
use crate::util::io_error;

/// Resolves an address, which may block. There is at least one then.
pub(crate) fn resolve(addr: &(impl ToSocketAddrs + fmt::Debug)) -> io::Result<Vec<SocketAddr>> {
    let none = || io_error::new(io::ErrorKind::InvalidInput, "there is no address");
    let resolved = addr.to_socket_addrs().and_then(|addrs| {
        let addrs: Vec<_> = addrs.collect();
        if addrs.is_empty() { Err(none()) } else { Ok(addrs) }
    });
    resolved.map_err(|error| io_error::annotated(error, format_args!("cannot resolve {addr:?}")))
}

impl Builder {
    /// Listens on this address; repeatable, in addition to other listeners.
    ///
    /// [`bind`](Self::bind) resolves names as [`ToSocketAddrs`] does, which may block. If a name has several addresses, it takes the
    /// first that works. Port 0 lets the system choose a port, which [`Server::local_addr`](crate::Server::local_addr) returns. `[::]`
    /// accepts IPv4, too, where the system is set up so, as Linux is. An error of `bind` names the address.
    ///
    /// Default: none. `bind` needs a listener.
    pub fn listen(self, addr: impl ToSocketAddrs + fmt::Debug + Send + Sync + 'static) -> Self {
        self.listen_on(move || resolve(&addr))
    }

    /// Listens on the first of these addresses that works.
    pub(crate) fn listen_on(
        self,
        addrs: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.open("listen", move |_| Ok(vec![listener::tcp::bind(addrs()?)?]))
    }

    /// Listens on a TCP socket that exists; repeatable.
    pub fn tcp_listener(self, listener: TcpListener) -> Self {
        self.open("tcp_listener", move |_| Ok(vec![listener::tcp::from_std(listener)?]))
    }

    /// Listens on a Unix socket; repeatable.
    ///
    /// [`bind`](Self::bind) makes its file, with [`unix_socket_mode`](Self::unix_socket_mode), and the stop removes it. It replaces a
    /// socket on which nobody answers, and leaves any other file alone. Use a directory that only your program can write to. See
    /// [Unix sockets](crate::guide#unix-sockets).
    ///
    /// Where there are no Unix sockets, `bind` fails with [`Unsupported`](io::ErrorKind::Unsupported).
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.open("listen_unix", move |mode| Ok(vec![listener::unix::bind(&path, mode)?]))
    }

    /// Sets the mode of the files that [`listen_unix`](Self::listen_unix) makes, before the socket listens.
    ///
    /// A program that may write to such a file may scrape.
    ///
    /// Default: [`DEFAULT_UNIX_SOCKET_MODE`](Self::DEFAULT_UNIX_SOCKET_MODE), `0o660`.
    pub fn unix_socket_mode(mut self, mode: u32) -> Self {
        let option = "unix_socket_mode";
        self.faults
            .check(option, (mode > 0o777).then(|| format!("{option}: {mode:#o} is no mode of a file")));
        self.faults.of_server(option);
        self.unix_socket_mode = mode;
        self
    }

    /// Listens on a Unix socket that exists; repeatable. Its file is left alone.
    #[cfg(unix)]
    pub fn unix_listener(self, listener: std::os::unix::net::UnixListener) -> Self {
        self.open("unix_listener", move |_| Ok(vec![listener::unix::from_std(listener)?]))
    }

    /// Listens on the sockets, TCP and Unix, that systemd has opened for this process, and notifies systemd of start and stop.
    ///
    /// With `Type=notify` it sends `READY=1` and `STOPPING=1`, which are about the whole service. So this is for exporters, whose
    /// service is the metrics server. It takes all sockets, once in a process. [`bind`](Self::bind) fails if there are none. The
    /// [guide](crate::guide#sockets-of-systemd) has the details.
    #[cfg(feature = "systemd")]
    pub fn listen_systemd(mut self) -> Self {
        self.server.notify = Some(listener::systemd::tell);
        self.open("listen_systemd", |_| listener::systemd::sockets())
    }

    /// Adds a listener, of this option or flag.
    pub(super) fn open(
        mut self,
        option: &'static str,
        open: impl FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync + 'static,
    ) -> Self {
        self.listeners.push((option, Box::new(open)));
        self
    }
}
