//! Every option, its default, its doc. `bind` composes the rest.

mod locked;
mod run;
mod served;
#[cfg_attr(not(feature = "tls"), path = "builder/tls/disabled.rs")]
mod tls;
mod transport;
#[cfg(feature = "cli")]
mod web_args;
#[cfg_attr(not(feature = "web-config"), path = "builder/web_config/disabled.rs")]
mod web_config;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use crate::collector::BuildInfo;
use crate::handler::Handler;
use crate::http::page::Page;
use crate::net::listener::{self, Socket};
use crate::scrape::probe::{ProbeError, ProbePath, ProbeRequest};
use crate::scrape::{BoxError, Hook, ScrapeContext};
use crate::server::Server;
use crate::telemetry::Telemetry;
use crate::util::io_error;

pub use run::Run;

use locked::Locked;
use served::Served;
use transport::{Door, Transport};

#[cfg(feature = "cli")]
pub use web_args::WebArgs;

/// The default of [`Builder::metrics_path`]: `/metrics`.
pub const DEFAULT_METRICS_PATH: &str = "/metrics";
/// The default of [`Builder::unix_socket_mode`]: `0o660`, the owner and the group.
pub const DEFAULT_UNIX_SOCKET_MODE: u32 = 0o660;
/// The default of [`Builder::head_timeout`]: 10 seconds.
pub const DEFAULT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The default of [`Builder::idle_timeout`]: 6 minutes, for Prometheus keeps idle connections for 5.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(6 * 60);
/// The default of [`Builder::write_timeout`]: 30 seconds.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The default of [`Builder::drain_timeout`]: 5 seconds.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The default of [`Builder::scrape_timeout`]: 10 seconds, which is also Prometheus' own.
pub const DEFAULT_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// The default of [`Builder::max_scrape_timeout`]: 2 minutes.
pub const DEFAULT_MAX_SCRAPE_TIMEOUT: Duration = Duration::from_secs(120);
/// The default of [`Builder::scrape_timeout_margin`]: half a second.
pub const DEFAULT_SCRAPE_TIMEOUT_MARGIN: Duration = Duration::from_millis(500);

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
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `bind()`"]
pub struct Builder {
    served: Served,
    transport: Transport,
    locked: Locked,
}

