//! The metrics as a service inside the program's own HTTP server.

#[cfg(feature = "page")]
mod page;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use hyper::service::Service;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::EngineHandle;
use crate::http::body::Body;
use crate::http::document::Document;
use crate::http::router::Router;
use crate::util::task::Task;
use crate::util::throttle::Throttle;
use crate::util::unwind::caught;

/// Serves the metrics inside an HTTP server that the program already has: [`Builder::into_handler`](crate::Builder::into_handler)
/// returns it.
///
/// It is a [`hyper::service::Service`] and, with feature `tower`, a `tower_service::Service`, which is what axum takes. Whatever the
/// path, it answers GET and HEAD with the metrics, OPTIONS with a 204, other methods with a 405. It reads no request's body, and
/// never returns an error. Its responses are complete, with an exact `Content-Length`. `Handler::page` returns a page that shows
/// them.
///
/// It negotiates, coalesces and keeps deadlines as a [`Server`](crate::Server) does. The first call starts two threads, which end with
/// the last clone, so any executor may poll the calls. Hooks run on the tokio runtime in which `into_handler` was called, else on
/// that of the first call, else on the handler's own. It omits `prometheus_exporter_ready` and `prometheus_exporter_connections`,
/// which only the surrounding server knows.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hyper::service::Service;
/// use prometheus_hyper::{Handler, Server, prometheus::Registry};
///
/// let registry = Registry::new();
/// let metrics: Handler = Server::builder().registry(&registry).into_handler()?;
///
/// // By hand. `examples/hyper.rs` and `examples/axum.rs` mount it.
/// let response = metrics.call(http::Request::get("/any/path").body(())?).await?;
/// assert_eq!(response.status(), http::StatusCode::OK);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Handler {
    mounted: Arc<Mounted>,
    /// `None`: the handler serves the metrics.
    page: Option<Arc<Document>>,
}

struct Mounted {
    router: Arc<Router>,
    /// `None` before the first call.
    engine: Mutex<Option<EngineHandle>>,
    /// Stops the engine.
    stop: CancellationToken,
    no_engine: Throttle,
}

/// Completes with a [`Handler`]'s response. It never fails.
#[must_use = "futures do nothing unless they are polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl Handler {
    pub(crate) fn new(router: Router) -> Self {
        let mounted = Mounted {
            router: Arc::new(router),
            engine: Mutex::default(),
            stop: CancellationToken::new(),
            no_engine: Throttle::default(),
        };
        Handler { mounted: Arc::new(mounted), page: None }
    }

    fn respond(&self, head: Parts) -> ResponseFuture {
        let (mounted, page) = (Arc::clone(&self.mounted), self.page.clone());
        ResponseFuture(Box::pin(async move { mounted.respond(head, page).await }))
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> ResponseFuture {
        self.respond(request.into_parts().0)
    }
}

#[cfg(feature = "tower")]
impl<B> tower_service::Service<Request<B>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.respond(request.into_parts().0)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Mounted {
    async fn respond(&self, head: Parts, page: Option<Arc<Document>>) -> Response<Body> {
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                if self.no_engine.allows() {
                    caught(|| tracing::error!(%error, "failed to spawn the threads that serve the metrics"));
                }
                return Router::without_engine(&head);
            }
        };
        let (router, head) = (Arc::clone(&self.router), Arc::new(head));
        let asked = Arc::clone(&head);
        let response =
            Task::spawn(&runtime, async move { router.respond_mounted(&asked, page.as_deref()).await }).await;
        response.unwrap_or_else(|_| Router::without_engine(&head))
    }

    /// Returns the engine's runtime, and starts the engine at the first call.
    fn runtime(&self) -> io::Result<Handle> {
        let mut engine = self.engine.lock();
        if let Some(handle) = &*engine {
            return Ok(handle.runtime().clone());
        }
        self.router.scraper.host().run_hooks_here();
        let (until, router) = (self.stop.clone(), Arc::clone(&self.router));
        let main = async move {
            tokio::select! {
                () = until.cancelled() => {}
                () = router.access.follow_files() => {}
            }
        };
        let handle = self.router.scraper.start("prometheus-hyper".to_owned(), || Ok(main))?;
        Ok(engine.insert(handle).runtime().clone())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
