//! One connection: the TLS handshake if TLS is on, then hyper's HTTP. A wrapper around the I/O keeps the idle, head
//! and write deadlines.
//!
//! hyper's own head timeout also ends idle connections, but Prometheus keeps those for five minutes. hyper has no
//! timeout for clients that do not read.

mod activity;
mod deadline_io;
mod head_end;
mod phase;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use crate::http::body::Body;
use crate::http::router::Router;
use crate::net::stream::{Secure, Stream};
use crate::telemetry::{Cause, Telemetry};

pub(crate) use activity::{Activity, AtLimit};
pub(crate) use phase::{Deadlines, Event, Evictable, GracePeriods, Reason};

use deadline_io::{DeadlineIo, WriteBudget};

/// Maximum size of a request head, in bytes. hyper's default buffer accepts half a megabyte.
const MAX_HEAD: usize = 16 * 1024;

/// Responder to the requests of connections.
pub(crate) trait Respond: Clone + Send + Sync {
    /// Responds to one request from this peer. A peer on a Unix socket has no address.
    fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> impl Future<Output = Response<Body>> + Send;

    /// Returns whether the response is made for this client only. Such a response is cancelled when the client closes
    /// its side.
    fn ends_with_its_client(&self, head: &Parts) -> bool;
}

impl Respond for Arc<Router> {
    fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> impl Future<Output = Response<Body>> + Send {
        Router::respond(self, head, peer)
    }

    fn ends_with_its_client(&self, head: &Parts) -> bool {
        Router::ends_with_its_client(self, head)
    }
}

/// Everything that serving a connection needs.
#[derive(Clone)]
pub(crate) struct Service<R> {
    pub(crate) responder: R,
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) stop: CancellationToken,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// Serves one connection until it ends, or until `stop` is cancelled and the response in flight is written. `stop` is
/// cancelled when the server stops, and when the rules that admitted the connection change.
pub(crate) async fn serve<R: Respond>(
    stream: Stream,
    peer: Option<IpAddr>,
    activity: Arc<Activity>,
    service: Service<R>,
) {
    let _open = service.telemetry.open_connection();
    let Some(tls) = &service.tls else {
        return http1(stream, peer, activity, service).await;
    };
    let hello_complete = || {
        activity.on(Event::HelloComplete);
    };
    let secured = tokio::select! {
        biased;
        () = service.stop.cancelled() => return,
        secured = tls.secure(stream, &hello_complete) => secured,
    };
    match secured {
        Ok(Some(stream)) => {
            activity.on(Event::HandshakeComplete);
            http1(stream, peer, activity, service).await;
        }
        // A TCP probe of the port is no error. It is none without TLS either.
        Ok(None) => {}
        Err(_) => service.telemetry.count_error(Cause::Handshake),
    }
}

/// Polls a connection, which writes at most its budget in each poll. Other tasks run between two polls. `yield_now`
/// lets the host's threads run too: a client on the same machine keeps one core busy, and this task another.
async fn within_budget<C: Future>(budget: &WriteBudget, mut connection: Pin<&mut C>) -> C::Output {
    std::future::poll_fn(|cx| {
        if budget.renew() {
            thread::yield_now();
        }
        connection.as_mut().poll(cx)
    })
    .await
}

pub(crate) async fn http1<R: Respond>(
    stream: Stream,
    peer: Option<IpAddr>,
    activity: Arc<Activity>,
    service: Service<R>,
) {
    let Service { responder, tls: _, deadlines, stop, telemetry } = service;
    let budget = WriteBudget::default();
    let io = TokioIo::new(DeadlineIo::new(stream, Arc::clone(&activity), deadlines, budget.clone()));
    let service = service_fn(|request: Request<Incoming>| {
        let (responder, activity, stop) = (responder.clone(), Arc::clone(&activity), &stop);
        let (head, body) = request.into_parts();
        let unread = !body.is_end_stream();
        // hyper sends no 100 (Continue) for a body that is dropped.
        drop(body);
        let ends_with_its_client = responder.ends_with_its_client(&head);
        // Reported here and not when the future is polled, because hyper reads on before that.
        let admitted = activity.on(Event::HeadComplete { ends_with_its_client }).is_answering();
        async move {
            if !admitted {
                // The connection is evicted: its task is about to be aborted.
                std::future::pending::<()>().await;
            }
            let mut response = responder.respond(&head, peer).await;
            // At the limit, a client that keeps sending requests could keep its connection from newcomers.
            // At a stop, the response may be ready before hyper knows of the stop.
            if unread || activity.limit_is_reached() || stop.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.response_begun(response.body_mut().delivery.take());
            Ok::<_, Infallible>(response.map(|body| ReportedBody { body, activity }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // A client that shuts down its writing side after the request still gets its response. The I/O reports
            // the end of input only if the response is made for this client only. The setting of hyper applies to all
            // responses or none.
            .half_close(false)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service)
    );

    let result = tokio::select! {
        biased; // a request that is already readable gets its response, even after the stop
        result = within_budget(&budget, connection.as_mut()) => result,
        () = stop.cancelled() => {
            if !activity.phase().is_busy() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            within_budget(&budget, connection).await
        }
    };
    if let Err(error) = result {
        // A client may cancel its probe, and the prober counts that itself.
        if error.is_incomplete_message() && activity.phase().ends_with_its_client() {
            return;
        }
        // Faults of clients are logged at debug at most.
        telemetry.count_error(Cause::Connection);
        tracing::debug!(%error, "connection ended with an error");
    }
}

/// A response's body that reports its drop: hyper has taken all of it, or the client has closed the connection.
#[derive(Debug)]
struct ReportedBody {
    body: Body,
    activity: Arc<Activity>,
}

impl Drop for ReportedBody {
    fn drop(&mut self) {
        self.activity.on(Event::HandedOver);
    }
}

impl http_body::Body for ReportedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
