//! All options with their defaults. `bind` and `into_handler` make something of them.

mod faults;
mod options;
mod run;

// In this order, which is that of the methods in the docs: what is served, listening, access control, limits, flags.
mod metrics;

mod collect;

mod server;

mod access;
#[cfg(feature = "auth")]
mod credentials;
#[cfg(feature = "tls")]
mod tls;

mod limits;

#[cfg(feature = "cli")]
mod web_args;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::guard::{Guard, Reach};
use crate::handler::Handler;
use crate::http::scrape_timeout::ScrapeTimeouts;
use crate::net::allow_list::AllowList;
use crate::net::connection::Deadlines;
use crate::net::connection_limit;
use crate::net::listener::Socket;
use crate::server::{Server, ServerOptions};
use crate::telemetry::{RejectReason, Telemetry};
use crate::util::io_error;

pub use metrics::IntoRegistry;
pub use run::Run;
#[cfg(feature = "cli")]
pub use web_args::WebArgs;

pub(crate) use server::resolve;

use faults::OptionFaults;
use options::access::AccessOptions;
use options::metrics::MetricsOptions;

/// Configures a [`Server`] or a [`Handler`].
///
/// | task | methods |
/// | --- | --- |
/// | what is served | [`registry`](#method.registry), [`registry_named`](#method.registry_named), [`default_collectors`](#method.default_collectors), [`build_info`](#method.build_info), [`self_metrics`](#method.self_metrics), [`collect`](#method.collect), [`collect_with_up`](#method.collect_with_up), [`before_scrape`](#method.before_scrape), [`probe`](#method.probe), [`probe_debug`](#method.probe_debug) |
/// | where and how | [`metrics_path`](#method.metrics_path), [`landing_page`](#method.landing_page), [`ready`](#method.ready), [`openmetrics`](#method.openmetrics), [`protobuf`](#method.protobuf), [`compression`](#method.compression) |
/// | listening | [`listen`](#method.listen), [`tcp_listener`](#method.tcp_listener), [`listen_unix`](#method.listen_unix), [`unix_socket_mode`](#method.unix_socket_mode), [`unix_listener`](#method.unix_listener), [`listen_systemd`](#method.listen_systemd) |
/// | access control | [`allow_network`](#method.allow_network), [`allowed_hosts`](#method.allowed_hosts), [`bearer_token`](#method.bearer_token), [`basic_auth`](#method.basic_auth), [`rate_limit`](#method.rate_limit), [`auth_for_health`](#method.auth_for_health), [`tls_files`](#method.tls_files), [`tls_client_ca`](#method.tls_client_ca), [`tls_config`](#method.tls_config), [`web_config`](#method.web_config) |
/// | limits and timeouts | [`scrape_timeout`](#method.scrape_timeout), [`max_scrape_timeout`](#method.max_scrape_timeout), [`scrape_timeout_margin`](#method.scrape_timeout_margin), [`max_requests`](#method.max_requests), [`max_probes`](#method.max_probes), [`max_unsent`](#method.max_unsent), [`max_connections`](#method.max_connections), [`head_timeout`](#method.head_timeout), [`idle_timeout`](#method.idle_timeout), [`write_timeout`](#method.write_timeout), [`drain_timeout`](#method.drain_timeout) |
/// | flags of a command line | [`web_args`](#method.web_args) |
/// | finishing | [`start`](#method.start), [`bind`](#method.bind), [`into_handler`](#method.into_handler) |
///
/// Setters never fail. [`start`](Self::start), [`bind`](Self::bind) and [`into_handler`](Self::into_handler) report all that is
/// wrong with the options at once. Where a limit takes an `impl Into<Option<…>>`, `None` switches it off, and zero is
/// refused.
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
///     .write_timeout(None)
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `bind()`, `start()` or `into_handler()`"]
pub struct Builder {
    metrics: MetricsOptions,
    /// Each with the option or flag that it comes from.
    listeners: Vec<(&'static str, Box<OpenListener>)>,
    unix_socket_mode: u32,
    server: ServerOptions,
    access: AccessOptions,
    faults: OptionFaults,
}

/// Opens sockets. The file of a Unix socket gets this mode.
type OpenListener = dyn FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync;

impl Builder {
    /// The default of [`metrics_path`](Self::metrics_path) is `/metrics`.
    pub const DEFAULT_METRICS_PATH: &str = "/metrics";
    /// The default of [`max_probes`](Self::max_probes) is 40, as node_exporter's `--web.max-requests`.
    pub const DEFAULT_MAX_PROBES: usize = 40;
    /// The default of [`scrape_timeout`](Self::scrape_timeout) is 10 seconds, as in Prometheus.
    pub const DEFAULT_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
    /// The default of [`max_scrape_timeout`](Self::max_scrape_timeout) is 2 minutes.
    pub const DEFAULT_MAX_SCRAPE_TIMEOUT: Duration = Duration::from_secs(120);
    /// The default of [`scrape_timeout_margin`](Self::scrape_timeout_margin) is half a second.
    pub const DEFAULT_SCRAPE_TIMEOUT_MARGIN: Duration = Duration::from_millis(500);
    /// The default of [`unix_socket_mode`](Self::unix_socket_mode) is `0o660`, the owner and the group.
    pub const DEFAULT_UNIX_SOCKET_MODE: u32 = 0o660;
    /// The default of [`max_connections`](Self::max_connections) is 128, unless a quarter of the descriptor limit is less.
    pub const DEFAULT_MAX_CONNECTIONS: usize = connection_limit::DEFAULT_MAX_CONNECTIONS;
    /// The default of [`head_timeout`](Self::head_timeout) is 10 seconds.
    pub const DEFAULT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
    /// The default of [`idle_timeout`](Self::idle_timeout) is 6 minutes, because Prometheus keeps idle connections for 5.
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(6 * 60);
    /// The default of [`write_timeout`](Self::write_timeout) is 30 seconds.
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of [`drain_timeout`](Self::drain_timeout) is 5 seconds.
    pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

