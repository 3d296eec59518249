//! Options of what is served.

use std::sync::{Arc, LazyLock};

use prometheus::Registry;

use super::Builder;
use crate::collector::BuildInfo;
use crate::exposition::encode;
#[cfg(feature = "page")]
use crate::http::page::{Landing, Page};
use crate::http::path::{INVALID_PATH, path_is_valid};
use crate::scrape::probe::{ProbeError, ProbePath, ProbeRequest};
use crate::scrape::{BoxError, Hook, ScrapeContext};

/// Converts an owned, borrowed or shared [`Registry`] into what [`Builder::registry`] keeps.
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
    /// Serves this registry; repeatable.
    ///
    /// The server keeps a clone, which shares its metrics. Pass the registry owned, borrowed, in an `Arc` or as a `LazyLock`. It is
    /// named `default` if it is the first, else `1`, `2`, …: see [`registry_named`](Self::registry_named). The guide says what happens
    /// with [several registries](crate::guide#several-registries).
    ///
    /// Default: the [default registry](crate::default_registry()), if you name none.
    pub fn registry(mut self, registry: impl IntoRegistry) -> Self {
        self.metrics.push(None, registry.into_registry());
        self
    }

    /// Serves this registry under a name, by which a scrape can select it: `/metrics?registry[]=db`.
    ///
    /// [`bind`](Self::bind) refuses two registries of one name.
    pub fn registry_named(mut self, name: impl Into<String>, registry: impl IntoRegistry) -> Self {
        self.metrics.push(Some(name.into()), registry.into_registry());
        self
    }

    /// Runs async work before each gather; repeatable, with another name each time.
    ///
    /// Hooks run all at once, once per gather, on the runtime in which you call [`bind`](Self::bind), or else on the server's own.
    /// The server cancels them after half of the time of the scrape, and at [`ScrapeContext::deadline`] at the latest. A hook that
    /// fails, panics or is late is logged, and the scrape goes on with the last values. The
    /// [guide](crate::guide#work-before-a-scrape) has the rules.
    ///
    /// Default: none.
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

    /// Probes the target that a request to this path names, as `/probe?target=db1:5432`; repeatable, with another path each time.
    ///
    /// The probe returns a registry that it has made for this request. If it fails, panics or is late, the response is a 200 with
    /// `probe_success 0`. At most [`max_probes`](Self::max_probes) run at once. The [guide](crate::guide#probes) has the table of
    /// responses and the rules. The path has the form of [`metrics_path`](Self::metrics_path).
    ///
    /// Clients can make your program connect to any target that they name. Restrict who may ask:
    /// [`allow_network`](Self::allow_network), or credentials.
    ///
    /// Default: none.
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

    /// Sets whether a probe with `debug=true` in its query returns its log, as text before its metrics. Default: `false`.
    ///
    /// The log has what the probe passes to [`ProbeRequest::log`](crate::ProbeRequest::log), 1,000 characters of its error with its
    /// sources, and its outcome. Each has the seconds since the start. The log also has the message of a panic, and the first sample
    /// or collector that was skipped. The access control is that of the path. Any of these may contain what the client must not read, such as an address, a
    /// query or credentials.
    pub fn probe_debug(mut self, serve: bool) -> Self {
        self.metrics.probe_debug = serve;
        self.faults.of_server("probe_debug");
        self
    }

    /// Sets the path of the metrics.
    ///
    /// It must be an absolute path as in a request: percent-encoded, without a query. It begins with a single slash and has no
    /// backslash, which a browser takes for a slash. It is matched exactly. `/-/healthy` and `/-/ready` are taken. At `/` the metrics
    /// replace the page.
    ///
    /// Default: [`DEFAULT_METRICS_PATH`](Self::DEFAULT_METRICS_PATH), `/metrics`.
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

    /// Sets whether the default collectors are served: `process_*` (feature `process`) and `tokio_*` (feature `runtime`).
    ///
    /// The server watches the tokio runtime in which you call [`bind`](Self::bind), or else [`start`](crate::Server::start) or
    /// [`serve`](crate::Server::serve), and a handler that of [`into_handler`](Self::into_handler). The collectors are in registries of
    /// their own, and are served whatever `registry[]` selects. If a registry of yours has a series or a name of theirs, theirs is
    /// served. See [`collector`](crate::collector).
    ///
    /// Default: `true` with the default registry, `false` with explicit ones.
    pub fn default_collectors(mut self, serve: bool) -> Self {
        self.metrics.default_collectors = Some(serve);
        self
    }

    /// Serves `<name>_build_info{version="…"} 1`, by which a graph shows which version ran when.
    ///
    /// Default: not served.
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

    /// Sets what the page at `/` says about the program; `None` disables the page, and `/` is a 404.
    ///
    /// The page shows the metrics in a browser, live. It scrapes [`metrics_path`](Self::metrics_path) every two seconds while it is
    /// visible, under the same access control as any client. Its scrapes count as any do, but never as the last scrape of
    /// [`shutdown_after_scrape`](crate::Guard::shutdown_after_scrape). The server keeps no state for it.
    ///
    /// Default: a page with the name and version of [`build_info`](Self::build_info), or else with the name of the executable.
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
    #[cfg(feature = "page")]
    pub fn landing_page(mut self, page: impl Into<Option<Page>>) -> Self {
        let page = page.into();
        let fault = page.as_ref().and_then(Page::fault).map(|fault| format!("landing_page: {fault}"));
        self.faults.check("landing_page", fault);
        if page.is_some() {
            self.faults.of_server("landing_page");
        }
        self.metrics.landing_page = page.map(|page| Box::new(Landing(page)) as _);
        self
    }

    /// Sets whether the server's own metrics, `prometheus_exporter_*`, are served with those of the registries.
    ///
    /// They are in no registry. The server registers nothing into yours.
    ///
    /// Default: `true`.
    pub fn self_metrics(mut self, serve: bool) -> Self {
        self.metrics.contents.self_metrics = serve;
        self
    }

    /// Sets whether OpenMetrics 1.0.0 is served to clients that prefer it, as Prometheus does.
    ///
    /// OpenMetrics writes `le="1.0"` where the text format writes `le="1"`. To Prometheus 2 that is another series, so the choice is
    /// yours.
    ///
    /// Default: `false`.
    pub fn openmetrics(mut self, serve: bool) -> Self {
        self.metrics.serve_formats(&[&encode::OPENMETRICS_100, &encode::OPENMETRICS_001], serve);
        self
    }

    /// Sets whether the protobuf format is served to clients that prefer it.
    ///
    /// Prometheus prefers it if native histograms are switched on, or if `scrape_protocols` says so. As with OpenMetrics, `le="1"`
    /// becomes `le="1.0"` in Prometheus 2. Names outside of `[a-zA-Z0-9_:]` are escaped as the client asks, in its clause for
    /// protobuf or for the text formats; with underscores if it does not ask, as Prometheus 2.
    ///
    /// Default: `false`.
    #[cfg(feature = "protobuf")]
    pub fn protobuf(mut self, serve: bool) -> Self {
        self.metrics.serve_formats(&[&encode::PROTOBUF], serve);
        self
    }

    /// Sets whether responses of at least 1 KiB are compressed for clients that accept it, as Prometheus does.
    ///
    /// The codings are those of the features `gzip` (on by default) and `zstd`.
    ///
    /// Default: `true`.
    pub fn compression(mut self, compress: bool) -> Self {
        self.metrics.compression = compress;
        self
    }

    /// Sets whether `/-/ready` answers 200 or 503 until [`Guard::set_ready`](crate::Guard::set_ready) or a
    /// [`Readiness`](crate::Readiness) changes it.
    ///
    /// Default: `true`.
    pub fn ready(mut self, ready: bool) -> Self {
        self.metrics.ready = ready;
        self.faults.of_server("ready");
        self
    }
}
