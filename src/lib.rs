//! Serves the metrics of the [`prometheus`] crate to Prometheus from inside your program, with one line.
//!
//! ```
//! use prometheus_hyper::prometheus::register_int_counter;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let addr = "127.0.0.1:0"; /*
//! let _guard = prometheus_hyper::start("0.0.0.0:9184")?;
//! # */ let _guard = prometheus_hyper::start(addr)?;
//!
//! let jobs = register_int_counter!("jobs_total", "Jobs done.")?;
//! jobs.inc();
//! # Ok(())
//! # }
//! ```
//!
//! This serves the default registry, which the `register_*!` macros of `prometheus` fill, at
//! `http://localhost:9184/metrics`, until the [`Guard`] is dropped. Open `http://localhost:9184/` in a browser to see
//! the values change. The server runs on its own threads. It needs no tokio runtime, and it answers while yours is
//! blocked. It adds `process_*`, as the Go and Python clients do, and within a tokio runtime `tokio_*`: see [`collector`].
//!
//! # Recipes
//!
//! | you want | use | example |
//! | --- | --- | --- |
//! | the metrics on their own port | [`start`] | [`hello.rs`] |
//! | the metrics inside your axum or hyper server | [`Builder::into_handler`] | [`axum.rs`], [`hyper.rs`] |
//! | a service in Kubernetes: second port, readiness, SIGTERM | [`Builder::ready`], [`Guard::readiness`], `shutdown_signal` | [`kubernetes.rs`] |
//! | an explicit registry, or the API of 0.2 | [`Builder::registry`], [`Server::run`] | [`registry.rs`] |
//! | the last values of a job that ends | [`Guard::shutdown_after_scrape`] | [`cron.rs`], [`batch_job.rs`] |
//! | an exporter with the `--web.*` flags of Prometheus' exporters | [`collector::from_fn`], `Builder::web_args` | [`disk_exporter.rs`] |
//! | an exporter that awaits its target | [`Builder::collect`], [`Builder::before_scrape`] | [`async_exporter.rs`] |
//! | an exporter of many targets, `/probe?target=…` | [`Builder::probe`] | [`redis_exporter.rs`] |
//! | values that a closure makes, without instruments | [`collector::from_fn`], [`collector::try_from_fn`] | |
//! | the metrics of other libraries: `prometheus-client`, `metrics`, another `prometheus` | [`collector::exposition()`] | [`prometheus_client.rs`], [`metrics_facade.rs`], [`two_versions.rs`] |
//! | TLS and passwords | `Builder::tls_files`, `Builder::basic_auth`, `Builder::web_config` | [guide](guide#the-web-config-file) |
//! | Unix sockets, systemd, Docker | [`Builder::listen_unix`], `Builder::listen_systemd` | [`deploy/`] |
//! | metrics in a library | register them into a [`Registry`] that the program passes: [`RegistryFn`] | |
//!
//! [`hello.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/hello.rs
//! [`axum.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/axum.rs
//! [`hyper.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/hyper.rs
//! [`kubernetes.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/kubernetes.rs
//! [`registry.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/registry.rs
//! [`cron.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/cron.rs
//! [`batch_job.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/batch_job.rs
//! [`disk_exporter.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/disk_exporter.rs
//! [`async_exporter.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/async_exporter.rs
//! [`redis_exporter.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/redis_exporter.rs
//! [`prometheus_client.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/prometheus_client.rs
//! [`metrics_facade.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/metrics_facade.rs
//! [`two_versions.rs`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/two_versions.rs
//! [`deploy/`]: https://docs.rs/crate/prometheus-hyper/latest/source/examples/deploy/
//!
//! # The types
//!
//! ```text
//! Builder ──bind()──▶ Server ──start()──▶ Guard          (on its own threads)
//!    │                           └─serve(shutdown).await  (also on its own threads)
//!    └─into_handler()──▶ Handler                          (in your HTTP server)
//! ```
//!
//! [`Server::builder`] returns a [`Builder`], which lists the options by task, each with its default. Only
//! [`Builder::bind`] uses the network. It reports all faults of the options at once. [`Builder::start`] binds and starts.
//! The [`guide`] explains the options in detail.
//!
//! [`Server::run`] is the future of prometheus-hyper 0.2, and [`run`] does the same. Both start the server's own
//! threads, and wait:
//!
//! ```no_run
//! use prometheus_hyper::prometheus::Registry;
//! use std::sync::Arc;
//! use tokio::sync::Notify;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let registry = Arc::new(Registry::new());
//! let shutdown = Arc::new(Notify::new());
//! prometheus_hyper::run(Arc::clone(&registry), ([0, 0, 0, 0], 8080), shutdown.notified()).await
//! # }
//! ```
//!
//! # When it does not work
//!
//! | you see | because | do |
//! | --- | --- | --- |
//! | no log lines | logs go to `tracing`, target `prometheus_hyper` | install a subscriber: `tracing_subscriber::fmt::init();` |
//! | no debug lines, to which a text refers | the subscriber shows info and above | `tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).init();` |
//! | `# The default registry … has no samples` | nothing is registered, a `Vec` has no label values yet, or the build has two versions of `prometheus` | use [`prometheus_hyper::prometheus`](prometheus); `cargo tree -d` must not list `prometheus` |
//! | `# The registries of this server have no samples` | `register_*!` fills the default registry, and you serve another | register into yours, or add `.registry(default_registry())` |
//! | `connection refused` soon after the start | the guard was dropped | `let _guard = …`, not `let _ = …` |
//! | `listen: cannot listen on …: Address already in use` | another program uses the port | choose another port |
//! | a 400, 401, 403, 404, 405, 429 or 503 | the request, credentials, `allowed_hosts`, a limit, a slow collector | read the body, which names the fix |
//! | a 500 | every selected registry failed: a collector panicked, or the hook of [`Builder::collect`] failed | read the log, which has the message |
//! | a family or a series is missing | it was skipped, or its registry panicked | see `prometheus_exporter_errors_total{cause}` and the log |
//! | Prometheus: `server returned HTTP status …` | see the rows of that status | `curl -i` the URL: the body says which fault it is |
//! | Prometheus: `context deadline exceeded` | the network or a firewall, or the first hang of a collector, whose 503 is up to 2 s late | try `curl -i` from the host of Prometheus; see [time of a scrape](guide#time-of-a-scrape) |
//! | Prometheus: `x509` or `tls` errors | one side refuses the other | read the log, which has one warning a minute with the reason |
//! | `trait bound Handler: Service<…>` in axum | feature `tower` is disabled | enable it; it is on by default |
//!
//! # Requests
//!
//! | request | response |
//! | --- | --- |
//! | GET, HEAD `/metrics` | the registries, in the format and coding that the client prefers: text; OpenMetrics and protobuf if enabled; gzip, zstd |
//! | `/metrics?name[]=…` | only families with these names, or with samples of these names; repeatable |
//! | `/metrics?registry[]=…` | only these registries; the others are not gathered; repeatable |
//! | `/metrics?format=…` | `text` or, if enabled, `openmetrics`; as plain text if `Accept` does not name it; for a disabled format `Accept` decides; 400 for unknown formats |
//! | GET, HEAD a path of [`Builder::probe`] | the metrics of the target that the request names; with `debug=true` also its log: [`Builder::probe_debug`] |
//! | GET, HEAD `/` | a page that shows the metrics live: `Builder::landing_page` |
//! | GET, HEAD `/-/healthy` | 200 |
//! | GET, HEAD `/-/ready` | 200, or 503 after [`Guard::set_ready`] or [`Builder::ready`] with `false` |
//! | OPTIONS on these | 204 with `Allow` |
//! | another method on these | 405 with `Allow` |
//! | another path | 404 |
//!
//! The server also serves its own metrics, `prometheus_exporter_*`. The guide lists
//! [them and the values of their labels](guide#the-servers-own-metrics). They are in no registry: the server registers
//! nothing into yours.
//!
//! # Your program comes first
//!
//! * Collectors run on a thread of the server, which also encodes the exposition. A slow or hanging collector neither
//!   blocks a runtime nor prevents the process from exiting.
//! * Concurrent scrapes share a gather, one collection of all registries. A hundred scrapers at once cost two gathers at
//!   most.
//! * A scrape that times out gets a 503, also while a collector hangs. This costs one thread, and no second gather
//!   starts.
//! * A panic is logged, and its registry is skipped. If no registry is left, the scrape gets a 500. With
//!   `panic = "abort"` a panic ends the program.
//! * Connections, request heads, idle times, slow readers and stops have limits: see [`Builder`].
//! * If descriptors run out, the server backs off. Connections use at most a quarter of them.
//! * Actions of clients are logged at debug level and never become a label. Refused TLS handshakes cause one warning a
//!   minute.
//! * Access control is off by default. It consists of an allow-list, TLS with client certificates, bearer tokens, basic
//!   auth and rate limits. The builder or the web-config file of Prometheus' exporters sets it.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `gzip` | yes | compresses responses with gzip, in pure Rust, if the client accepts it |
//! | `page` | yes | the page at `/`, with `Page`, `Builder::landing_page` and `Handler::page`; 60 KB of the program |
//! | `process` | yes | the default collector of the process, `process_*` |
//! | `runtime` | yes | the default collector of a tokio runtime, `tokio_*` |
//! | `signal` | yes | `shutdown_signal`, a future for SIGTERM and ctrl-c |
//! | `tower` | yes | implements `tower_service::Service` for [`Handler`], which axum requires |
//! | `zstd` | no | compresses with Zstandard, if the client accepts it; links the C library |
//! | `protobuf` | no | `Builder::protobuf` |
//! | `systemd` | no | `Builder::listen_systemd` |
//! | `auth` | no | `Builder::bearer_token`, `Builder::basic_auth` |
//! | `tls` | no | `Builder::tls_files`, `Builder::tls_client_ca`, `Builder::tls_config`; `ring` needs a C compiler |
//! | `web-config` | no | `Builder::web_config`; includes `auth` and `tls` |
//! | `cli` | no | `WebArgs`, the `--web.*` flags of Prometheus' exporters for `clap`, and `Builder::web_args`; includes `systemd` and `web-config` |
//! | `internal_metrics` | yes | no effect; kept because 0.1 and 0.2 had it |
//!
//! # When to use something else
//!
//! * A program that must not depend on tokio: `prometheus_exporter`, or `prometheus` and `tiny_http`.
//! * Jobs that cannot wait for a last scrape ([`Guard::shutdown_after_scrape`]): the Pushgateway.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod builder;
pub mod collector;
mod engine;
mod exposition;
mod guard;
pub mod guide;
mod handler;
mod http;
#[doc(hidden)]
pub mod internals;
mod net;
mod scrape;
mod server;
#[cfg(feature = "signal")]
mod signal;
mod telemetry;
mod util;
#[cfg(feature = "web-config")]
mod web_config;

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Deref;

