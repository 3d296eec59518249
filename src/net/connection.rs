//! One connection: TLS if there is any, then hyper's HTTP, with the idle, head and write-progress deadlines kept by a
//! wrapper around the I/O.
//!
//! hyper's own head timeout also ends idle connections, and Prometheus keeps those for five minutes; and it has
//! none for clients that do not read.

mod activity;
mod deadline_io;
mod head_end;
mod phase;

use std::convert::Infallible;
use std::future::Future;
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
use crate::net::stream::{Secure, Stream};
use crate::telemetry::{Cause, Telemetry};

pub(crate) use activity::{Activity, AtLimit};
pub(crate) use phase::{Deadlines, Event, Evictable, GracePeriods, Reason};

use deadline_io::{DeadlineIo, WriteBudget};

/// The largest request head, in bytes. hyper's default buffer lets half a megabyte pass.
const MAX_HEAD: usize = 16 * 1024;

/// What answers the requests of connections.
pub(crate) trait Respond: Clone + Send + Sync {
    /// Answers one request from this peer, which has no address on a Unix socket.
    fn respond(&self, head: &Parts, peer: Option<IpAddr>) -> impl Future<Output = Response<Body>> + Send;

    /// Whether the response is for its client alone, so that it ends when the client closes its side.
    fn ends_with_its_client(&self, head: &Parts) -> bool;
}

/// All that a connection is served with.
#[derive(Clone)]
pub(crate) struct Service<R> {
    pub(crate) responder: R,
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) stop: CancellationToken,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// Serves one connection until it ends by itself, or `stop` is cancelled and what is in flight has been answered: the server
/// stops, or the rules by which the connection was admitted no longer hold.
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
        // A probe of the port is no error without TLS either.
        Ok(None) => {}
        Err(_) => service.telemetry.count_error(Cause::Handshake),
    }
}

/// Polls a connection, which writes within its budget each time that it is polled. Between two polls other tasks run, and so
/// do the host's threads: a client on the same machine keeps one core busy, and this task another.
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
        // Nobody reads it. hyper sends no 100 to a body that is dropped.
        drop(body);
        let ends_with_its_client = responder.ends_with_its_client(&head);
        // Here, and not when this is polled: hyper reads on before that.
        let admitted = activity.on(Event::HeadComplete { unread, ends_with_its_client }).is_answering();
        async move {
            if !admitted {
                // Evicted: this task is about to end.
                std::future::pending::<()>().await;
            }
            let mut response = responder.respond(&head, peer).await;
            // Otherwise a client could keep its connection from newcomers by asking again and again.
            let limit_is_reached = activity.limit_is_reached();
            // hyper does the same at a stop, but the response may be here before it knows of the stop.
            if unread || limit_is_reached || stop.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.response_begun(response.body_mut().take_delivery(), limit_is_reached);
            Ok::<_, Infallible>(response.map(|body| ReportedBody { body, activity }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // A client that sends its request and shuts its writing side still gets its response, because the I/O reports
            // the end only where the response is to end with its client. hyper's own switch is for all or none.
            .half_close(false)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service)
    );

    let result = tokio::select! {
        biased; // a request that can be read already is answered, even if the stop is here, too
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
        // A client that gives a probe up does nothing wrong, and the probe counts it.
        if error.is_incomplete_message() && activity.phase().ends_with_its_client() {
            return;
        }
        // What a client does wrong is a debug line, never more.
        telemetry.count_error(Cause::Connection);
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// A response's body. Its drop is reported: hyper has all of it, or its client has gone.
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
