//! A server that runs on a thread of its own, and how it ends.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;

/// A running server: [`start`](crate::start) and [`Server::start`](crate::Server::start) return it.
///
/// Dropping it stops the server and never blocks: the server closes its listeners, closes idle connections, finishes
/// what is in flight within [`drain_timeout`](crate::Builder::drain_timeout), and its thread ends. That holds on a
/// runtime's thread and outside one, after the runtime is gone, and while unwinding. To wait for the end use
/// [`shutdown`](Self::shutdown) or [`shutdown_blocking`](Self::shutdown_blocking); to have none,
/// [`detach`](Self::detach).
///
/// Its `Display` is where to find the metrics: `http://localhost:9184/metrics`.
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
    local_addrs: Vec<SocketAddr>,
    metrics_path: String,
    /// Cancelled to stop the server.
    stop: CancellationToken,
    /// Cancelled as the last thing that the server's thread does.
    stopped: CancellationToken,
    thread: Option<JoinHandle<()>>,
    detached: bool,
}

impl Guard {
    pub(crate) fn new(
        local_addrs: Vec<SocketAddr>,
        metrics_path: String,
        stop: CancellationToken,
        stopped: CancellationToken,
        thread: JoinHandle<()>,
    ) -> Self {
        Guard { local_addrs, metrics_path, stop, stopped, thread: Some(thread), detached: false }
    }

    /// The first address that the server listens on, with its real port where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addrs.first().copied()
    }

    /// All addresses that the server listens on, in the order of [`Builder::listen`](crate::Builder::listen), with
    /// their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// The token behind this guard: cancelling it stops the server, and a stop, whoever caused it, cancels it.
    ///
    /// A token that has been handed out does not keep the server running.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Completes when the server has stopped, whoever stopped it: its listeners are closed, its connections have
    /// ended, its thread is about to be gone. It borrows nothing and may outlive the guard.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stopped.clone().cancelled_owned()
    }

    /// Stops the server and waits until it has stopped: at once if nothing is in flight, else within
    /// [`drain_timeout`](crate::Builder::drain_timeout). Then the port can be bound again.
    ///
    /// Dropping the future gives up the wait, not the stop.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }

    /// [`shutdown`](Self::shutdown) for synchronous code: blocks until the server has stopped.
    ///
    /// On a runtime's thread it blocks that thread, but does not deadlock, for the server has a thread of its own. On
    /// that very thread it does not wait. In a collector it waits for the scrape that waits for the collector, until
    /// the drain limit.
    pub fn shutdown_blocking(mut self) {
        self.stop.cancel();
        if let Some(server) = self.thread.take() {
            if server.thread().id() != thread::current().id() {
                // An error is the server's panic, of which there is none; it has stopped then, too.
                let _ = server.join();
            }
        }
    }

    /// Lets the server run until the process ends, or its [token](Self::cancellation_token) is cancelled.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.detached {
            self.stop.cancel();
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, addr) in self.local_addrs.iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}http://{}{}", Reachable(*addr), self.metrics_path)?;
        }
        Ok(())
    }
}

/// An address as one may open it: nobody reaches an unspecified one, but it includes this host.
pub(crate) struct Reachable(pub(crate) SocketAddr);

impl fmt::Display for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                write!(f, "localhost:{}", self.0.port())
            }
            _ => self.0.fmt(f),
        }
    }
}