use prometheus::Registry;
#[cfg(all(test, feature = "process", target_os = "linux"))]
use testing::alone;
#[cfg(test)]
use testing::scratch;

pub use crate::http::body::Body;
#[cfg(feature = "page")]
pub use crate::http::page::Page;
#[cfg(feature = "cli")]
pub use builder::WebArgs;
pub use builder::{Builder, IntoRegistry, Run};
pub use guard::{Guard, NotScraped, Readiness};
pub use handler::{Handler, ResponseFuture};
pub use prometheus;
pub use scrape::probe::{ProbeError, ProbeRequest};
pub use scrape::{BoxError, ScrapeContext};
pub use server::Server;
#[cfg(feature = "signal")]
pub use signal::shutdown_signal;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use tokio_util::sync::CancellationToken;

/// Registers metrics into a registry. A part of a program passes it to the owner of the [`Registry`].
pub type RegistryFn = Box<dyn FnOnce(&Registry) -> Result<(), prometheus::Error>>;

/// Serves the default registry on `addr`, from its own threads, until the guard is dropped.
///
/// When this returns, the port is open. You can call it before, inside and after any tokio runtime, and without one.
/// You can register metrics before and after the call.
///
/// # Errors
///
/// The errors of [`Builder::bind`], with the address, and of [`Server::start`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let guard = prometheus_hyper::start("127.0.0.1:0")?;
/// println!("{guard}"); // http://127.0.0.1:40739/metrics
/// # Ok(())
/// # }
/// ```
pub fn start(addr: impl ToSocketAddrs + fmt::Debug) -> io::Result<Guard> {
    let addrs = builder::resolve(&addr);
    Server::builder().listen_on(|| addrs).start()
}

/// Serves `registry` on `addr`, from its own threads, until `shutdown` completes and the requests in flight are
/// answered.
///
/// The future polls `shutdown`, which may borrow. Any executor can poll the future. Dropping it stops the server, as
/// dropping a [`Guard`] does. The future is `Send` and `'static` if `shutdown` is:
/// `tokio::spawn(run(&registry, addr, shutdown))` needs no `Arc`.
///
/// # Errors
///
/// The errors of [`Builder::bind`] and [`Server::serve`].
///
/// ```
/// use prometheus_hyper::prometheus::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let registry = Registry::new();
/// let shutdown = std::future::ready(()); // completes at once
/// prometheus_hyper::run(&registry, ([127, 0, 0, 1], 0), shutdown).await
/// # }
/// ```
pub fn run<S, F, R>(registry: R, addr: S, shutdown: F) -> Run<F>
where
    S: Into<SocketAddr>,
    F: Future<Output = ()>,
    R: Deref<Target = Registry>,
{
    Server::run(registry, addr, shutdown)
}

/// Returns the registry that the `register_*!` macros of [`prometheus`] fill and that [`start`] serves.
pub fn default_registry() -> &'static Registry {
    prometheus::default_registry()
}

/// The README, whose examples are doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
