//! Every option, its default, its doc. `bind` composes the rest.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use crate::admission;
use crate::connection::Deadlines;
use crate::route::{self, Router};
use crate::scrape::Scraper;
use crate::server::Server;
use crate::telemetry::Telemetry;

/// The default of [`Builder::metrics_path`]: `/metrics`.
pub const DEFAULT_METRICS_PATH: &str = "/metrics";
/// The default of [`Builder::head_timeout`]: 10 seconds.
pub const DEFAULT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The default of [`Builder::idle_timeout`]: 6 minutes, for Prometheus keeps idle connections for 5.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(6 * 60);
/// The default of [`Builder::write_timeout`]: 30 seconds.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The default of [`Builder::drain_timeout`]: 5 seconds.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A server to be: options in, a bound [`Server`] out.
///
/// Setters never fail; what is wrong with an option is told by [`bind`](Self::bind).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use prometheus_hyper::{Server, prometheus::Registry};
/// use std::time::Duration;
///
/// let registry = Registry::new();
/// let guard = Server::builder()
///     .registry(&registry)
///     .listen("127.0.0.1:0")
///     .metrics_path("/internal/metrics")
///     .drain_timeout(Duration::from_secs(1))
///     .bind()?
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `bind()`"]
pub struct Builder {
    registries: Vec<Registry>,
    /// What each call of `listen` resolved to.
    listen: Vec<io::Result<Vec<SocketAddr>>>,
    metrics_path: String,
    self_metrics: bool,
    max_connections: Option<usize>,
    head_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    drain_timeout: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            registries: Vec::new(),
            listen: Vec::new(),
            metrics_path: DEFAULT_METRICS_PATH.to_owned(),
            self_metrics: true,
            max_connections: None,
            head_timeout: DEFAULT_HEAD_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
        }
    }
}

impl Builder {
    /// Serves this registry; repeatable. Default: [`prometheus::default_registry()`], if none is given.
    ///
    /// Where several registries know one name, its metrics stand together, as in one registry; a series that two of
    /// them have is served once, the earlier registry's; a name under two types is served as the earlier has it, and
    /// counted in `prometheus_exporter_errors_total{cause="type_conflict"}`.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registries.push(registry.clone());
        self
    }

    /// Listens on this address; repeatable. No default: [`bind`](Self::bind) needs one.
    ///
    /// A name is resolved at once, which blocks as [`ToSocketAddrs`] does. If it resolves to several addresses,
    /// `bind` takes the first that works, as [`TcpListener::bind`] does. Port 0 lets the operating system choose;
    /// [`Server::local_addr`] tells.
    pub fn listen(mut self, addr: impl ToSocketAddrs) -> Self {
        self.listen.push(addr.to_socket_addrs().map(Iterator::collect));
        self
    }

    /// Where the metrics are served. Default: [`DEFAULT_METRICS_PATH`].
    ///
    /// An absolute path as it stands in a request, percent-encoded where need be, without a query; it is matched
    /// exactly. At `/` the metrics take the place of the page. `/-/healthy` is taken.
    pub fn metrics_path(mut self, path: impl Into<String>) -> Self {
        self.metrics_path = path.into();
        self
    }

    /// Whether the server's own metrics, `prometheus_exporter_*`, are served beside the registries'. Default: `true`.
    ///
    /// They live in a registry of the server's own; nothing is ever registered into yours.
    pub fn self_metrics(mut self, serve: bool) -> Self {
        self.self_metrics = serve;
        self
    }

    /// How many connections may be open at once; at least 1. Default:
    /// [`DEFAULT_MAX_CONNECTIONS`](crate::DEFAULT_MAX_CONNECTIONS), or a quarter of the process's descriptor limit if
    /// that is less.
    ///
    /// At the limit a newcomer takes the place of the connection that has waited longest without a complete request.
    /// One that is being answered keeps its place, unless all are and the one that has been receiving its response
    /// longest has taken [`write_timeout`](Self::write_timeout) or more: then that one goes. Otherwise newcomers wait
    /// in the backlog.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// How long a request's head may take, counted from its first byte, for a connection's first request from the
    /// moment it was accepted. Above zero; [`Duration::MAX`] is for ever. Default: [`DEFAULT_HEAD_TIMEOUT`].
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// How long a connection may be idle between a response and the next request. Above zero; [`Duration::MAX`] is
    /// for ever. Default: [`DEFAULT_IDLE_TIMEOUT`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a client may take nothing of a response that waits for it; each byte it takes begins the time anew.
    /// Above zero; [`Duration::MAX`] is for ever. Default: [`DEFAULT_WRITE_TIMEOUT`].
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How long a stop may take for what is in flight; then the rest is cut. Zero cuts at once, [`Duration::MAX`]
    /// waits for ever. Default: [`DEFAULT_DRAIN_TIMEOUT`].
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Opens the ports. Needs no runtime.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput), naming the option, if one of them makes no sense.
    /// * What binding an address failed with, its [`kind`](io::Error::kind) kept and the address named, or what resolving one
    ///   failed with.
    pub fn bind(self) -> io::Result<Server> {
        let Builder {
            mut registries,
            listen,
            metrics_path,
            self_metrics,
            max_connections,
            head_timeout,
            idle_timeout,
            write_timeout,
            drain_timeout,
        } = self;

        if !route::metrics_path_is_valid(&metrics_path) {
            let reason = "is no absolute path, as it stands in a request, that is free";
            return Err(invalid(format!("metrics_path: {metrics_path:?} {reason}")));
        }
        if max_connections == Some(0) {
            return Err(invalid("max_connections: must be at least 1".to_owned()));
        }
        let timeouts = [
            ("head_timeout", head_timeout),
            ("idle_timeout", idle_timeout),
            ("write_timeout", write_timeout),
        ];
        if let Some((option, _)) = timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
            return Err(invalid(format!("{option}: must be above zero")));
        }
        if listen.is_empty() {
            return Err(invalid("listen: there is no address to listen on".to_owned()));
        }

        let listeners = listen.into_iter().map(listen_on).collect::<io::Result<Vec<_>>>()?;
        let local_addrs = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;

        if registries.is_empty() {
            registries.push(prometheus::default_registry().clone());
        }
        let telemetry = Arc::new(Telemetry::new());
        let scraper = Scraper::new(registries, self_metrics, Arc::clone(&telemetry));
        Ok(Server {
            listeners,
            local_addrs,
            router: Arc::new(Router::new(metrics_path, scraper, telemetry)),
            max_connections: max_connections.unwrap_or_else(admission::default_max_connections),
            deadlines: Deadlines { head: head_timeout, idle: idle_timeout, write: write_timeout },
            drain_timeout,
        })
    }
}

/// The first of the addresses that works, else the last one's error, as std has it.
fn listen_on(resolved: io::Result<Vec<SocketAddr>>) -> io::Result<TcpListener> {
    let addrs =
        resolved.map_err(|error| annotated(&error, "listen: cannot resolve the address".to_owned()))?;
    let mut last_error = None;
    for addr in addrs {
        match TcpListener::bind(addr).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        }) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = Some(annotated(&error, format!("cannot listen on {addr}"))),
        }
    }
    Err(last_error.unwrap_or_else(|| invalid("listen: resolves to no address".to_owned())))
}

fn annotated(error: &io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
