//! A bound server: accepting, admitting and draining connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::guard::{Guard, LastScrape, Reach};
use crate::http::router::Router;
use crate::net::allow_list::AllowList;
use crate::net::connection::{self, Deadlines, Service};
use crate::net::connection_limit::{Connections, default_max_connections};
use crate::net::listener::{Listeners, Socket};
use crate::net::stream::Secure;
use crate::scrape::Scraper;
use crate::telemetry::{Cause, RejectReason};
use crate::util::unwind::{caught, caught_in_polls};

/// How long the accept loop pauses after a panic without an accepted connection. A panic at every poll must neither
/// spin nor fill the host's standard error.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Holds open ports: a bound server. Connections queue until you start it.
///
/// It runs on threads of its own. [`start`](Self::start) returns a guard, [`serve`](Self::serve) a future. Dropping it closes its
/// ports.
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
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) router: Arc<Router>,
    pub(crate) options: ServerOptions,
}

/// Options of a server's connections.
#[derive(Debug)]
pub(crate) struct ServerOptions {
    pub(crate) allow: AllowList,
    /// `None`: derived from the process's limits.
    pub(crate) max_connections: Option<usize>,
    pub(crate) deadlines: Deadlines,
    pub(crate) drain_timeout: Duration,
    /// Notifies systemd of the server's state.
    pub(crate) notify: Option<Notify>,
}

impl Server {
    /// Returns the first TCP address that it listens on, with its real port if 0 was given.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.reach.local_addrs.first().copied()
    }

    /// Returns all TCP addresses that it listens on, in the [`Builder`](crate::Builder)'s order, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.reach.local_addrs
    }

    /// Serves on two threads of its own, named `prometheus-hyper-<port>`, until the [`Guard`] is dropped. Reloaded files take a
    /// third.
    ///
    /// It works with and without a tokio runtime around it, and even while the program's runtime is blocked.
    ///
    /// # Errors
    ///
    /// The system's error if it refuses a thread or a runtime (descriptors, memory).
    pub fn start(self) -> io::Result<Guard> {
        let (reach, router, stop) = (self.reach.clone(), Arc::clone(&self.router), CancellationToken::new());
        router.scraper.host().watch_here();
        let (last_scrape, asked_for_the_last) = oneshot::channel();
        let port = self.local_addr().map(|addr| format!("-{}", addr.port())).unwrap_or_default();
        let engine = router.scraper.start(format!("prometheus-hyper{port}"), || {
            let accepting = self.enter()?;
            let (router, stop) = (Arc::clone(&router), stop.clone());
            Ok(async move {
                // Every stop cancels the token.
                let _stop = stop.clone().drop_guard();
                accepting.until(stop_requested(&stop, asked_for_the_last, &router.scraper)).await;
            })
        })?;
        // Now that no error can follow.
        caught(|| tracing::info!(at = %reach, "serving metrics"));
        Ok(Guard::new(reach, Arc::downgrade(&router), last_scrape, stop, engine))
    }

    /// Serves as [`start`](Self::start) does, until `shutdown` completes; then it drains as [`Guard`] does, and completes.
    ///
    /// `shutdown` is polled where this future is polled, and need be neither `Send` nor `'static`. Any executor may poll it.
    /// Dropping the future stops the server, as dropping a [`Guard`] does.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub async fn serve<F: Future<Output = ()>>(self, shutdown: F) -> io::Result<()> {
        let mut shutdown = pin!(shutdown);
        // Polled before the start, so that a signal handler is installed before the first response.
        let is_over = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
        let guard = self.start()?;
        if !is_over {
            tokio::select! {
                () = shutdown => {}
                () = guard.stopped() => {}
            }
        }
        guard.shutdown().await;
        Ok(())
    }

    /// Registers the listeners with the current runtime, which is the engine's.
    fn enter(self) -> io::Result<Accepting> {
        let Server { sockets, reach: _, tls, router, options } = self;
        let ServerOptions { allow, max_connections, deadlines, drain_timeout, notify } = options;
        let listeners = Listeners::new(sockets, &router.telemetry)?;
        let connections = Connections::new(
            max_connections.unwrap_or_else(default_max_connections),
            router.scrape_timeout(),
            router.scraper.unsent().clone(),
            Arc::clone(&router.telemetry),
        );
        let (stop, telemetry) = (router.access.grants.all.clone(), Arc::clone(&router.telemetry));
        let service = Service { responder: router, tls, deadlines, stop, telemetry };
        Ok(Accepting { listeners, allow, connections, service, drain_timeout, notify })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.reach.addresses).finish_non_exhaustive()
    }
}

/// Completes when the server must stop: its token is cancelled, or the guard's last scrape was delivered or has timed
/// out.
async fn stop_requested(stop: &CancellationToken, asked: oneshot::Receiver<LastScrape>, scraper: &Scraper) {
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
        // This runs the wakers of the host program's tasks, which may panic.
        () = last_scrape => {
            caught(|| stop.cancel());
        }
    }
}

/// Notifies the service manager of the service's state.
pub(crate) type Notify = fn(&str);

/// Notifies that the server is ready, and with its drop that it is stopping.
struct Notice(Notify);

impl Notice {
    fn ready(notify: Notify) -> Self {
        notify("READY=1\n");
        Notice(notify)
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        (self.0)("STOPPING=1\n");
    }
}

/// A server on its runtime.
struct Accepting {
    listeners: Listeners,
    allow: AllowList,
    connections: Connections,
    service: Service<Arc<Router>>,
    drain_timeout: Duration,
    notify: Option<Notify>,
}

impl Accepting {
    async fn until(self, shutdown: impl Future<Output = ()>) {
        let Accepting { mut listeners, allow, mut connections, service, drain_timeout, notify } = self;
        let notice = notify.map(Notice::ready);
        let telemetry = Arc::clone(&service.telemetry);
        let router = Arc::clone(&service.responder);
        let grants = &router.access.grants;
        let mut following = pin!(router.access.follow_files());
        let mut shutdown = pin!(shutdown);
        let mut pause = Duration::ZERO;
        loop {
            let mut accepted = false;
            let admitted = async {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                connections.ready().await;
                let (stream, peer, queued) = loop {
                    let ((stream, peer), queued) = connections.newcomer(listeners.accept()).await;
                    accepted = true;
                    if allow.allows(peer) {
                        break (stream, peer, queued);
                    }
                    telemetry.count_rejection(RejectReason::Address);
                    tracing::debug!(?peer, "closed a connection from an address that is not allowed");
                };
                let evicted = connections.evict_for_newcomer(queued).await;
                let service = Service { stop: grants.current(), ..service.clone() };
                connections.admit(|activity| connection::serve(stream, peer, activity, service));
                if evicted {
                    tracing::debug!("connection limit reached; evicted a connection to admit a new one");
                }
            };
            tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                // Never completes, so it cancels no admission. Before the accepts, because a flood keeps those ready.
                () = following.as_mut() => {}
                // A subscriber of the host program may panic at any of these events. The panic ends only the current
                // step.
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
        drop(notice);
        // In this order: after the port is closed, every response is one of the last.
        service.stop.cancel();
        drop(listeners);
        connections.drain(drain_timeout).await;
    }
}
