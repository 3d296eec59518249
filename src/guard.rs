//! The guard of a running server, and its stop.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::engine::EngineHandle;
use crate::http::router::Router;
use crate::net::listener::Address;
use crate::scrape::{Deliveries, Epoch};
use crate::util::unwind::caught;

/// Keeps a server running: [`start`](crate::start) and [`Server::start`](crate::Server::start) return it.
///
/// Dropping it [stops](crate::guide#the-stop) the server and never blocks, on a runtime's thread and outside one, after the
/// runtime is gone, and while unwinding.
///
/// * To wait for the end, call [`shutdown`](Self::shutdown) or [`shutdown_blocking`](Self::shutdown_blocking).
/// * To serve one more scrape before the stop, call [`shutdown_after_scrape`](Self::shutdown_after_scrape).
/// * To let the server run on, call [`detach`](Self::detach).
///
/// Its `Display` is the URL of the metrics: `http://localhost:9184/metrics`, `http://unix:/run/app.sock:/metrics`.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let guard = prometheus_hyper::start("127.0.0.1:0")?;
/// println!("metrics at {guard}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard stops the server: bind it to a name (`let _guard = …`, not `let _ = …`), or `detach()` it"]
pub struct Guard {
    reach: Reach,
    /// Dangling once the server has stopped.
    router: Weak<Router>,
    /// `None` once a last scrape was requested.
    last_scrape: Option<oneshot::Sender<LastScrape>>,
    /// Cancelled to stop the server.
    stop: CancellationToken,
    engine: EngineHandle,
    detached: bool,
}

/// A request for one more scrape before the stop.
#[derive(Debug)]
pub(crate) struct LastScrape {
    /// The earliest epoch whose scrape counts.
    pub(crate) epoch: Epoch,
    /// When to stop without it.
    pub(crate) until: Option<Instant>,
}

impl Guard {
    pub(crate) fn new(
        reach: Reach,
        router: Weak<Router>,
        last_scrape: oneshot::Sender<LastScrape>,
        stop: CancellationToken,
        engine: EngineHandle,
    ) -> Self {
        Guard { reach, router, last_scrape: Some(last_scrape), stop, engine, detached: false }
    }

    /// Returns the first TCP address that the server listens on, with its real port where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.reach.local_addrs.first().copied()
    }

    /// Returns all TCP addresses that the server listens on, in the builder's order, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.reach.local_addrs
    }

    /// Returns the URLs of the metrics, one for each listener, as in its `Display`.
    pub fn urls(&self) -> Vec<String> {
        self.reach.urls(&self.reach.metrics_path)
    }

    /// Returns the URLs of the [page](crate::Builder::landing_page) for browsers, one for each listener; none if there is no page.
    pub fn page_urls(&self) -> Vec<String> {
        self.reach.page_path.map(|path| self.reach.urls(path)).unwrap_or_default()
    }

    /// Sets whether the program is ready to do its work.
    ///
    /// `/-/ready` then returns 200 or 503, which load balancers and orchestrators read. `prometheus_exporter_ready` shows it
    /// too. The metrics are served in either case.
    ///
    /// Default: `true`, unless [`Builder::ready`](crate::Builder::ready) has set it.
    pub fn set_ready(&self, ready: bool) {
        self.readiness().set(ready);
    }

    /// Returns a [`Readiness`], which sets the same from anywhere in the program.
    pub fn readiness(&self) -> Readiness {
        Readiness { router: Weak::clone(&self.router) }
    }

    /// Returns the token behind this guard: cancelling it stops the server, and any stop cancels it.
    ///
    /// The token does not keep the server running.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Completes when the server has stopped, whatever the reason.
    ///
    /// Its listeners are closed, its connections have ended, and its threads are about to end. A hanging collector
    /// keeps its thread. The future borrows nothing and may outlive the guard.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.engine.stopped().clone().cancelled_owned()
    }

    /// Stops the server and waits until it has [stopped](crate::guide#the-stop). Then the port can be bound again.
    ///
    /// If nothing is in flight, it stops at once, else within [`drain_timeout`](crate::Builder::drain_timeout). Dropping the future
    /// gives up the wait, not the stop.
    pub async fn shutdown(mut self) {
        self.stop();
        self.engine.stopped().cancelled().await;
    }

    /// Stops the server and blocks until it has stopped: [`shutdown`](Self::shutdown) for synchronous code.
    ///
    /// On a runtime's thread it blocks that thread, but does not deadlock, because the server has its own threads. On
    /// the server's own threads it returns at once: in a collector, and in a hook on the server's own runtime. A hook
    /// elsewhere, or a probe, keeps its own scrape in flight while it waits, so the stop takes the whole
    /// [`drain_timeout`](crate::Builder::drain_timeout).
    pub fn shutdown_blocking(mut self) {
        self.stop();
        self.engine.join();
    }

    /// Serves until the metrics have been scraped once more, then stops, and waits until the server has stopped.
    ///
    /// The final values of a finished job are then not lost. The first scrape counts that begins after this call
    /// and is written completely; the [guide](crate::guide#the-last-scrape) has the rules. If there is none within `limit`, the server
    /// stops without it. `None` waits forever, zero stops at once. Choose a limit a little above the scrape interval.
    ///
    /// # Errors
    ///
    /// [`NotScraped`] if there was no such scrape.
    ///
    /// ```no_run
    /// # async fn job() {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    ///
    /// let guard = prometheus_hyper::start("0.0.0.0:9184")?;
    /// job().await;
    /// if let Err(error) = guard.shutdown_after_scrape(Duration::from_secs(20)).await {
    ///     eprintln!("{error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_after_scrape(
        mut self,
        limit: impl Into<Option<Duration>>,
    ) -> impl Future<Output = Result<(), NotScraped>> + Send {
        // Sealed now and not at the first poll, because the values are final now.
        let asked = self.ask_for_the_last_scrape(limit.into());
        async move {
            self.engine.stopped().cancelled().await;
            asked.filter(Asked::is_delivered).map(drop).ok_or(NotScraped)
        }
    }

    /// Serves until the metrics have been scraped once more: [`shutdown_after_scrape`](Self::shutdown_after_scrape) for synchronous
    /// code.
    ///
    /// Do not call it on a thread that a scrape needs. On the thread of a current-thread runtime, it keeps hooks from running, and
    /// the scrape lacks them. On the server's own threads it returns an error at once: in a collector, and in a hook without
    /// another runtime. The server then runs until it has been scraped, or until the limit.
    ///
    /// # Errors
    ///
    /// [`NotScraped`] if there was no such scrape.
    pub fn shutdown_after_scrape_blocking(
        mut self,
        limit: impl Into<Option<Duration>>,
    ) -> Result<(), NotScraped> {
        let asked = self.ask_for_the_last_scrape(limit.into());
        // The requested last scrape stops the server, so this guard's drop must not.
        self.detached = !self.engine.join();
        asked.filter(Asked::is_delivered).map(drop).ok_or(NotScraped)
    }

    /// Stops the server. The token also runs the wakers of the host program's tasks, which may panic.
    fn stop(&mut self) {
        caught(|| self.stop.cancel());
        // Wakes the server, even if such a panic has kept the token from it.
        self.last_scrape = None;
    }

    /// Requests a last scrape. Returns `None` if the server has stopped.
    fn ask_for_the_last_scrape(&mut self, limit: Option<Duration>) -> Option<Asked> {
        let router = self.router.upgrade()?;
        let (epoch, deliveries) = (router.scraper.seal(), router.scraper.deliveries().clone());
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        // Fails if the server has stopped meanwhile.
        let _ = self.last_scrape.take()?.send(LastScrape { epoch, until });
        Some(Asked { deliveries, epoch })
    }

    /// Lets the server run until the process ends, or its [token](Self::cancellation_token) is cancelled.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

