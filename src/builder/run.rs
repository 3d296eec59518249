//! `Server::run`, and the future that it returns.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use super::Builder;
use crate::server::Server;

impl Server {
    /// Returns a [`Builder`] with every option at its default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves `registry` on `addr` until `shutdown` completes, as [`run`](crate::run()) does.
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
        Run::new(Self::builder().registry(&*registry).listen(addr), shutdown)
    }
}

/// Serves a registry until its shutdown future completes: [`run`](crate::run()) and [`Server::run`](crate::Server::run) return it.
///
/// It binds when it is first polled. It is `Send` and `'static` if the shutdown future is. The registry may be borrowed for the
/// call alone, because the server keeps a clone that shares its metrics.
///
/// Dropping it stops the server. The port is free a moment later, when a thread of the server has closed it. To bind the same port
/// again, let `shutdown` complete and await this future.
///
/// ```
/// use prometheus_hyper::prometheus::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let shutdown = std::future::ready(()); // at once
/// let server = tokio::spawn(prometheus_hyper::run(&registry, ([127, 0, 0, 1], 0), shutdown));
/// server.await??;
/// # Ok(())
/// # }
/// ```
// A type with a name, because an `impl Future` captures each type parameter of its function, and with that of the registry the
// borrow: `use<F>` alone is refused ("`impl Trait` must mention all type parameters in scope").
#[must_use = "futures do nothing unless they are polled"]
pub struct Run<F> {
    /// None once it has completed.
    shutdown: Option<Pin<Box<F>>>,
    /// Cancelled then.
    stop: CancellationToken,
    serving: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

impl<F> Run<F> {
    /// Binds when it is first polled.
    pub(super) fn new(builder: Builder, shutdown: F) -> Self {
        let stop = CancellationToken::new();
        let stopping = stop.clone().cancelled_owned();
        let serving = Box::pin(async move { builder.bind()?.serve(stopping).await });
        Run { shutdown: Some(Box::pin(shutdown)), stop, serving }
    }
}

impl<F: Future<Output = ()>> Future for Run<F> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shutdown.as_mut().is_some_and(|shutdown| shutdown.as_mut().poll(cx).is_ready()) {
            self.shutdown = None;
            self.stop.cancel();
        }
        self.serving.as_mut().poll(cx)
    }
}

impl<F> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}
