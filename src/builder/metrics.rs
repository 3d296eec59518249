//! Options of what is served.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use prometheus::Registry;

use super::Builder;
use crate::collector::BuildInfo;
use crate::exposition::encode;
use crate::http::page::Page;
use crate::http::path::{INVALID_PATH, path_is_valid};
use crate::scrape::probe::{ProbeError, ProbePath, ProbeRequest};
use crate::scrape::{BoxError, Hook, ScrapeContext};

/// What [`Builder::registry`] takes: a [`Registry`], owned, borrowed or shared.
pub trait IntoRegistry {
    /// Returns the registry, or a clone, which shares its metrics.
    fn into_registry(self) -> Registry;
}

impl IntoRegistry for Registry {
    fn into_registry(self) -> Registry {
        self
    }
}

impl IntoRegistry for &Registry {
    fn into_registry(self) -> Registry {
        self.clone()
    }
}

impl IntoRegistry for Arc<Registry> {
    fn into_registry(self) -> Registry {
        (*self).clone()
    }
}

impl IntoRegistry for &Arc<Registry> {
    fn into_registry(self) -> Registry {
        (**self).clone()
    }
}

impl IntoRegistry for &LazyLock<Registry> {
    fn into_registry(self) -> Registry {
        (**self).clone()
    }
}

impl Builder {
    /// Serves this registry; repeatable. Default: [`prometheus::default_registry()`], if none is given.
    ///
    /// The server keeps a clone, which shares its metrics: pass it owned, borrowed, in an `Arc` or as a `LazyLock`.
    ///
    /// Metrics of one name in several registries are served as one family. A series that two of them have is served once, from the
    /// earlier registry. A name under two types is served as the earlier registry has it, and counted in
    /// `prometheus_exporter_errors_total{cause="type_conflict"}`.
    ///
    /// Each registry is gathered by itself: one whose collector panics is omitted, and the others are served. With more than one,
    /// `prometheus_exporter_registry_up{registry}` shows it. The name there and in `registry[]` is `default` for the first registry,
    /// then `1`, `2`, …; see [`registry_named`](Self::registry_named).
    pub fn registry(mut self, registry: impl IntoRegistry) -> Self {
        self.metrics.push(None, registry.into_registry());
        self
    }

    /// [`registry`](Self::registry) with a name, by which a scrape can select it: `/metrics?registry[]=db`.
    ///
    /// [`bind`](Self::bind) refuses two registries of one name.
    pub fn registry_named(mut self, name: impl Into<String>, registry: impl IntoRegistry) -> Self {
        self.metrics.push(Some(name.into()), registry.into_registry());
        self
    }