/// Sets whether a server's program is ready: [`Guard::readiness`] returns it.
///
/// Clones set the same. It does not keep the server running. Once the server has stopped, it does nothing.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let guard = prometheus_hyper::Server::builder().listen("127.0.0.1:0").ready(false).start()?;
/// let readiness = guard.readiness();
/// std::thread::spawn(move || {
///     // The start-up work.
///     readiness.set(true);
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Readiness {
    router: Weak<Router>,
}

impl Readiness {
    /// Sets whether the program is ready, as [`Guard::set_ready`] does.
    pub fn set(&self, ready: bool) {
        if let Some(router) = self.router.upgrade() {
            router.telemetry.set_ready(ready);
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

/// Says that the server has stopped before its final values were scraped: [`Guard::shutdown_after_scrape`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotScraped;

impl fmt::Display for NotScraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server stopped before its final values were scraped")
    }
}

impl Error for NotScraped {}

/// A requested last scrape.
struct Asked {
    /// Without the router, which would keep the registries alive.
    deliveries: Deliveries,
    epoch: Epoch,
}

impl Asked {
    fn is_delivered(&self) -> bool {
        self.deliveries.include(self.epoch)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.detached {
            self.stop();
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reach.fmt(f)
    }
}

/// The addresses and URLs of a server.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) addresses: Vec<Address>,
    /// Only the TCP addresses.
    pub(crate) local_addrs: Vec<SocketAddr>,
    scheme: &'static str,
    metrics_path: String,
    page_path: Option<&'static str>,
}

impl Reach {
    pub(crate) fn new(addresses: Vec<Address>, is_secured: bool, router: &Router) -> Self {
        let tcp = |address: &Address| match address {
            Address::Tcp(addr) => Some(*addr),
            Address::Unix(_) => None,
        };
        let scheme = if is_secured { "https" } else { "http" };
        let (metrics_path, page_path) = router.paths();
        let local_addrs = addresses.iter().filter_map(tcp).collect();
        Reach { addresses, local_addrs, scheme, metrics_path: metrics_path.to_owned(), page_path }
    }

    fn urls(&self, path: &str) -> Vec<String> {
        self.addresses.iter().map(|address| format!("{}://{address}{path}", self.scheme)).collect()
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urls(&self.metrics_path).join(", "))
    }
}
