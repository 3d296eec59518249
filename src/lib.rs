//! **The /metrics endpoint: serve [`prometheus`] registries to Prometheus from inside any Rust program, with one
//! line, and never hurt that program.**
//!
//! ```
//! use prometheus_hyper::prometheus::register_int_counter;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let addr = "127.0.0.1:0"; /*
//! let _guard = prometheus_hyper::start("0.0.0.0:9184")?;
//! # */ let _guard = prometheus_hyper::start(addr)?;
//!
//! let jobs = register_int_counter!("jobs_total", "Jobs done")?;
//! jobs.inc();
//! # Ok(())
//! # }
//! ```
//!
//! That serves the default registry, the one that the `register_*!` macros of `prometheus` fill, on
//! `http://localhost:9184/metrics`, until the [`Guard`] is dropped. It runs on threads of its own: with a tokio
//! runtime around it or without one, and still when that runtime is blocked, which is when the metrics are needed
//! most. In addition to what is registered it serves what a Go or a Python program would show: see [`collector`].
//!
//! # An explicit registry, a future
//!
//! [`run`] and [`Server::run`] are plain futures, and the API of prometheus-hyper 0.1 and 0.2. They start the same threads, and
//! wait:
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
//! # Everything else
//!
//! ```text
//! Builder ──bind()──▶ Server ──start()──▶ Guard          (own threads)
//! configured          bound      └─serve(shutdown).await  (the same threads)
//! ```
//!
//! [`Server::builder`] has the options, each with its default. Only [`Builder::bind`] touches the network, and it reports
//! all that is wrong with the options at once. [`Builder::start`] does both steps. [`Builder::into_handler`] returns a service
//! for a program that already has an HTTP server.
//!
//! # What it answers
//!
//! | request | response |
//! | --- | --- |
//! | GET, HEAD `/metrics` | the registries, in the format and coding that the client prefers: text; OpenMetrics and protobuf where they are switched on; gzip, zstd |
//! | `/metrics?name[]=…` | only families of these names, or with samples of these names; repeatable |
//! | `/metrics?registry[]=…` | only these registries; the others are not gathered; repeatable |
//! | `/metrics?format=…` | `text` or, where it is switched on, `openmetrics`, for a browser; any other is a 400 |
//! | GET, HEAD a path of [`Builder::probe`] | what the target that is named there says |
//! | GET, HEAD `/` | a page for people, with the metrics, live: search, rates, quantiles; [`Builder::landing_page`] |
//! | GET, HEAD `/-/healthy` | 200 |
//! | GET, HEAD `/-/ready` | 200, or 503 while [`Guard::set_ready`] or [`Builder::ready`] says so |
//! | OPTIONS on these | 204 with `Allow` |
//! | another method on these | 405 with `Allow` |
//! | another path | 404 |
//!
//! Beside the registries it serves what it knows of itself: `prometheus_exporter_requests_total`,
//! `…_request_duration_seconds`, `…_response_size_bytes`, `…_requests_in_flight`, `…_connections`, `…_ready` and
//! `…_errors_total{cause}`; where there are several registries `…_registry_up{registry}`, where there are hooks
//! `…_hook_success{hook}` and `…_hook_duration_seconds{hook}`, where there are probes `…_probes_total{path,outcome}` and
//! `…_probe_duration_seconds{path}`. These live in a registry of the server's own; nothing is ever registered into yours.
//!
//! # A scrape
//!
//! * **Coalesced.** A scrape joins the running gather if encoding has not started; a later one waits for the next gather. A
//!   hundred scrapers at once cost two gathers at most.
//! * **On time.** Past the scraper's own timeout, which Prometheus sends, less a margin, the response is a 503, also while a
//!   collector hangs. That costs one thread, and no second gather starts.
//! * **Isolated.** Each registry is gathered by itself; one whose collector panics is omitted, and a metric shows it.
//! * **After async work**, if you have some: [`Builder::before_scrape`].
//!
//! # Exporters
//!
//! * [`Builder::probe`] scrapes what a request names: the multi-target pattern, with deadlines, limits and `probe_success`.
//! * [`collector::from_fn`] makes a collector from a closure, for values that are copied from elsewhere.
//! * `Builder::web_args` (feature `cli`) takes the flags of Prometheus' exporters from a parser of clap.
//! * [`Builder::landing_page`] gives the page at `/`, which shows the metrics live, a name and links.
//!
//! # Listeners and access control
//!
//! The server listens on any number of TCP and Unix sockets, on sockets that exist and on those of systemd. Access control is
//! off by default: an allow-list, TLS with client certificates, bearer tokens, basic auth and a rate limit, set by the builder or
//! in the web-config file that Prometheus' exporters share. See [`Builder`].
//!
//! # The host comes first
//!
//! * Collectors run, and the exposition is written, on a thread of the server: a collector that is slow or hangs stalls no
//!   runtime and keeps no process from exiting. A panic is logged. If no registry is left, the scrape returns 500. In a program
//!   built with `panic = "abort"` it ends the program.
//! * Connections, request heads, idle times, slow readers and stops have limits; see [`Builder`].
//! * Without descriptors the server backs off; connections take no more than a quarter of them.
//! * What clients do wrong is logged at debug level, never above, and never becomes a label.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `gzip` | yes | responses are compressed with gzip, in pure Rust, for clients that accept it |
//! | `process` | yes | the default collector of the process, `process_*` |
//! | `runtime` | yes | the default collector of a tokio runtime, `tokio_*` |
//! | `signal` | yes | `shutdown_signal`, a future for SIGTERM and ctrl-c |
//! | `tower` | yes | [`Handler`] is a `tower_service::Service`, too, which is what axum takes |
//! | `zstd` | no | as `gzip`, with Zstandard; links the C library |
//! | `protobuf` | no | adds `Builder::protobuf` |
//! | `systemd` | no | `Builder::listen_systemd` |
//! | `auth` | no | `Builder::bearer_token`, `Builder::basic_auth` |
//! | `tls` | no | `Builder::tls_files`, `Builder::tls_client_ca`, `Builder::tls_config`; `ring` needs a C compiler |
//! | `web-config` | no | `Builder::web_config`, with `auth` and `tls` |
//! | `cli` | no | `WebArgs`, the `--web.*` flags of Prometheus' exporters, for `clap`, and `Builder::web_args`; with `systemd` and `web-config` |
//! | `internal_metrics` | yes | nothing: it is what 0.1 and 0.2 had |
//!
//! # When to use something else
//!
//! * In a library: leave it to the program, and register into a [`Registry`] that it hands you.
//! * In a program without tokio that wants none: `prometheus_exporter`, or `prometheus` and `tiny_http`.
//! * For jobs that cannot wait to be scraped once more ([`Guard::shutdown_after_scrape`]): the Pushgateway.
//! * If your metrics are not `prometheus`' but those of the `metrics` facade: `metrics-exporter-prometheus`.
//!
//! # One `prometheus` only
//!
//! Two versions of `prometheus` in one program have two default registries, and the exposition is empty without an error. Use the
//! re-exported one, [`prometheus_hyper::prometheus`](prometheus), or make sure that `cargo tree -d` does not list `prometheus`.
//! An exposition that is empty for that reason says so in a comment.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used)]