    /// Runs async work before each gather; repeatable. Default: none.
    ///
    /// Collectors of `prometheus` are synchronous. Work that needs a query or a request runs here and sets the values.
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
    /// `prometheus_exporter_hook_success{hook}` and `prometheus_exporter_hook_duration_seconds{hook}` show it.
    /// `bind` refuses two hooks of one name.
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
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_scrape<F, Fut>(mut self, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(ScrapeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.metrics.contents.hooks.push(Hook::new(name.into(), hook));
        self
    }

    /// Probes at this path the target that the request names, as `/probe?target=db1:5432`: the
    /// [multi-target pattern](https://prometheus.io/docs/guides/multi-target-exporter/). Repeatable, with another path each time.
    /// Default: none.
    ///
    /// The probe returns a registry made for it. It is served in the format, coding and selection of `name[]` that the client
    /// wants, with `probe_success` and `probe_duration_seconds` unless the registry has these. The metrics of the server count
    /// probes: `prometheus_exporter_probes_total{path,outcome}` and `prometheus_exporter_probe_duration_seconds{path}`.
    ///
    /// | the probe | the response |
    /// | --- | --- |
    /// | returns `Ok(registry)` | 200, `probe_success 1` |
    /// | fails, panics, or is not done at [`ProbeRequest::deadline`] | 200, `probe_success 0` |
    /// | returns [`ProbeError::bad_request`](crate::ProbeError::bad_request) | 400 with that sentence |
    /// | is beyond [`max_probes`](Self::max_probes) | 503 |
    ///
    /// A probe is a task on the runtime of the hooks; see [`before_scrape`](Self::before_scrape). It is cancelled at its deadline and
    /// when its client closes the connection or its sending side (over HTTP/1 not if the client has sent more after the request: then
    /// at the deadline). Its registry is gathered on a thread of the server, where a collector may block until the deadline. The
    /// probe itself must clean up what it leaves in the target or in tasks of its own. HEAD probes, too. Probes are not shared: two
    /// scrapers of a target are two probes.
    ///
    /// `name[]` and a known `format` work as for the metrics. A malformed query is a 400. The path is as in
    /// [`metrics_path`](Self::metrics_path). Clients can make the program connect to whatever they name: think of
    /// [`allow_network`](Self::allow_network) and credentials.
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
    ///     .start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn probe<F, Fut>(mut self, path: impl Into<String>, probe: F) -> Self
    where
        F: Fn(ProbeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Registry, ProbeError>> + Send + 'static,
    {
        let path = path.into();
        if !path_is_valid(&path) {
            self.faults.add("probe", format!("probe: {path:?} {INVALID_PATH}"));
        }
        self.faults.of_server("probe");
        self.metrics.probes.push(ProbePath::new(path, probe));
        self
    }

    /// Sets how many probes may run at once, at all paths; `None` is no limit. Default:
    /// [`DEFAULT_MAX_PROBES`](Self::DEFAULT_MAX_PROBES).
    ///
    /// A probe runs until its registry has been written and its collectors have returned, also if its client has gone. Beyond the limit
    /// the response is a 503.
    pub fn max_probes(mut self, probes: impl Into<Option<usize>>) -> Self {
        self.metrics.max_probes = self.faults.check_limit("max_probes", probes);
        self.faults.of_server("max_probes");
        self
    }

    /// Sets the path of the metrics. Default: [`DEFAULT_METRICS_PATH`](Self::DEFAULT_METRICS_PATH).
    ///
    /// An absolute path as it is sent in a request: percent-encoded, without a query; it is matched exactly. It begins with a single
    /// slash and has no backslash, which a browser takes for a slash. `/-/healthy` and `/-/ready` are taken. At `/` the metrics
    /// replace the page.
    pub fn metrics_path(self, path: impl Into<String>) -> Self {
        self.metrics_path_of("metrics_path", path.into())
    }

    /// The path that this option or flag gives.
    pub(super) fn metrics_path_of(mut self, option: &'static str, path: String) -> Self {
        let fault = (!path_is_valid(&path)).then(|| format!("metrics_path: {path:?} {INVALID_PATH}"));
        self.faults.check("metrics_path", fault);
        self.faults.of_server(option);
        self.metrics.metrics_path = path;
        self.metrics.metrics_path_option = option;
        self
    }

    /// Sets whether the default collectors are served: [`ProcessCollector`](crate::collector::ProcessCollector) (feature `process`)
    /// and, if [`bind`](Self::bind), [`start`](crate::Server::start), [`serve`](crate::Server::serve) or [`into_handler`](Self::into_handler) is
    /// called within a tokio runtime, that runtime's [`RuntimeCollector`](crate::collector::RuntimeCollector) (feature `runtime`), and how long that
    /// runtime keeps a ready task waiting. Default: `true` with the default registry, `false` with explicit ones.
    ///
    /// They live in registries of their own, and come along whatever `registry[]` selects. Where a registry has a series of
    /// theirs, or a name of theirs under another type, theirs is served.
    pub fn default_collectors(mut self, serve: bool) -> Self {
        self.metrics.default_collectors = Some(serve);
        self
    }

    /// Serves `<name>_build_info{version="…"} 1`, by which a graph shows which version ran when. Default: not served.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use prometheus_hyper::{Server, build_info};
    ///
    /// let guard = Server::builder().build_info(build_info!()).listen("127.0.0.1:0").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_info(mut self, build_info: BuildInfo) -> Self {
        self.metrics.build_info = Some(build_info);
        self
    }

    /// Sets what the page at `/` says of the program; `None` disables the page, and `/` is a 404. Default: a page with the name and
    /// version of [`build_info`](Self::build_info), else with the name of the executable.
    ///
    /// A browser shows the metrics there, live: it scrapes [`metrics_path`](Self::metrics_path) every two seconds while
    /// somebody looks at it, as any client does, under the same access control and counted as any scrape, but never as the last scrape
    /// of [`shutdown_after_scrape`](crate::Guard::shutdown_after_scrape). The server keeps nothing for it. Where the metrics are
    /// at `/` there is no page.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use prometheus_hyper::{Page, Server};
    ///
    /// let page = Page::new("My exporter").description("What it is for.").link("Manual", "https://example.org/");
    /// let with_page = Server::builder().landing_page(page).listen("127.0.0.1:0").start()?;
    /// let without = Server::builder().landing_page(None).listen("127.0.0.1:0").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn landing_page(mut self, page: impl Into<Option<Page>>) -> Self {
        let page = page.into();
        let fault = page.as_ref().and_then(Page::fault).map(|fault| format!("landing_page: {fault}"));
        self.faults.check("landing_page", fault);
        if page.is_some() {
            self.faults.of_server("landing_page");
        }
        self.metrics.landing_page = page;
        self
    }

    /// Sets whether the server's own metrics, `prometheus_exporter_*`, are served with those of the registries. Default: `true`.
    ///
    /// They are in a registry of the server; nothing is ever registered into yours.
    pub fn self_metrics(mut self, serve: bool) -> Self {
        self.metrics.contents.self_metrics = serve;
        self
    }

    /// Sets whether OpenMetrics 1.0.0 is served to clients that prefer it. Default: `false`.
    ///
    /// Prometheus 2 does. OpenMetrics writes `le="1.0"` where the text format writes `le="1"`, which is another series to Prometheus 2,
    /// so the choice is yours.
    pub fn openmetrics(mut self, serve: bool) -> Self {
        self.metrics.serve_formats(&[&encode::OPENMETRICS_100, &encode::OPENMETRICS_001], serve);
        self
    }

