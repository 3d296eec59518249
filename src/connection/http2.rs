//! HTTP/2 as it is set for strangers: every limit named, none left to a default that may change.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{Activity, AnswerBody, DeadlineIo, End, Service, in_turns};
use crate::route::Router;
use crate::scrape::Receipt;
use crate::stream::Stream;
use crate::telemetry::Cause;

/// Prometheus has one request under way for each target and connection; who asks for more waits. Each stream may hold an
/// exposition that nobody reads, so these multiply what the cap on connections bounds.
const MAX_STREAMS: u32 = 4;

/// As much of a head as HTTP/1 may have; by HTTP/2's count, which adds 32 bytes for each field. Beyond it h2 answers
/// 431, and beyond four times as much it ends the connection.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// How many streams may have been reset before they were looked at: a rapid reset (CVE-2023-44487) is over after these.
const MAX_PENDING_RESETS: usize = 20;

/// How many streams we may have to reset for their client's faults, in all of the connection's life. An honest client
/// makes some at its beginning, as long as it does not know [`MAX_STREAMS`].
const MAX_ERROR_RESETS: usize = 256;

/// Nobody reads requests' bodies, so the least that needs no change of settings: RFC 9113's initial value.
const WINDOW: u32 = 65_535;

/// The least there is (RFC 9113, section 4.2).
const MAX_FRAME: u32 = 16 * 1024;

/// As much of a response as is in h2 at once, for each stream: a piece.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// A client that sends nothing for so long is asked whether it is there, and has so long to say so. It also ends one that
/// has sent half a head, for nothing may come between a head's frames. One that reads nothing at all is up to the
/// deadline of the I/O: the farewell would wait for it, too.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How long nothing must have been under way for a stop to close the connection without a farewell: what hyper has taken
/// of a response may not be written yet, and it tells nobody.
const SETTLED: Duration = Duration::from_secs(1);