mod auth;
mod builder;
pub mod collector;
mod engine;
mod exposition;
mod guard;
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
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Deref;

use prometheus::Registry;
#[cfg(all(test, feature = "process", target_os = "linux"))]
use testing::alone;
#[cfg(test)]
use testing::scratch;

pub use crate::http::body::Body;
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

/// Registers metrics into a registry: how a part of a program can hand its metrics to the owner of the [`Registry`].
pub type RegistryFn = Box<dyn FnOnce(&Registry) -> Result<(), prometheus::Error>>;

/// Serves the default registry on `addr`, from threads of its own, until the guard is dropped.
///
/// Synchronous: when it returns, the port is open. It works before, inside and after any tokio runtime, and without
/// one. Metrics may be registered before it or after it.
///
/// # Errors
///
/// Those of [`Builder::bind`], which names the address, and of [`Server::start`].
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

/// Serves `registry` on `addr`, from threads of its own, until `shutdown` completes and the requests in flight have been
/// answered.
///
/// `shutdown` is polled where this future is polled; it may borrow. Any executor may poll it. Dropping the future stops the
/// server, as dropping a [`Guard`] does.
/// The future is `Send` and `'static` whenever `shutdown` is: `tokio::spawn(run(&registry, addr, shutdown))` needs no `Arc`.
///
/// # Errors
///
/// Those of [`Builder::bind`] and [`Server::serve`].
///
/// ```
/// use prometheus_hyper::prometheus::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let registry = Registry::new();
/// let shutdown = std::future::ready(()); // at once
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

/// The registry that the `register_*!` macros of [`prometheus`] fill and that [`start`] serves.
pub fn default_registry() -> &'static Registry {
    prometheus::default_registry()
}

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
