//! A bound server: accepts, admits, drains.

mod run;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::access::AllowList;
use crate::admission::Connections;
use crate::builder::Builder;
use crate::connection::{self, Deadlines, Service};
use crate::guard::{Guard, LastScrape, Reach};
use crate::io_error;
use crate::listener::systemd::Notice;
use crate::listener::{Listeners, Socket};
use crate::route::Router;
use crate::scrape::Scraper;
use crate::telemetry::{Cause, Denial};
use crate::tls::Tls;
use crate::unwind::{caught, caught_in_polls};

pub use run::Run;

/// How long the accept loop pauses after a panic that no accepted connection has caused: one that comes at every poll must
/// neither spin nor fill the host's standard error.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// A server that is bound: its ports are open and known, and connections queue until it is started.
///
/// [`start`](Self::start) runs it on a thread of its own, [`serve`](Self::serve) as a future on the caller's runtime.
/// Dropping it closes its ports.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use prometheus_hyper::{Guard, Server, prometheus::Registry};
///
/// let registry = Registry::new();
/// let guard: Guard = Server::builder().registry(&registry).listen("127.0.0.1:0").bind()?.start()?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) reach: Reach,
    pub(crate) notify: bool,
    pub(crate) allow: AllowList,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) router: Arc<Router>,
    pub(crate) max_connections: usize,
    pub(crate) deadlines: Deadlines,
    pub(crate) drain_timeout: Duration,
}

impl Server {
    /// A [`Builder`] with every option at its default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves `registry` on `addr` until `shutdown` completes. The same as [`run`](crate::run()).
    ///
    /// # Errors
    ///
    /// Those of [`Builder::bind`] and [`serve`](Self::serve).
    ///
    /// ```no_run
    /// use prometheus_hyper::{Server, prometheus::Registry};
    /// use std::{net::SocketAddr, sync::Arc};
    /// use tokio::sync::Notify;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let registry = Arc::new(Registry::new());
    /// let shutdown = Notify::new();
    /// Server::run(Arc::clone(&registry), SocketAddr::from(([0; 4], 8080)), shutdown.notified()).await
    /// # }
    /// ```
    pub fn run<S, F, R>(registry: R, addr: S, shutdown: F) -> Run<F>
    where
        S: Into<SocketAddr>,
        F: Future<Output = ()>,
        R: Deref<Target = Registry>,
    {
        let addr: SocketAddr = addr.into();
        Run::new(Self::builder().registry(&registry).listen(addr), shutdown)
    }

    /// The first TCP address that it listens on, with its real port where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.reach.local_addrs.first().copied()
    }

    /// All TCP addresses that it listens on, in the order in which the [`Builder`] was told, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.reach.local_addrs
    }

    /// Serves on a thread of its own, named `prometheus-hyper`, with a runtime of its own, until the [`Guard`] is
    /// dropped.
    ///
    /// It works the same with a tokio runtime around it and without one, and when the host's runtime is blocked,
    /// the metrics are served still.
    ///
    /// # Errors
    ///
    /// What the operating system says if there can be no thread or no runtime (descriptors, memory).
    pub fn start(self) -> io::Result<Guard> {
        let stop = CancellationToken::new();
        let stopped = CancellationToken::new();
        let reach = self.reach.clone();
        let router = Arc::downgrade(&self.router);
        if let Ok(host) = Handle::try_current() {
            self.router.scraper().watch(&host);
        }

        let (last_scrape, asked_for_the_last) = oneshot::channel();
        let (started, start) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("prometheus-hyper".to_owned()).spawn({
            let (stop, stopped) = (stop.clone(), stopped.clone());
            move || {
                // Dropped last, in the reverse order, whatever happens: a stop cancels the token, and the server
                // has stopped once its runtime is gone.
                let _stopped = stopped.drop_guard();
                let _stop = stop.clone().drop_guard();
                // Built here, for a runtime that is dropped within another one panics.
                match runtime::Builder::new_current_thread().enable_io().enable_time().build() {
                    Ok(runtime) => runtime.block_on(async {
                        let router = Arc::clone(&self.router);
                        match self.enter(true) {
                            Ok(running) => {
                                let _ = started.send(Ok(()));
                                let the_end = the_end(&stop, asked_for_the_last, router.scraper());
                                tokio::select! {
                                    () = running.until(the_end) => {}
                                    () = router.scraper().probe() => {}
                                }
                            }
                            Err(error) => drop(started.send(Err(error))),
                        }
                    }),
                    Err(error) => drop(started.send(Err(error))),
                }
            }
        })?;
        start
            .recv()
            .unwrap_or_else(|_| Err(io_error::new(io::ErrorKind::Other, "the server's thread has ended")))?;
        Ok(Guard::new(reach, router, last_scrape, stop, stopped, thread))
    }

    /// Serves on the runtime that polls it, until `shutdown` completes; then it drains as [`Guard`] does, and
    /// completes. Dropping the future closes everything at once.
    ///
    /// `shutdown` is polled where this future is polled, and need be neither `Send` nor `'static`.
    ///
    /// # Errors
    ///
    /// Outside of a tokio runtime, and on one without its I/O or time driver
    /// ([`enable_all`](tokio::runtime::Builder::enable_all)). tokio answers the question for a driver that is missing with
    /// a panic, which is caught; a panic hook hears of it, and a program that is built with `panic = "abort"` ends.
    pub async fn serve<F: Future<Output = ()>>(self, shutdown: F) -> io::Result<()> {
        if let Ok(runtime) = Handle::try_current() {
            self.router.scraper().watch(&runtime);
        }
        self.enter(false)?.until(shutdown).await;
        Ok(())
    }

    /// Takes the listeners onto the current runtime, whose thread may be the server's own.
    fn enter(self, own_thread: bool) -> io::Result<Running> {
        let Server { sockets, reach, notify, allow, tls, router, max_connections, deadlines, drain_timeout } =
            self;
        let runtime = Handle::try_current().map_err(|_| {
            let what = "no tokio runtime: serve on one, or use `start`, which has its own";
            io_error::new(io::ErrorKind::Other, what)
        })?;
        router.scraper().run_hooks_on(runtime);
        // There is no way to ask a runtime for its drivers but to use them, and no answer but a panic.
        let listeners = caught(|| {
            drop(tokio::time::sleep(Duration::ZERO));
            Listeners::new(sockets, router.telemetry())
        })
        .ok_or_else(|| {
            let what = "the tokio runtime lacks its I/O or time driver: build it with `enable_all`";
            io_error::new(io::ErrorKind::Other, what)
        })??;

        caught(|| tracing::info!(at = %reach, "serving metrics"));
        let connections =
            Connections::new(max_connections, router.scrape_timeout(), router.scraper().unsent().clone());
        let notice = notify.then(Notice::ready);
        let stop = router.locks().grants.all();
        let service = Service { router, tls, deadlines, stop, own_thread };
        Ok(Running { listeners, allow, connections, service, drain_timeout, notice })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.reach.addresses).finish_non_exhaustive()
    }
}

