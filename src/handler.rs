//! The metrics as a service, for an HTTP server of the host's own.

#[cfg(feature = "tower")]
mod tower;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use hyper::service::Service;
use tokio::runtime::Handle;

use crate::body::Body;
use crate::route::Router;
use crate::throttle::Throttle;
use crate::unwind::caught;

/// The metrics as a service: what [`Builder::into_handler`](crate::Builder::into_handler) gives to a program that has an
/// HTTP server already.
///
/// It negotiates, shares and keeps deadlines as a [`Server`](crate::Server) does, and gathers on a thread of its own;
/// clones are the same handler. Whatever the path, GET and HEAD are answered with the metrics, OPTIONS with a 204, other
/// methods with a 405. A request's body is not looked at.
///
/// It is a [`hyper::service::Service`], and with feature `tower` a `tower_service::Service`, which is what axum takes. Its
/// answers are complete, with an exact `Content-Length`, and never errors. Nobody can say that it is not ready, and it has
/// no connections of its own: its `prometheus_exporter_ready` is 1, its `prometheus_exporter_connections` 0.
///
/// It needs a tokio runtime with a time driver. Without one it answers 500 and says so in the log; where there is a runtime
/// without that driver, tokio tells only by a panic, which is caught: a panic hook hears of it, and a program that is built
/// with `panic = "abort"` ends.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use hyper::service::Service;
/// use prometheus_hyper::{Handler, Server, prometheus::Registry};
///
/// let registry = Registry::new();
/// let metrics: Handler = Server::builder().registry(&registry).into_handler();
///
/// // By hand; `examples/hyper.rs` and `examples/axum.rs` mount it.
/// let response = metrics.call(http::Request::get("/any/path").body(())?).await?;
/// assert_eq!(response.status(), http::StatusCode::OK);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Handler {
    shared: Arc<Shared>,
}

struct Shared {
    router: Router,
    complaint: Throttle,
}

/// An answer in the making.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Handler {
    pub(crate) fn new(router: Router) -> Self {
        Handler { shared: Arc::new(Shared { router, complaint: Throttle::default() }) }
    }

    fn answer(&self, head: Parts) -> Answering {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.answer(&head).await) })
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<B>) -> Answering {
        self.answer(request.into_parts().0)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Shared {
    async fn answer(&self, head: &Parts) -> Response<Body> {
        match runtime_with_timers() {
            Some(runtime) => {
                self.router.scraper().run_hooks_on(runtime);
                self.router.respond_mounted(head).await
            }
            None => {
                if self.complaint.allows() {
                    tracing::error!("no tokio runtime with a time driver: the metrics can not be served");
                }
                Router::refuse(head)
            }
        }
    }
}

/// The current runtime, if it has what a deadline needs. Asked at each call, for a clone may be called anywhere.
fn runtime_with_timers() -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    caught(|| drop(tokio::time::sleep(Duration::ZERO)))?;
    Some(runtime)
}