impl Builder {
    /// Serves this registry; repeatable. Default: [`prometheus::default_registry()`], if none is given.
    ///
    /// Where several registries know one name, its metrics stand together, as in one registry; a series that two of
    /// them have is served once, the earlier registry's; a name under two types is served as the earlier has it, and
    /// counted in `prometheus_exporter_errors_total{cause="type_conflict"}`.
    ///
    /// Each registry is gathered by itself: one whose collector panics is left out, and the others are served. With more
    /// than one, `prometheus_exporter_registry_up{registry}` tells. Its name, there and for `registry[]`, is its place:
    /// `default` for the first, then `1`, `2`, …; see [`registry_named`](Self::registry_named).
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.served.registries.push((None, registry.clone()));
        self
    }

    /// [`registry`](Self::registry) with a name of its own, by which a scrape can ask for it: `/metrics?registry[]=db`.
    ///
    /// No two registries may have the same name; [`bind`](Self::bind) tells.
    pub fn registry_named(mut self, name: impl Into<String>, registry: &Registry) -> Self {
        self.served.registries.push((Some(name.into()), registry.clone()));
        self
    }

    /// Runs async work before each gather; repeatable. Default: none.
    ///
    /// `prometheus`' collectors are synchronous: what takes a query or a request to find out is found out here, and set.
    /// All hooks run at once, once per gather however many clients share it. They run on the runtime on which
    /// [`bind`](Self::bind) was called, if there was one, for their sockets and timers belong there; else on the server's own,
    /// which a hook must not block.
    ///
    /// Hooks have half of the time of the client that waits longest, and at most half of the default
    /// [`scrape_timeout`](Self::scrape_timeout): see [`ScrapeContext::deadline`]. A client with a short timeout does not cancel
    /// hooks or gathers that other clients wait for. Set `scrape_timeout` to what your Prometheus has.
    ///
    /// A hook that fails, panics or is late is cancelled, and the scrape goes on with the values there are. This is logged as a
    /// warning; at debug level if the hook was cancelled because all clients waited for less than the default timeout.
    /// `prometheus_exporter_hook_success{hook}` and `prometheus_exporter_hook_duration_seconds{hook}` tell. No two hooks
    /// may have the same name; `bind` tells.
    ///
    /// ```
    /// use prometheus_hyper::{ScrapeContext, Server, prometheus::{Gauge, Registry}};
    /// # async fn queue_depth() -> std::io::Result<f64> { Ok(7.0) }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = Registry::new();
    /// let depth = Gauge::new("queue_depth", "Jobs that wait")?;
    /// registry.register(Box::new(depth.clone()))?;
    ///
    /// let guard = Server::builder()
    ///     .registry(&registry)
    ///     .before_scrape("queue", move |_: ScrapeContext| {
    ///         let depth = depth.clone();
    ///         async move {
    ///             depth.set(queue_depth().await?);
    ///             Ok(())
    ///         }
    ///     })
    ///     .listen("127.0.0.1:0")
    ///     .bind()?
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_scrape<F, Fut>(mut self, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(ScrapeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.served.hooks.push(Hook::new(name.into(), hook));
        self
    }

    /// Probes, at this path, the target that a scrape of it names, `/probe?target=db1:5432`: the
    /// [multi-target pattern](https://prometheus.io/docs/guides/multi-target-exporter/). Repeatable, with another path each time.
    /// Default: none.
    ///
    /// What the probe brings is a registry of its own, made for it, that is served in whatever format, coding and selection of
    /// `name[]` the scraper wants, with `probe_success` and `probe_duration_seconds`, unless it has these itself. Nothing else is
    /// served there: how probes fare is told with the metrics, as `prometheus_exporter_probes_total{path,outcome}` and
    /// `prometheus_exporter_probe_duration_seconds{path}`.
    ///
    /// | the probe | the answer |
    /// | --- | --- |
    /// | `Ok(registry)` | 200, `probe_success 1` |
    /// | fails, panics, or is not done at [`ProbeRequest::deadline`] | 200, `probe_success 0` |
    /// | [`ProbeError::bad_request`](crate::ProbeError::bad_request) | 400 with that sentence |
    /// | is one too many, see [`max_probes`](Self::max_probes) | 503 |
    ///
    /// It runs as a task, where hooks run; see [`before_scrape`](Self::before_scrape). It is cancelled at its deadline and when its
    /// client has closed the connection, or its sending side (over HTTP/1 not if it has sent anything behind the request: then at
    /// the deadline). Its registry is gathered on a thread of the server's, where a collector may block until the deadline. What it leaves behind in the target, or in tasks of its own, it
    /// must see to itself. HEAD is a probe, too. Probes are shared by nobody: two scrapers of a target are two probes.
    ///
    /// `name[]` and a known `format` are the server's, as with the metrics; all parameters have to be well-formed, or it is a 400.
    /// The path is as [`metrics_path`](Self::metrics_path) has it. Whoever may ask can make the program connect to whatever they
    /// name; think of [`allow_network`](Self::allow_network) and its kin.
    ///
    /// ```
    /// use prometheus_hyper::{ProbeRequest, Server, prometheus::{Gauge, Registry}};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let guard = Server::builder()
    ///     .probe("/probe", |probe: ProbeRequest| async move {
    ///         let target = probe.target()?; // a 400, if there is none
    ///         let connected = tokio::net::TcpStream::connect(target).await?;
    ///         let ttl = Gauge::new("target_ttl", "Time to live of what is sent to the target")?;
    ///         ttl.set(connected.ttl()?.into());
    ///         let registry = Registry::new();
    ///         registry.register(Box::new(ttl))?;
    ///         Ok(registry)
    ///     })
    ///     .listen("127.0.0.1:0")
    ///     .bind()?
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn probe<F, Fut>(mut self, path: impl Into<String>, probe: F) -> Self
    where
        F: Fn(ProbeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Registry, ProbeError>> + Send + 'static,
    {
        self.served.probes.push(ProbePath::new(path.into(), probe));
        self
    }

    /// How many probes may be under way at once, at all paths; at least 1. A probe is under way until its registry has been written,
    /// or its collectors have come back, also if its scraper has long been answered. One more is answered with a 503. Default:
    /// [`DEFAULT_MAX_PROBES`](crate::DEFAULT_MAX_PROBES).
    pub fn max_probes(mut self, probes: usize) -> Self {
        self.served.max_probes = probes;
        self
    }

    /// Listens on this address; repeatable, and beside whatever else it listens on. No default:
    /// [`bind`](Self::bind) needs something to listen on.
    ///
    /// A name is resolved at once, which blocks as [`ToSocketAddrs`] does. If it resolves to several addresses,
    /// `bind` takes the first that works, as [`TcpListener::bind`] does. Port 0 lets the operating system choose;
    /// [`Server::local_addr`] tells. `[::]` takes IPv4, too, where the operating system has it so, as Linux does.
    ///
    /// An error of `bind` names the address, by its `Debug` where it does not resolve.
    pub fn listen(self, addr: impl ToSocketAddrs + fmt::Debug) -> Self {
        let resolved: io::Result<Vec<_>> = addr.to_socket_addrs().and_then(|addrs| {
            let addrs: Vec<_> = addrs.collect();
            let none = || io_error::new(io::ErrorKind::InvalidInput, "there is no address");
            if addrs.is_empty() { Err(none()) } else { Ok(addrs) }
        });
        let resolved =
            resolved.map_err(|error| io_error::annotated(error, format_args!("cannot resolve {addr:?}")));
        self.door("listen", move |_| Ok(vec![listener::tcp::bind(resolved?)?]))
    }

    /// Listens on a TCP socket that exists, as another process or a test has made it; repeatable.
    pub fn tcp_listener(self, listener: TcpListener) -> Self {
        self.door("tcp_listener", move |_| Ok(vec![listener::tcp::from_std(listener)?]))
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
    /// in the socket's place, even while its mode is set. Of two servers that replace the same socket at the same moment, the
    /// last one keeps the path.
    ///
    /// Prometheus scrapes Unix sockets from 3.15 on; `curl --unix-socket PATH http://localhost/metrics` does, too.
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.door("listen_unix", move |mode| Ok(vec![listener::unix::bind(&path, mode)?]))
    }

    /// The mode of the files that [`listen_unix`](Self::listen_unix) makes: who may write to one may scrape. It is set before
    /// the socket listens. Default: [`DEFAULT_UNIX_SOCKET_MODE`].
    pub fn unix_socket_mode(mut self, mode: u32) -> Self {
        self.transport.unix_socket_mode = mode;
        self
    }

    /// Listens on a Unix socket that exists; repeatable. Its file is left alone.
    #[cfg(unix)]
    pub fn unix_listener(self, listener: std::os::unix::net::UnixListener) -> Self {
        self.door("unix_listener", move |_| Ok(vec![listener::unix::from_std(listener)?]))
    }

    /// Listens on the sockets, TCP and Unix, that systemd has opened for this process (`ListenStream=` in a socket unit,
    /// [systemd.socket(5)](https://www.freedesktop.org/software/systemd/man/latest/systemd.socket.html)), and tells systemd
    /// `READY=1` when it serves and `STOPPING=1` when it stops, if `NOTIFY_SOCKET` is set (`Type=notify`). Their files, if they
    /// have some, are systemd's.
    ///
    /// Both speak for the whole service, and after `STOPPING=1` systemd expects the end of the process. So this is for
    /// exporters, whose service the metrics server is; a program that tells systemd itself should not listen this way. A
    /// notice that can not be delivered at once is not sent again, and is a warning in the log.
    ///
    /// All of them are taken, once in a process; nobody else in the process may take them. [`bind`](Self::bind) fails with
    /// [`NotFound`](io::ErrorKind::NotFound) and says what is missing of `LISTEN_PID` and `LISTEN_FDS`, and with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) and the socket's name (`LISTEN_FDNAMES`) if one is of another kind or
    /// does not listen (`Accept=yes`). Elsewhere than on Linux it is [`Unsupported`](io::ErrorKind::Unsupported).
    #[cfg(feature = "systemd")]
    pub fn listen_systemd(mut self) -> Self {
        self.transport.notify = Some(listener::systemd::tell);
        self.door("listen_systemd", |_| listener::systemd::sockets())
    }

    fn door(
        mut self,
        option: &'static str,
        open: impl FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync + 'static,
    ) -> Self {
        self.transport.doors.push(Door::new(option, open));
        self
    }

    /// Where the metrics are served. Default: [`DEFAULT_METRICS_PATH`].
    ///
    /// An absolute path as it stands in a request, percent-encoded where need be, without a query; it is matched
    /// exactly. It begins with a single slash, and has no backslash, which a browser takes for one. At `/` the metrics take
    /// the place of the page. `/-/healthy` and `/-/ready` are taken.
    pub fn metrics_path(mut self, path: impl Into<String>) -> Self {
        self.transport.metrics_path = path.into();
        self.transport.metrics_path_option = "metrics_path";
        self
    }

    /// Whether the default collectors are served: [`ProcessCollector`](crate::collector::ProcessCollector) (feature `process`)
    /// and, if [`bind`](Self::bind), [`start`](Server::start), [`serve`](Server::serve) or [`into_handler`](Self::into_handler) is
    /// called within a tokio runtime, that runtime's [`RuntimeCollector`](crate::collector::RuntimeCollector) (feature `runtime`), and how long that
    /// runtime keeps a ready task waiting. Default: `true` with the default registry, `false` with explicit ones.
    ///
    /// They live in registries of their own, and come along whatever `registry[]` selects. Where a registry has a series of
    /// theirs, or a name of theirs under another type, theirs is served.
    pub fn default_collectors(mut self, serve: bool) -> Self {
        self.served.default_collectors = Some(serve);
        self
    }

    /// Serves `<name>_build_info{version="…"} 1`, by which a graph shows which version ran when. Default: not served.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use prometheus_hyper::{Server, build_info};
    ///
    /// let guard = Server::builder().build_info(build_info!()).listen("127.0.0.1:0").bind()?.start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_info(mut self, build_info: BuildInfo) -> Self {
        self.served.build_info = Some(build_info);
        self
    }

    /// What the page at `/` says of the program; `None`, and `/` is a 404. Default: a page of the name and version that
    /// [`build_info`](Self::build_info) has, else of the executable's name.
    ///
    /// A browser shows the metrics there, live: it scrapes [`metrics_path`](Self::metrics_path) every two seconds while
    /// somebody looks at it, as any client does, through the same locks and into the same counts, but never as the last scrape
    /// of [`shutdown_after_scrape`](crate::Guard::shutdown_after_scrape). The server keeps nothing for it. Where the metrics are
    /// at `/` there is no page, nor has [`into_handler`](Self::into_handler) one.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use prometheus_hyper::{Page, Server};
    ///
    /// let page = Page::new("My exporter").description("What it is for.").link("Manual", "https://example.org/");
    /// let with_page = Server::builder().landing_page(page).listen("127.0.0.1:0").bind()?.start()?;
    /// let without = Server::builder().landing_page(None).listen("127.0.0.1:0").bind()?.start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn landing_page(mut self, page: impl Into<Option<Page>>) -> Self {
        self.served.landing_page = page.into();
        self
    }

    /// Whether the server's own metrics, `prometheus_exporter_*`, are served beside the registries'. Default: `true`.
    ///
    /// They live in a registry of the server's own; nothing is ever registered into yours.
    pub fn self_metrics(mut self, serve: bool) -> Self {
        self.served.self_metrics = serve;
        self
    }

    /// Whether OpenMetrics 1.0.0 is served to those who prefer it. Default: `false`.
    ///
    /// Prometheus 2 does. It writes `le="1.0"` where the text format writes `le="1"`: to Prometheus 2 another series, so
    /// this is yours to choose.
    pub fn openmetrics(mut self, serve: bool) -> Self {
        self.served.openmetrics = serve;
        self
    }

    /// Whether the protobuf format is served to those who prefer it. Default: `false`.
    ///
    /// Prometheus does with native histograms switched on, or with `scrape_protocols` so set. As OpenMetrics it makes
    /// `le="1"` to `le="1.0"` in Prometheus 2. Names outside the legacy alphabet `[a-zA-Z0-9_:]` are escaped as the client asks,
    /// in its clause for protobuf or in those for the text formats. A client that asks for nothing, as Prometheus 2, gets
    /// underscores.
    #[cfg(feature = "protobuf")]
    pub fn protobuf(mut self, serve: bool) -> Self {
        self.served.protobuf = serve;
        self
    }

    /// Whether responses are compressed for those who ask for it, which Prometheus does, with what the features have:
    /// `gzip` (on by default) and `zstd`. Default: `true`. Below 1 KiB they are sent as they are.
    pub fn compression(mut self, compress: bool) -> Self {
        self.served.compression = compress;
        self
    }

    /// How long a scrape may take if the scraper does not say how long it waits. Above zero; [`Duration::MAX`] is for
    /// ever, but for [`max_scrape_timeout`](Self::max_scrape_timeout). Default: [`DEFAULT_SCRAPE_TIMEOUT`].
    ///
    /// Prometheus says it, with the header `X-Prometheus-Scrape-Timeout-Seconds`. Past its time a scrape is answered with
    /// a 503. Whatever clients say, [hooks](Self::before_scrape) have at most half of this option's time. If a scrape times out
    /// while a registry has been gathered for nine tenths of this time, a warning names the registry.
    pub fn scrape_timeout(mut self, timeout: Duration) -> Self {
        self.served.scrape_timeout = timeout;
        self
    }

    /// How long a scrape may take at the most, whatever the scraper says. Above zero; [`Duration::MAX`] is for ever.
    /// Default: [`DEFAULT_MAX_SCRAPE_TIMEOUT`].
    pub fn max_scrape_timeout(mut self, timeout: Duration) -> Self {
        self.served.max_scrape_timeout = timeout;
        self
    }

    /// What is taken off the scraper's own timeout, for the way there and back; a fifth of it at the most. Default:
    /// [`DEFAULT_SCRAPE_TIMEOUT_MARGIN`].
    pub fn scrape_timeout_margin(mut self, margin: Duration) -> Self {
        self.served.scrape_timeout_margin = margin;
        self
    }

    /// How many scrapes may be answered at once, counted from a request's credentials to the head of its answer; those beyond get
    /// a 503 with `Retry-After` and are counted in `prometheus_exporter_denied_total{reason="max_requests"}`. Zero is no limit, as
    /// it is for `MaxRequestsInFlight` of Go's
    /// [promhttp](https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/promhttp#HandlerOpts). Default: no limit.
    ///
    /// Scrapes share a gather, so that many of them cost little more than one, and each has a deadline: this is for those who
    /// want to be told by a 503 rather than to wait. The metrics' path alone is limited, GET and HEAD, here and in
    /// [`into_handler`](Self::into_handler); see [`max_connections`](Self::max_connections) for the rest.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.served.max_requests = Some(requests);
        self
    }

    /// Sets how many bytes of expositions may be kept in memory for clients that have not taken them yet, over all connections.
    /// Default: 64 MiB, or four times the largest exposition of the last gather if that is more.
    ///
    /// An exposition that several clients share counts once. Over the budget, the server evicts the client that has been
    /// slow for longest to take an exposition, and a scrape waits up to 2 s for this. If the budget is still exceeded, a scrape of a part (`name[]`,
    /// `registry[]`) and a probe are answered with a 503 and `Retry-After`, counted in
    /// `prometheus_exporter_denied_total{reason="unsent"}`. A whole exposition is always answered. A mounted handler has no such
    /// budget, because its server has the connections.
    pub fn max_unsent(mut self, bytes: usize) -> Self {
        self.served.max_unsent = Some(bytes);
        self
    }

    /// Sets how many connections may be open at once. At least 1. Default:
    /// [`DEFAULT_MAX_CONNECTIONS`](crate::DEFAULT_MAX_CONNECTIONS), or a quarter of the process's descriptor limit if
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
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.transport.max_connections = Some(connections);
        self
    }

    /// Lets only this network connect, such as `10.0.0.0/8` or `2001:db8::1`; repeatable. Default: all.
    ///
    /// Looked at when a connection is accepted, before a byte of it is read: others are closed, counted in
    /// `prometheus_exporter_denied_total{reason="address"}` and logged at debug level. IPv4-mapped addresses are their IPv4
    /// selves; peers on a Unix socket pass. Behind a proxy it is the proxy's address that counts.
    pub fn allow_network(mut self, network: impl Into<String>) -> Self {
        self.locked.allow.push(network.into());
        self
    }

    /// Lets those in who send this token (RFC 6750); repeatable, so that one can take the place of another, and beside
    /// [`basic_auth`](Self::basic_auth), of which either is enough. Default: none, and everybody is let in.
    ///
    /// A token is of ASCII letters, digits and `-._~+/`; let it be long and random. Its digest is kept, and compared in constant
    /// time. Who sends none, or a wrong one, gets a 401. `/-/healthy` and `/-/ready` stay open; see
    /// [`auth_for_health`](Self::auth_for_health). Without TLS whoever can listen on the way can read it.
    #[cfg(feature = "auth")]
    pub fn bearer_token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.locked.keyring.push_token(token.as_ref());
        self
    }

    /// Lets this user in with the password of which this is the bcrypt hash (RFC 7617; `htpasswd -nBC 10 USER` makes one);
    /// repeatable. Default: none, and everybody is let in.
    ///
    /// Passwords are verified on a thread of their own, in turns, eight under way at the most; beyond that, and after ten wrong
    /// ones from one address, a 429 asks to wait. One that was right is remembered, as a digest, and from the addresses it came
    /// from costs nothing from then on. An unknown user costs what a known one does.
    #[cfg(feature = "auth")]
    pub fn basic_auth(mut self, user: impl AsRef<str>, bcrypt_hash: impl AsRef<str>) -> Self {
        self.locked.keyring.push_user(user.as_ref(), bcrypt_hash.as_ref());
        self
    }

    /// Whether `/-/healthy` and `/-/ready` are locked as the rest is, and limited. Default: `false`, for those who ask have no
    /// credentials, and must not be told that a program is ill because it is asked much.
    pub fn auth_for_health(mut self, required: bool) -> Self {
        self.locked.auth_for_health = required;
        self
    }

    /// Answers `burst` requests at once and one more each `interval`; those beyond get a 429 with `Retry-After`. An interval of
    /// zero is no limit, a burst of zero refuses every request. Default: no limit.
    ///
    /// The limit is one for all clients. Where credentials are configured it counts only requests whose credentials are
    /// right, so clients without them take nothing of it. Failed logins have a limit of their own for each address; see
    /// [`basic_auth`](Self::basic_auth).
    pub fn rate_limit(mut self, interval: Duration, burst: u32) -> Self {
        self.locked.rate_limit = Some((interval, burst));
        self
    }

    /// Answers only requests whose `Host` is one of these names, exactly, without the port; others get a 403. Default: any.
    ///
    /// Prevents DNS rebinding: a page elsewhere can give its own name your address, and so make a browser inside your network
    /// read what is served here. The `Host` that this browser sends is the page's own name.
    ///
    /// The names hold for every path except `/-/healthy` and `/-/ready`, before the credentials are looked at, and for a
    /// [mounted handler](Self::into_handler). List what your scrapers ask by, too: Prometheus sends the target's address as
    /// `Host`, such as `10.0.0.7`. A request without a `Host`, as HTTP/1.0 allows it, gets the 403.
    pub fn allowed_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.locked.allowed_hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Secures all connections with this configuration of rustls, as it is: its provider of cryptography, its versions, its
    /// certificates and verifiers. Default: plain HTTP.
    ///
    /// HTTP/1.1 is spoken. A handshake may take 10 seconds. [`bind`](Self::bind) refuses `alpn_protocols` other than
    /// `http/1.1`, and early data, which can be replayed.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: Arc<tokio_rustls::rustls::ServerConfig>) -> Self {
        self.locked.tls.given = Some(config);
        self
    }

    /// Secures all connections with the certificate chain and the key in these files, in PEM, with rustls and `ring`: TLS 1.2 and
    /// 1.3, no resumption, no early data. Default: plain HTTP.
    ///
    /// The files are read again when they change; the server looks once a second. A new version counts once two looks in a row have seen the same bytes, so a file that is being written does
    /// not count. One that can not be used leaves the last good one in force, is logged once, and shows in
    /// `prometheus_exporter_tls_certificate_reload_success`. `prometheus_exporter_tls_certificate_expiry_timestamp_seconds`
    /// tells until when the certificate is valid. Who speaks plain HTTP on such a port is told so, with a 400.
    #[cfg(feature = "tls")]
    pub fn tls_files(mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.locked.tls.files = Some((certificates.into(), key.into()));
        self
    }

    /// Lets only clients in that show a certificate of a CA in this file, in PEM; beside [`tls_files`](Self::tls_files), and
    /// read again as those are. Default: clients are not asked for certificates.
    ///
    /// When the file changes, the connections that were let in before end: idle ones at once, those being answered with that
    /// answer, which says `Connection: close`. Prometheus connects again.
    #[cfg(feature = "tls")]
    pub fn tls_client_ca(mut self, certificates: impl Into<PathBuf>) -> Self {
        self.locked.tls.client_ca = Some(certificates.into());
        self
    }

    /// Lets this file say how connections are secured and who may come in: the
    /// [web-config file](https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md) that Prometheus
    /// and its exporters share, all of its keys. Default: none. The key `http2` is accepted and has no effect: HTTP/1.1 is
    /// what is spoken.
    ///
    /// It takes the place of [`tls_files`](Self::tls_files), [`bearer_token`](Self::bearer_token),
    /// [`basic_auth`](Self::basic_auth), [`rate_limit`](Self::rate_limit) and their kin, beside which `bind` refuses it. It is
    /// strict: what upstream would ignore or do otherwise than written is an error that names file, line and key.
    ///
    /// It and the files it names are read again when they change; the server looks once a second, a mounted handler when it is
    /// asked. A new version counts once two looks in a row have seen the same bytes, so a file that is being written does
    /// not count; the first version counts at once. One that can not be used leaves the last good one in force, is logged once,
    /// and shows in `prometheus_exporter_web_config_reload_success`.
    ///
    /// A version that takes away a protection of the one in force, or turns TLS on, can not be used either: a file that was
    /// cut or emptied by mistake is well-formed. Restart the program for these changes. Everything else follows the file.
    ///
    /// When the client CA, `client_auth_type` or the allowed names change, or a user is gone or has another password, the
    /// connections that were let in before end. Idle connections close at once. A connection with a request in flight closes
    /// after its response, which carries `Connection: close`.
    ///
    /// | protection | needs a restart | follows the file |
    /// | --- | --- | --- |
    /// | `tls_server_config` | TLS on or off | certificates, versions, cipher suites |
    /// | `client_auth_type` | no certificate demanded, or none verified, where it was | another CA, a stricter type |
    /// | `client_allowed_sans` | no list where there was one | another list, a longer one, too |
    /// | `basic_auth_users` | no user where there was one | other users, fewer users, other passwords |
    /// | `rate_limit` | no limit where there was one | another limit |
    #[cfg(feature = "web-config")]
    pub fn web_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.locked.web_config = Some(locked::ConfigFile { path: path.into(), option: "web_config" });
        self
    }

    /// How long a request's head may take, counted from its first byte, for a connection's first request from the
    /// moment it was accepted. Above zero; [`Duration::MAX`] is for ever. Default: [`DEFAULT_HEAD_TIMEOUT`].
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.transport.head_timeout = timeout;
        self
    }

    /// How long a connection may be idle between a response and the next request. Above zero; [`Duration::MAX`] is
    /// for ever. Default: [`DEFAULT_IDLE_TIMEOUT`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.transport.idle_timeout = timeout;
        self
    }

    /// How long a client may take nothing of a response that waits for it; each byte it takes begins the time anew. What it
    /// takes is seen from this side of the kernel's buffers, which empty in steps of some 64 KiB, over Unix sockets and on systems
    /// other than Linux maybe in larger ones. So a client that takes less than that within this time, which is 2 KiB a second by
    /// default, looks like one that takes nothing, unless these buffers hold what is left for it.
    /// At the connection limit slow clients have less time: see [`max_connections`](Self::max_connections).
    /// Above zero; [`Duration::MAX`] is for ever. Default: [`DEFAULT_WRITE_TIMEOUT`].
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.transport.write_timeout = timeout;
        self
    }

    /// How long a stop may take for what is in flight; then the rest is cut. Zero cuts at once, [`Duration::MAX`]
    /// waits for ever. Default: [`DEFAULT_DRAIN_TIMEOUT`].
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.transport.drain_timeout = timeout;
        self
    }

    /// Opens the ports. Needs no runtime.
    ///
    /// # Errors
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput), naming the option, if one of them makes no sense.
    /// * What resolving or binding an address failed with, its [`kind`](io::Error::kind) kept and the address named.
    /// * What reading a certificate, a key or a web-config file failed with, the file named.
    ///
    /// Each begins with the option's name, or with that of the flag that gave the value (`WebArgs`, feature `cli`). What the
    /// operating system said is behind [`source`](std::error::Error::source), with its
    /// [`raw_os_error`](io::Error::raw_os_error). An error's `Debug`, which a failed `main` prints, has the same sentence in it.
    pub fn bind(self) -> io::Result<Server> {
        let Builder { served, transport, locked } = self;
        if let Some(fault) = fault(&transport, &served, &locked) {
            return Err(io_error::new(io::ErrorKind::InvalidInput, fault));
        }
        let telemetry = Arc::new(Telemetry::new());
        let allow = locked.allow_list(&telemetry);
        let (locks, tls) = locked.open(&telemetry)?;
        transport.bind(allow, tls, |metrics_path| served.router(metrics_path, locks, telemetry))
    }

    /// The same metrics for an HTTP server that the program has already: a service to be mounted there.
    ///
    /// It serves the metrics wherever it is mounted; paths, connections and their limits are that server's, so
    /// [`listen`](Self::listen) and the like mean nothing here. The default collectors watch the runtime around this call,
    /// and hooks run there; without one, where the first request is answered.
    ///
    /// Tokens, users, the rate limit and the allowed hosts hold there, too, all clients counting as one address. What a handler can not see, addresses
    /// and connections, is that server's: [`allow_network`](Self::allow_network) and TLS are refused in the log, and a web-config file that wants
    /// clients' certificates verified lets nobody in.
    ///
    /// It never fails. Where [`bind`](Self::bind) would refuse an option, a line in the log, at level error, says so, and it
    /// is served as well as can be: of two registries or hooks with one name the first is meant by it, a timeout of zero
    /// is the default, and a token or a user with a fault lets nobody in.
    pub fn into_handler(self) -> Handler {
        let Builder { mut served, transport: _, locked } = self;
        let not_for_handlers = [served.not_for_handlers(), locked.not_for_handlers()];
        let not_for_handlers = not_for_handlers.into_iter().flatten().map(str::to_owned);
        for fault in [served.fault(), locked.fault()].into_iter().flatten().chain(not_for_handlers) {
            tracing::error!("{fault}");
        }
        served.repair();
        // There are no paths for them.
        served.landing_page = None;
        served.probes.clear();
        let telemetry = Arc::new(Telemetry::new());
        let locks = locked.open_for_handler(&telemetry);
        Handler::new(served.router(DEFAULT_METRICS_PATH.to_owned(), locks, telemetry))
    }
}

/// What makes no sense, beginning with the option's name.
fn fault(transport: &Transport, served: &Served, locked: &Locked) -> Option<String> {
    transport
        .fault()
        .or_else(|| served.fault())
        .or_else(|| served.fault_of_probes(&transport.metrics_path, transport.metrics_path_option))
        .or_else(|| locked.fault())
}