/// Serves a connection on which HTTP/2 was agreed upon.
pub(super) async fn serve(stream: Stream, peer: Option<IpAddr>, activity: Arc<Activity>, service: Service) {
    let Service { router, tls: _, deadlines, stop, own_thread } = service;
    activity.multiplex();
    let exchange = router.longest_scrape().saturating_add(deadlines.write);
    let io = TokioIo::new(DeadlineIo::new(stream, Arc::clone(&activity), deadlines));
    let answering = service_fn(|request: Request<Incoming>| {
        let (router, activity) = (Arc::clone(&router), Arc::clone(&activity));
        async move { Ok::<_, Infallible>(answer(request, peer, &router, activity).await) }
    });
    let mut connection = pin!(builder(exchange).serve_connection(io, answering));

    let result = tokio::select! {
        biased;
        result = in_turns(own_thread, &activity, connection.as_mut()) => result,
        () = stop.cancelled() => {
            if activity.waiting_since().is_some_and(|since| since.elapsed() > SETTLED) {
                return;
            }
            connection.as_mut().graceful_shutdown();
            in_turns(own_thread, &activity, connection).await
        }
    };
    if let Err(error) = result {
        // Who goes between two requests does so as he likes.
        if activity.is_busy() {
            router.telemetry().count_error(Cause::Connection);
        }
        tracing::debug!(%error, "a connection of HTTP/2 ended with an error");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Option<IpAddr>,
    router: &Router,
    activity: Arc<Activity>,
) -> Response<AnswerBody<OpenStream>> {
    // Nobody reads its body.
    let (head, _) = request.into_parts();
    if !activity.stream_begun() {
        // Evicted: this connection is about to end.
        std::future::pending::<()>().await;
    }
    let mut open = OpenStream { activity, answered: false, receipt: None };
    let mut response = router.respond(&head, peer).await;
    open.answered(response.extensions_mut().remove::<Receipt>());
    response.map(|body| AnswerBody { body, end: open })
}

/// A request that is being answered.
#[derive(Debug)]
struct OpenStream {
    activity: Arc<Activity>,
    answered: bool,
    /// Handed in when hyper has taken the whole response: a stop lets it write what it has.
    receipt: Option<Receipt>,
}

impl OpenStream {
    fn answered(&mut self, receipt: Option<Receipt>) {
        (self.answered, self.receipt) = (true, receipt);
        self.activity.stream_answered();
    }
}

impl End for OpenStream {
    fn ended(&mut self, whole: bool) {
        if let Some(receipt) = self.receipt.take().filter(|_| whole) {
            receipt.delivered();
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.answered {
            self.activity.stream_ended();
        } else {
            self.activity.stream_abandoned();
        }
    }
}

/// hyper's HTTP/2 with its limits. `exchange` is the longest that a request and its response may take together: a
/// client that answers pings but opens no window would otherwise keep its response for ever.
pub(crate) fn builder(exchange: Duration) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks { exchange });
    builder
        .timer(TokioTimer::new()) // without one, pings panic
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

/// Runs each stream as a task, which ends when its connection does, for then its wait for the peer fails.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    exchange: Duration,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        // What is dropped halfway is reset by h2 (CANCEL).
        drop(tokio::spawn(tokio::time::timeout(self.exchange, stream)));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::header::{CONNECTION, CONTENT_LENGTH};
    use http::{Method, Request, Response};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::body::Body;

    const EXCHANGE: Duration = Duration::from_secs(150);

    /// How many requests have come, and are being answered.
    #[derive(Clone, Debug, Default)]
    struct Counts {
        came: Arc<AtomicUsize>,
        stay: Arc<AtomicUsize>,
    }

    struct Stay(Arc<AtomicUsize>);

    impl Drop for Stay {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Answers each request, `/never` never, with a body of so many bytes.
    fn serve<I>(io: I, counts: Counts, size: usize) -> JoinHandle<hyper::Result<()>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            counts.came.fetch_add(1, Ordering::SeqCst);
            counts.stay.fetch_add(1, Ordering::SeqCst);
            let stay = Stay(Arc::clone(&counts.stay));
            async move {
                let _stay = stay;
                if request.uri().path() == "/never" {
                    std::future::pending::<()>().await;
                }
                let response = Response::builder().header(CONNECTION, "close").header(CONTENT_LENGTH, size);
                let size = if request.method() == Method::HEAD { 0 } else { size };
                Ok::<_, Infallible>(response.body(Body::from(bytes::Bytes::from(vec![b'x'; size]))).unwrap())
            }
        });
        let connection = builder(EXCHANGE).serve_connection(TokioIo::new(io), service);
        tokio::spawn(connection)
    }

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// GET / of https://x, in HPACK's static table but for the host; the end of the head and of the request.
    fn get(stream: u32) -> Vec<u8> {
        frame(1, 0x5, stream, &[0x82, 0x87, 0x84, 0x41, 1, b'x'])
    }

    fn get_never(stream: u32) -> Vec<u8> {
        frame(1, 0x5, stream, &[&[0x82, 0x87, 0x04, 6][..], b"/never", &[0x41, 1, b'x']].concat())
    }

    fn reset(stream: u32) -> Vec<u8> {
        frame(3, 0, stream, &8u32.to_be_bytes()) // CANCEL
    }

    fn preface() -> Vec<u8> {
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn another_client_reads_answers_and_heads_without_bodies() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let task = serve(ours, Counts::default(), 300_000);
        let (requests, connection) = h2::client::handshake(theirs).await.unwrap();
        let client = tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        for method in [Method::GET, Method::HEAD] {
            let request = Request::builder().method(&method).uri("https://x/").body(()).unwrap();
            let response = requests.send_request(request, true).unwrap().0.await.unwrap();
            assert_eq!(response.headers()[CONTENT_LENGTH], "300000");
            assert!(!response.headers().contains_key(CONNECTION), "hyper strips what HTTP/2 does not have");
            let mut body = response.into_body();
            let mut length = 0;
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                length += data.len();
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            assert_eq!(length, if method == Method::GET { 300_000 } else { 0 });
        }
        drop(requests);
        client.await.unwrap().unwrap();
        task.await.unwrap().unwrap();
    }

    /// CVE-2023-44487, all at once: as a flood comes.
    #[tokio::test(start_paused = true)]
    async fn a_rapid_reset_ends_the_connection() {
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        let counts = Counts::default();
        let mut flood = preface();
        for stream in (1..20_000).step_by(2) {
            flood.extend([get_never(stream), reset(stream)].concat());
        }
        theirs.write_all(&flood).await.unwrap();
        let task = serve(ours, counts.clone(), 1);
        let error = task.await.unwrap().unwrap_err();
        assert!(format!("{error:?}").contains("ENHANCE_YOUR_CALM"), "{error:?}");
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"too_many_resets"), "a GOAWAY says why");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(counts.came.load(Ordering::SeqCst) <= MAX_PENDING_RESETS, "{counts:?}");
        assert_eq!(counts.stay.load(Ordering::SeqCst), 0);
    }

    /// The same, but slow enough that each request is looked at: it is no more than so many requests given up.
    #[tokio::test(start_paused = true)]
    async fn requests_that_are_given_up_leave_nothing() {
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        let counts = Counts::default();
        let task = serve(ours, counts.clone(), 1);
        theirs.write_all(&preface()).await.unwrap();
        for stream in (1..2_000).step_by(2) {
            theirs.write_all(&get_never(stream)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(counts.stay.load(Ordering::SeqCst) <= 1);
            theirs.write_all(&reset(stream)).await.unwrap();
        }
        theirs.write_all(&get(2_001)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((counts.came.load(Ordering::SeqCst), counts.stay.load(Ordering::SeqCst)), (1_001, 0));
        assert!(!task.is_finished());
        drop(theirs);
        let _ = task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_streams_than_there_may_be() {
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        let counts = Counts::default();
        let task = serve(ours, counts.clone(), 1);
        theirs.write_all(&preface()).await.unwrap();
        // As one who does not know the limit yet; then as one who does not care.
        for stream in (1..200).step_by(2) {
            theirs.write_all(&get_never(stream)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(counts.stay.load(Ordering::SeqCst), MAX_STREAMS as usize);
        assert!(!task.is_finished());
        for stream in (201..1_000).step_by(2) {
            if theirs.write_all(&get_never(stream)).await.is_err() {
                break; // it has been ended
            }
        }
        let error = task.await.unwrap().unwrap_err();
        assert!(format!("{error:?}").contains("ENHANCE_YOUR_CALM"), "{error:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(counts.stay.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_noticed_and_who_takes_nothing_is_cut() {
        // No answer to a ping; also amid a head, of which this is the first half.
        for half in [Vec::new(), frame(1, 0, 1, &[0x82])] {
            let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
            let start = Instant::now();
            let task = serve(ours, Counts::default(), 1);
            theirs.write_all(&[preface(), half].concat()).await.unwrap();
            let _ = task.await.unwrap();
            assert_eq!(start.elapsed(), PING_AFTER + PONG_WITHIN);
        }
        // A window of nothing, and every ping answered by a client that is there.
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let counts = Counts::default();
        let task = serve(ours, counts.clone(), 300_000);
        let mut client = h2::client::Builder::new();
        let (requests, connection) =
            client.initial_window_size(0).handshake::<_, bytes::Bytes>(theirs).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        let start = Instant::now();
        let request = Request::builder().uri("https://x/").body(()).unwrap();
        let response = requests.send_request(request, true).unwrap().0.await.unwrap();
        let error = response.into_body().data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
        assert_eq!(start.elapsed(), EXCHANGE);
        assert!(!task.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_long_is_431() {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let _task = serve(ours, Counts::default(), 1);
        let (requests, connection) = h2::client::handshake(theirs).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        let request = Request::builder().uri("https://x/").header("x", "x".repeat(20_000)).body(()).unwrap();
        let response = requests.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(response.status(), 431);
    }
}