/// Completes when a server on a thread of its own is to stop: its token is cancelled, or the guard has asked for one last
/// scrape, and that has been delivered or is given up.
async fn the_end(stop: &CancellationToken, asked: oneshot::Receiver<LastScrape>, scraper: &Scraper) {
    let last_scrape = async {
        match asked.await {
            Ok(LastScrape { epoch, until: Some(until) }) => {
                let delivery = scraper.deliveries().of(epoch);
                let _ = tokio::time::timeout_at(until.into(), delivery).await;
            }
            Ok(LastScrape { epoch, until: None }) => scraper.deliveries().of(epoch).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = last_scrape => stop.cancel(),
    }
}

/// A server on its runtime.
struct Running {
    listeners: Listeners,
    allow: AllowList,
    connections: Connections,
    service: Service,
    drain_timeout: Duration,
    notice: Option<Notice>,
}

impl Running {
    async fn until(self, shutdown: impl Future<Output = ()>) {
        let Running { mut listeners, allow, mut connections, service, drain_timeout, notice } = self;
        let telemetry = Arc::clone(service.router.telemetry());
        let router = Arc::clone(&service.router);
        let grants = &router.locks().grants;
        let mut following = pin!(router.locks().follow_files());
        let mut shutdown = pin!(shutdown);
        let mut pause = Duration::ZERO;
        loop {
            let mut accepted = false;
            let admitted = async {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                connections.room().await;
                let (stream, peer) = loop {
                    let (stream, peer) = connections.newcomer(listeners.accept()).await;
                    accepted = true;
                    if allow.allows(peer) {
                        break (stream, peer);
                    }
                    telemetry.count_denial(Denial::Address);
                    tracing::debug!(?peer, "an address that is not allowed: closed");
                };
                let evicted = connections.make_room().await;
                let service = Service { stop: grants.current(), ..service.clone() };
                connections.admit(|activity| connection::serve(stream, peer, activity, service));
                if evicted {
                    telemetry.count_error(Cause::Evicted);
                    tracing::debug!("connection limit reached; evicted a connection for a newcomer");
                }
            };
            tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                // It never completes, so it drops nobody who is being admitted. Before the accepts, which a flood keeps ready.
                () = following.as_mut() => {}
                // A subscriber of the host's may panic at any of these events. That ends none but its own step.
                admitted = caught_in_polls(admitted) => {
                    pause = Duration::ZERO;
                    if admitted.is_none() {
                        telemetry.count_error(Cause::Panic);
                        if !accepted {
                            pause = PAUSE_AFTER_PANIC;
                        }
                    }
                }
            }
        }
        if let Some(notice) = notice {
            notice.stopping();
        }
        // In this order: who finds the port closed knows that what is answered from now on is the last.
        service.stop.cancel();
        drop(listeners);
        connections.drain(drain_timeout).await;
    }
}