    /// Sets whether the protobuf format is served to clients that prefer it. Default: `false`.
    ///
    /// Prometheus does with native histograms switched on, or with `scrape_protocols` so set. As with OpenMetrics,
    /// `le="1"` becomes `le="1.0"` in Prometheus 2. Names outside the legacy alphabet `[a-zA-Z0-9_:]` are escaped as the client asks,
    /// in its clause for protobuf or in those for the text formats. A client that asks for nothing, as Prometheus 2, gets
    /// underscores.
    #[cfg(feature = "protobuf")]
    pub fn protobuf(mut self, serve: bool) -> Self {
        self.metrics.serve_formats(&[&encode::PROTOBUF], serve);
        self
    }

    /// Sets whether responses of at least 1 KiB are compressed for clients that accept it, as Prometheus does, with the codings of the
    /// features `gzip` (on by default) and `zstd`. Default: `true`.
    pub fn compression(mut self, compress: bool) -> Self {
        self.metrics.compression = compress;
        self
    }

    /// Sets the timeout of scrapes without an `X-Prometheus-Scrape-Timeout-Seconds` header, which Prometheus sends; `None` leaves
    /// [`max_scrape_timeout`](Self::max_scrape_timeout). Default: [`DEFAULT_SCRAPE_TIMEOUT`](Self::DEFAULT_SCRAPE_TIMEOUT).
    ///
    /// A scrape that takes longer is answered with a 503. [Hooks](Self::before_scrape) have at most half of this time, whatever clients
    /// send. If a scrape times out while a registry has been gathered for nine tenths of this time, a warning names the registry.
    pub fn scrape_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = self.faults.check_limit("scrape_timeout", timeout);
        self.metrics.timeouts.default = timeout.unwrap_or(Duration::MAX);
        self
    }

    /// Sets the longest timeout of a scrape, whatever the client sends; `None` is no limit. Default:
    /// [`DEFAULT_MAX_SCRAPE_TIMEOUT`](Self::DEFAULT_MAX_SCRAPE_TIMEOUT).
    pub fn max_scrape_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = self.faults.check_limit("max_scrape_timeout", timeout);
        self.metrics.timeouts.max = timeout.unwrap_or(Duration::MAX);
        self
    }

    /// Sets what is subtracted from the timeout that the client sends, for the way there and back, at most a fifth of it; `None` subtracts
    /// nothing. Default: [`DEFAULT_SCRAPE_TIMEOUT_MARGIN`](Self::DEFAULT_SCRAPE_TIMEOUT_MARGIN).
    pub fn scrape_timeout_margin(mut self, margin: impl Into<Option<Duration>>) -> Self {
        let margin = self.faults.check_limit("scrape_timeout_margin", margin);
        self.metrics.timeouts.margin = margin.unwrap_or_default();
        self
    }

    /// Sets how many scrapes may be answered at once; `None` is no limit. Default: no limit.
    ///
    /// A scrape counts from its credentials to the head of its response. Beyond the limit the response is a 503 with `Retry-After`,
    /// counted in `prometheus_exporter_denied_total{reason="max_requests"}`, as with `MaxRequestsInFlight` of Go's
    /// [promhttp](https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/promhttp#HandlerOpts).
    ///
    /// Scrapes share a gather, so many of them cost little more than one, and each has a deadline. This is for clients that prefer a
    /// 503 to a wait. It limits GET and HEAD of the metrics, here and in [`into_handler`](Self::into_handler);
    /// [`max_connections`](Self::max_connections) limits the rest.
    pub fn max_requests(mut self, requests: impl Into<Option<usize>>) -> Self {
        let requests = self.faults.check_limit("max_requests", requests);
        self.metrics.max_requests = Some(requests.unwrap_or_default());
        self
    }

    /// Sets how many bytes of expositions may be kept in memory for clients that have not taken them yet, over all connections.
    /// `None` is no limit.
    /// Default: 64 MiB, or four times the largest exposition of the last gather if that is more.
    ///
    /// An exposition that several clients share counts once. Over the budget, the server evicts the client that has been
    /// slow for longest, and a scrape waits up to 2 s for this. If the budget is still exceeded, a scrape of a part (`name[]`,
    /// `registry[]`) and a probe are answered with a 503 and `Retry-After`, counted in
    /// `prometheus_exporter_denied_total{reason="unsent"}`. A whole exposition is always answered.
    pub fn max_unsent(mut self, bytes: impl Into<Option<usize>>) -> Self {
        let bytes = self.faults.check_limit("max_unsent", bytes);
        self.metrics.contents.max_unsent = Some(bytes.unwrap_or(usize::MAX));
        self.faults.of_server("max_unsent");
        self
    }

    /// Sets whether `/-/ready` answers 200 or 503 before [`Guard::set_ready`](crate::Guard::set_ready) or a
    /// [`Readiness`](crate::Readiness) is called. Default: `true`.
    pub fn ready(mut self, ready: bool) -> Self {
        self.metrics.ready = ready;
        self.faults.of_server("ready");
        self
    }
}
