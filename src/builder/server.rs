//! Options of listeners and connections.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Listens on this address; repeatable, in addition to whatever else it listens on. No default: [`bind`](Self::bind) needs
    /// something to listen on.
    ///
    /// `bind` resolves names, which may block, as [`ToSocketAddrs`] does. If a name has several addresses, `bind` takes the first that
    /// works, as [`TcpListener::bind`] does. Port 0 lets the operating system choose a port; [`Server::local_addr`](crate::Server::local_addr) returns it. `[::]`
    /// accepts IPv4, too, where the operating system is set up so, as Linux is.
    ///
    /// An error of `bind` names the address; by its `Debug` if it does not resolve.
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

    /// Listens on a TCP socket that exists, made by another process or a test; repeatable.
    pub fn tcp_listener(self, listener: TcpListener) -> Self {
        self.open("tcp_listener", move |_| Ok(vec![listener::tcp::from_std(listener)?]))
    }

    /// Listens on a Unix socket; repeatable. Its file is made by [`bind`](Self::bind), with
    /// [`unix_socket_mode`](Self::unix_socket_mode), and removed at the stop.
    ///
    /// A socket that is there already is replaced if nobody answers on it, for a process that was killed leaves its own
    /// behind; if somebody does, `bind` fails with [`AddrInUse`](io::ErrorKind::AddrInUse). Any other file is left alone:
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists). Where there are no Unix sockets `bind` fails with
    /// [`Unsupported`](io::ErrorKind::Unsupported).
    ///
    /// Give it a directory of your own, as `RuntimeDirectory=` of systemd does: who else may write there can put another file
    /// in the socket's place, even while its mode is set. Two servers that replace the same socket at the same moment may both
    /// succeed; the last one keeps the path.
    ///
    /// Prometheus scrapes Unix sockets from 3.15 on; `curl --unix-socket PATH http://localhost/metrics` does, too.
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.open("listen_unix", move |mode| Ok(vec![listener::unix::bind(&path, mode)?]))
    }

    /// Sets the mode of the files that [`listen_unix`](Self::listen_unix) makes: who may write to such a file may scrape. It is set
    /// before the socket listens. Default: [`DEFAULT_UNIX_SOCKET_MODE`](Self::DEFAULT_UNIX_SOCKET_MODE).
    pub fn unix_socket_mode(mut self, mode: u32) -> Self {
        let option = "unix_socket_mode";
        self.faults
            .check(option, (mode > 0o777).then(|| format!("{option}: {mode:#o} is no mode of a file")));
        self.faults.of_server(option);
        self.listeners.unix_socket_mode = mode;
        self
    }

    /// Listens on a Unix socket that exists; repeatable. Its file is left alone.
    #[cfg(unix)]
    pub fn unix_listener(self, listener: std::os::unix::net::UnixListener) -> Self {
        self.open("unix_listener", move |_| Ok(vec![listener::unix::from_std(listener)?]))
    }

    /// Listens on the sockets, TCP and Unix, that systemd has opened for this process (`ListenStream=` in a socket unit,
    /// [systemd.socket(5)](https://www.freedesktop.org/software/systemd/man/latest/systemd.socket.html)), and tells systemd
    /// `READY=1` when it serves and `STOPPING=1` when it stops, if `NOTIFY_SOCKET` is set (`Type=notify`). Their files, if they
    /// have some, are systemd's.
    ///
    /// Both speak for the whole service, and after `STOPPING=1` systemd expects the end of the process. So this is for
    /// exporters, whose service the metrics server is; a program that tells systemd itself should not listen this way. A
    /// notice that cannot be delivered at once is not sent again, and is a warning in the log.
    ///
    /// All of them are taken, once in a process; nobody else in the process may take them. [`bind`](Self::bind) fails with
    /// [`NotFound`](io::ErrorKind::NotFound) and says what is missing of `LISTEN_PID` and `LISTEN_FDS`, and with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) and the socket's name (`LISTEN_FDNAMES`) if one is of another kind or
    /// does not listen (`Accept=yes`). Elsewhere than on Linux it is [`Unsupported`](io::ErrorKind::Unsupported).
    #[cfg(feature = "systemd")]
    pub fn listen_systemd(mut self) -> Self {
        self.server.notify = Some(listener::systemd::tell);
        self.open("listen_systemd", |_| listener::systemd::sockets())
    }

    /// Sets how many connections may be open at once. `None` is no limit. Default:
    /// [`DEFAULT_MAX_CONNECTIONS`](Self::DEFAULT_MAX_CONNECTIONS), or a quarter of the process's descriptor limit if
    /// that is less.
    ///
    /// At the limit the server evicts a connection for each newcomer, the first of these that there is:
    ///
    /// 1. one that has been answered and is being closed
    /// 2. the longest waiting without a complete request, but no new connection within its first 100 ms
    /// 3. the slowest client, if it is 2 s behind one that takes 64 KiB of its responses each second
    /// 4. the longest TLS handshake, 1 s after its ClientHello
    /// 5. the client whose responses have been written longest, after [`scrape_timeout`](Self::scrape_timeout)
    ///
    /// A connection is never evicted between a complete request and the first byte of the response. While nothing can be evicted, newcomers wait in the backlog.
    ///
    /// The times of 2, 3 and 4 shrink while newcomers queue, with 128 connections down to a seventeenth. So a thousand
    /// clients that read nothing cannot keep a scraper out. A scraper over a slow link may be evicted then.
    ///
    /// While newcomers find the limit reached, responses carry `Connection: close`. Otherwise a client could keep its
    /// connection by asking again and again. A scraper connects again.
    pub fn max_connections(mut self, connections: impl Into<Option<usize>>) -> Self {
        let connections = self.faults.check_limit("max_connections", connections);
        self.faults.of_server("max_connections");
        self.server.max_connections = Some(connections.unwrap_or(usize::MAX));
        self
    }

    /// Sets how long a request's head may take from its first byte, on a new connection from when it was accepted; `None` is no limit.
    /// Default: [`DEFAULT_HEAD_TIMEOUT`](Self::DEFAULT_HEAD_TIMEOUT).
    pub fn head_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.head = self.timeout("head_timeout", timeout.into());
        self
    }

    /// Sets how long a connection may be idle between a response and the next request; `None` is no limit. Default:
    /// [`DEFAULT_IDLE_TIMEOUT`](Self::DEFAULT_IDLE_TIMEOUT).
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.idle = self.timeout("idle_timeout", timeout.into());
        self
    }

    /// Sets how long a client may take nothing of a response that waits for it; `None` is no limit. Each byte it takes starts the time
    /// anew. Default: [`DEFAULT_WRITE_TIMEOUT`](Self::DEFAULT_WRITE_TIMEOUT).
    ///
    /// The server sees what a client takes from this side of the kernel's buffers, which empty in steps of some 64 KiB, maybe larger ones
    /// over Unix sockets and on systems other than Linux. So a client that takes less than that within this time, which is 2 KiB a second
    /// by default, looks like one that takes nothing, unless the buffers hold all that is left for it. At the connection limit slow
    /// clients have less time: see [`max_connections`](Self::max_connections).
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.deadlines.write = self.timeout("write_timeout", timeout.into());
        self
    }

    /// Sets how long a stop waits for what is in flight before it closes the connections; `None` is no limit. Default:
    /// [`DEFAULT_DRAIN_TIMEOUT`](Self::DEFAULT_DRAIN_TIMEOUT).
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server.drain_timeout = self.timeout("drain_timeout", timeout.into());
        self
    }

    /// Adds a listener, of this option or flag.
    pub(super) fn open(
        mut self,
        option: &'static str,
        open: impl FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync + 'static,
    ) -> Self {
        self.listeners.push(option, open);
        self
    }

    /// Checks a timeout of connections.
    fn timeout(&mut self, option: &'static str, timeout: Option<Duration>) -> Duration {
        self.faults.of_server(option);
        self.faults.check_limit(option, timeout).unwrap_or(Duration::MAX)
    }
}