    /// Opens the listeners. It needs no runtime.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput) if options are wrong: all that is wrong, one a line.
    /// * The error of resolving or binding an address, which is named; its [`kind`](io::Error::kind) is kept.
    /// * The error of reading a certificate, a key or a web-config file, which is named.
    ///
    /// Each begins with the name of the option, or of the flag that gave the value (`WebArgs`, feature `cli`). The system's error is
    /// its [`source`](std::error::Error::source), with its [`raw_os_error`](io::Error::raw_os_error). Its `Debug`, which a failed
    /// `main` prints, contains the same sentence.
    pub fn bind(mut self) -> io::Result<Server> {
        if self.listeners.is_empty() {
            let fault = "listen: there is no address to listen on (expected one such as \"0.0.0.0:9184\")";
            self.faults.add("listen", fault.to_owned());
        }
        let Builder { metrics, listeners, unix_socket_mode, server: options, access, faults } =
            self.checked();
        faults.of_bind()?;
        let telemetry = Arc::new(Telemetry::new());
        if !options.allow.is_empty() {
            telemetry.show_rejections(&[RejectReason::Address]);
        }
        let (policy, tls) = access.open(&telemetry)?;
        let mut sockets = Vec::new();
        for (option, open) in listeners {
            let opened = open(unix_socket_mode).map_err(|error| io_error::annotated(error, option))?;
            sockets.extend(opened);
        }
        let addresses = sockets.iter().map(|socket| socket.address.clone()).collect();
        let router = Arc::new(metrics.router(policy, telemetry));
        let reach = Reach::new(addresses, tls.is_some(), &router);
        Ok(Server { sockets, reach, tls, router, options })
    }

    /// Starts the server: [`bind`](Self::bind), then [`Server::start`].
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn start(self) -> io::Result<Guard> {
        self.bind()?.start()
    }

    /// Returns the same metrics as a service that an HTTP server of your program can mount.
    ///
    /// It serves the metrics wherever you mount it. Tokens, users, the rate limit and the allowed hosts hold there, too, and all
    /// clients count as one address. The default collectors watch the tokio runtime in which you call this, and hooks run on it.
    /// Without one, hooks run on the runtime of the first request, or else on the handler's own, and there are no `tokio_*` metrics.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput), as for [`bind`](Self::bind).
    /// * `InvalidInput`, naming each of them, if options were set that the surrounding server must have instead, even if they were
    ///   reset: listeners, connections, TLS, [`allow_network`](Self::allow_network), [`max_unsent`](Self::max_unsent),
    ///   [`auth_for_health`](Self::auth_for_health), the path of the metrics, the page, probes, readiness. A web-config file must have
    ///   no `tls_server_config`.
    /// * The error of reading a web-config file, which is named.
    pub fn into_handler(self) -> io::Result<Handler> {
        let Builder { mut metrics, listeners, access, mut faults, .. } = self.checked();
        listeners.iter().for_each(|(option, _)| faults.of_server(option));
        faults.of_handler()?;
        metrics.landing_page = None;
        let telemetry = Arc::new(Telemetry::new());
        telemetry.hide_server_families();
        let policy = access.open_for_handler(&telemetry)?;
        Ok(Handler::new(metrics.router(policy, telemetry)))
    }

    /// With what is wrong with options that do not fit together.
    fn checked(mut self) -> Self {
        for fault in self.metrics.faults().into_iter().chain(self.access.faults()) {
            self.faults.add("", fault);
        }
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        let timeouts = ScrapeTimeouts {
            default: Self::DEFAULT_SCRAPE_TIMEOUT,
            max: Self::DEFAULT_MAX_SCRAPE_TIMEOUT,
            margin: Self::DEFAULT_SCRAPE_TIMEOUT_MARGIN,
        };
        let deadlines = Deadlines {
            head: Self::DEFAULT_HEAD_TIMEOUT,
            idle: Self::DEFAULT_IDLE_TIMEOUT,
            write: Self::DEFAULT_WRITE_TIMEOUT,
        };
        let server = ServerOptions {
            allow: AllowList::default(),
            max_connections: None,
            deadlines,
            drain_timeout: Self::DEFAULT_DRAIN_TIMEOUT,
            notify: None,
        };
        Builder {
            metrics: MetricsOptions::new(Self::DEFAULT_METRICS_PATH, Self::DEFAULT_MAX_PROBES, timeouts),
            listeners: Vec::new(),
            unix_socket_mode: Self::DEFAULT_UNIX_SOCKET_MODE,
            server,
            access: AccessOptions::default(),
            faults: OptionFaults::default(),
        }
    }
}
