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
use std::time::Duration;

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
use crate::net::stream::Stream;
use crate::net::tls::Tls;
use crate::scrape::Receipt;
use crate::telemetry::Cause;

pub(crate) use activity::{Activity, AtLimit};
pub(crate) use phase::{Evictable, GracePeriods, Reason};

use deadline_io::{DeadlineIo, WriteBudget};

/// The largest request head, in bytes. hyper's default buffer lets half a megabyte pass.
const MAX_HEAD: usize = 16 * 1024;

/// All that a connection is served with.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) router: Arc<Router>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) stop: CancellationToken,
}

/// The deadlines of a connection; [`Duration::MAX`] is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For a request's head: from its first byte, the first one's from accept.
    pub(crate) head: Duration,
    /// Between an answer and the next request's first byte.
    pub(crate) idle: Duration,
    /// Without progress in writing.
    pub(crate) write: Duration,
}

/// Serves one connection until it ends by itself, or `stop` is cancelled and what is in flight has been answered: the server
/// stops, or the rules by which the connection was admitted no longer hold.
pub(crate) async fn serve(stream: Stream, peer: Option<IpAddr>, activity: Arc<Activity>, service: Service) {
    let _open = service.router.telemetry().open_connection();
    let Some(tls) = &service.tls else {
        return http1(stream, peer, activity, service).await;
    };
    let secured = tokio::select! {
        biased;
        () = service.stop.cancelled() => return,
        secured = tls.handshake(stream, || activity.hello_complete()) => secured,
    };
    match secured {
        Ok(stream) => {
            activity.handshake_complete();
            http1(stream, peer, activity, service).await;
        }
        Err(refused) => {
            if refused.counts() {
                service.router.telemetry().count_error(Cause::Handshake);
            }
        }
    }
}

/// Polls a connection, which writes within its budget each time that it is polled. Between two polls other tasks have their
/// turn, and so have the host's threads: a client on the same machine keeps one core busy, and this one another.
async fn in_turns<C: Future>(budget: &WriteBudget, mut connection: Pin<&mut C>) -> C::Output {
    std::future::poll_fn(|cx| {
        if budget.renew() {
            thread::yield_now();
        }
        connection.as_mut().poll(cx)
    })
    .await
}

pub(crate) async fn http1(stream: Stream, peer: Option<IpAddr>, activity: Arc<Activity>, service: Service) {
    let Service { router, tls: _, deadlines, stop } = service;
    let budget = WriteBudget::default();
    let io = TokioIo::new(DeadlineIo::new(stream, Arc::clone(&activity), deadlines, budget.clone()));
    let service = service_fn(|request: Request<Incoming>| {
        let (router, activity, stop) = (Arc::clone(&router), Arc::clone(&activity), &stop);
        let (head, body) = request.into_parts();
        let unread = !body.is_end_stream();
        // Nobody reads it. hyper sends no 100 to a body that is dropped.
        drop(body);
        // Here, and not when this is polled: hyper reads on before that.
        let admitted = activity.head_complete(unread, router.ends_with_its_client(&head));
        async move {
            if !admitted {
                // Evicted: this task is about to end.
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(answer(&head, unread, peer, &router, activity, stop).await)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // A client that sends its request and shuts its writing side gets its answer all the same, for the I/O
            // says so only where the answer is to end with its client; hyper's own switch is for all or none.
            .half_close(false)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service)
    );

    let result = tokio::select! {
        biased; // a request that can be read already is answered, even if the stop is here, too
        result = in_turns(&budget, connection.as_mut()) => result,
        () = stop.cancelled() => {
            if !activity.is_busy() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            in_turns(&budget, connection).await
        }
    };
    if let Err(error) = result {
        // Who gives a probe up does nothing wrong, and the probe counts it.
        if error.is_incomplete_message() && activity.ends_with_its_client() {
            return;
        }
        // What a client does wrong is a debug line, never more.
        router.telemetry().count_error(Cause::Connection);
        tracing::debug!(%error, "a connection ended with an error");
    }
}

async fn answer(
    head: &Parts,
    unread: bool,
    peer: Option<IpAddr>,
    router: &Router,
    activity: Arc<Activity>,
    stop: &CancellationToken,
) -> Response<AnswerBody> {
    let mut response = router.respond(head, peer).await;
    // Otherwise a client could keep its connection from newcomers by asking again and again.
    let limit_is_reached = activity.limit_is_reached();
    // hyper says so at a stop, too, but is told of it later than the answer may be there.
    if unread || limit_is_reached || stop.is_cancelled() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let receipt = response.extensions_mut().remove::<Receipt>();
    activity.response_begun(receipt, response.body_mut().take_unsent(), limit_is_reached);
    response.map(|body| AnswerBody { body, activity })
}

/// A response's body on its way. Its drop is the end of it: hyper has it all, or its client has gone.
#[derive(Debug)]
struct AnswerBody {
    body: Body,
    activity: Arc<Activity>,
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.activity.handed_over();
    }
}

impl http_body::Body for AnswerBody {
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
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::auth::grants::Grants;
    use crate::http::access::Locks;
    use crate::http::allowed_hosts::Hosts;
    use crate::http::router::{Endpoints, Offer, ScrapeTimeouts};
    use crate::net::lingering_close::LINGER;
    use crate::net::stream::Io;
    use crate::scrape::probe::Prober;
    use crate::scrape::{Contents, Source};
    use crate::telemetry::Telemetry;
    use crate::util::crowd::Crowd;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(360);
    const WRITE: Duration = Duration::from_secs(30);
    const REQUEST: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";

    /// A connection over a pipe that holds so many bytes; no socket, and the time is the test's.
    fn connect(capacity: usize) -> (DuplexStream, JoinHandle<()>, Arc<Activity>, CancellationToken) {
        let router = router(Contents { self_metrics: true, ..Contents::default() });
        serve_on(capacity, router)
    }

    fn connect_to(
        capacity: usize,
        contents: Contents,
    ) -> (DuplexStream, JoinHandle<()>, Arc<Router>, CancellationToken) {
        let router = router(contents);
        let (client, task, _, stop) = serve_on(capacity, Arc::clone(&router));
        (client, task, router, stop)
    }

    fn router(contents: Contents) -> Arc<Router> {
        let offer = Offer { formats: Vec::new(), codings: Vec::new() };
        // Longer than any gather takes, however busy the machine is.
        let minute = Duration::from_secs(60);
        let timeouts = ScrapeTimeouts { default: minute, max: minute, margin: Duration::from_secs(1) };
        let telemetry = Arc::new(Telemetry::new());
        let locks = Locks {
            hosts: Hosts::default(),
            auth_for_health: false,
            rules: Box::new(Arc::default),
            grants: Grants::default(),
            follows_files: false,
            telemetry: Arc::clone(&telemetry),
        };
        let endpoints = Endpoints {
            metrics_path: "/metrics".to_owned(),
            contents,
            crowd: Crowd::new(0),
            prober: Prober::new(Vec::new(), 1, Arc::clone(&telemetry)),
            page: None,
        };
        let router = Arc::new(Router::new(endpoints, offer, timeouts, locks, telemetry));
        router.scraper().start("test".to_owned(), || Ok(std::future::pending())).unwrap();
        router
    }

    fn serve_on(
        capacity: usize,
        router: Arc<Router>,
    ) -> (DuplexStream, JoinHandle<()>, Arc<Activity>, CancellationToken) {
        let (client, server) = tokio::io::duplex(capacity);
        let (task, activity, stop) = serve_stream(Box::new(server), router);
        (client, task, activity, stop)
    }

    fn serve_stream(
        stream: Stream,
        router: Arc<Router>,
    ) -> (JoinHandle<()>, Arc<Activity>, CancellationToken) {
        let activity = Arc::new(Activity::new(Arc::default()));
        let stop = CancellationToken::new();
        let deadlines = Deadlines { head: HEAD, idle: IDLE, write: WRITE };
        let service = Service { router, tls: None, deadlines, stop: stop.clone() };
        let task = tokio::spawn(serve(stream, None, Arc::clone(&activity), service));
        (task, activity, stop)
    }

    /// What is handed to hyper, and what is in hyper's buffer, is not with the client yet.
    #[tokio::test]
    async fn a_receipt_is_handed_in_with_the_last_byte() {
        let registry = prometheus::Registry::new();
        let gauge = prometheus::IntGauge::new("g", "x".repeat(1000)).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        let source = Source { name: "default".to_owned(), registry };
        let contents = Contents { sources: vec![source], ..Contents::default() };
        let (mut client, _task, router, stop) = connect_to(64, contents);
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

        let (mut answer, mut early) = (Vec::new(), 0);
        while !answer.ends_with(b"\ng 0\n") {
            answer.push(client.read_u8().await.unwrap());
            if !router.scraper().deliveries().include(0) {
                early = answer.len();
            }
        }
        router.scraper().deliveries().of(0).await;
        // What the pipe holds is written.
        assert!(answer.len() - early <= 64 + 1, "at {early} of {}", answer.len());
        stop.cancel();
    }

    /// Each time that hyper was polled it wrote 300 KiB, for it asks again where it was told to wait; or 20 MB, where they were
    /// one line.
    #[tokio::test]
    async fn a_large_answer_is_written_in_many_turns() {
        const SIZE: usize = 4 * 1024 * 1024;
        for help in [SIZE, 1000] {
            let registry = prometheus::Registry::new();
            for n in 0..SIZE / help {
                let gauge = prometheus::IntGauge::new(format!("g{n}"), "x".repeat(help)).unwrap();
                registry.register(Box::new(gauge)).unwrap();
            }
            let source = Source { name: "default".to_owned(), registry };
            let router = router(Contents { sources: vec![source], ..Contents::default() });
            // All of it could be written at once.
            let (mut client, server) = tokio::io::duplex(4 * SIZE);
            let written = Arc::new(AtomicUsize::new(0));
            let stream = Counting { io: server, written: Arc::clone(&written) };
            let deadlines = Deadlines { head: HEAD, idle: IDLE, write: WRITE };
            let service = Service { router, tls: None, deadlines, stop: CancellationToken::new() };
            let mut serving =
                pin!(serve(Box::new(stream), None, Arc::new(Activity::new(Arc::default())), service));
            client.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
            let mut most = 0;
            std::future::poll_fn(|cx| {
                let before = written.load(Ordering::Relaxed);
                let polled = serving.as_mut().poll(cx);
                most = most.max(written.load(Ordering::Relaxed) - before);
                if written.load(Ordering::Relaxed) > SIZE { Poll::Ready(()) } else { polled }
            })
            .await;
            let all = written.load(Ordering::Relaxed);
            assert!(all > SIZE, "{all} bytes in all, in lines of {help}");
            // Up to a piece more than the budget.
            assert!(most <= 2 * 64 * 1024, "{most} bytes at once, in lines of {help}");
        }
    }

    impl Io for Counting {}

    struct Counting {
        io: DuplexStream,
        written: Arc<AtomicUsize>,
    }

    impl Counting {
        fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
            if let Poll::Ready(Ok(bytes)) = &written {
                self.written.fetch_add(*bytes, Ordering::Relaxed);
            }
            written
        }
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = Pin::new(&mut self.io).poll_write(cx, bytes);
            self.count(written)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
            self.count(written)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    /// Why it may be evicted now, if it may.
    fn evictable(activity: &Activity) -> Option<Reason> {
        let evictable = activity.evictable(GracePeriods { divisor: 1, write: Duration::MAX });
        let due = evictable.iter().flatten().find(|evictable| evictable.from <= Instant::now());
        due.map(|evictable| evictable.reason)
    }

    async fn time_of<F: Future>(future: F) -> (Duration, F::Output) {
        let start = Instant::now();
        let output = future.await;
        (start.elapsed(), output)
    }

    /// Reads one answer to [`REQUEST`], which ends with the last word of a 404.
    async fn read_answer(client: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b" elsewhere.\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).await.unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_from_the_start_ends_at_the_heads_limit() {
        let (_client, task, ..) = connect(1024);
        assert_eq!(time_of(task).await.0, HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_ends_at_the_limit_all_the_same() {
        let (mut client, task, ..) = connect(1024);
        let drip = tokio::spawn(async move {
            for byte in REQUEST.iter().cycle().skip(2) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        });
        assert_eq!(time_of(task).await.0, HEAD);
        drip.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_heads_limit_counts_from_its_first_byte_on_an_idle_connection() {
        let (mut client, task, activity, _) = connect(1024);
        for _ in 0..3 {
            client.write_all(REQUEST).await.unwrap();
            read_answer(&mut client).await;
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            assert!(!task.is_finished(), "idle for less than its limit");
        }
        client.write_all(b"GET").await.unwrap();
        let (time, _) = time_of(task).await;
        assert_eq!(time, HEAD);
        assert_eq!(evictable(&activity), Some(Reason::Waits));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begun_behind_another_is_under_the_heads_limit() {
        let (mut client, task, ..) = connect(1024);
        client.write_all(&[REQUEST, b"GET"].concat()).await.unwrap();
        read_answer(&mut client).await;
        assert_eq!(time_of(task).await.0, HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_at_the_idle_limit() {
        // In one piece, and with the blank line in two.
        for split in [REQUEST.len(), REQUEST.len() - 1, REQUEST.len() - 2, REQUEST.len() - 3] {
            let (mut client, task, ..) = connect(1024);
            let (first, rest) = REQUEST.split_at(split);
            for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(part).await.unwrap();
            }
            read_answer(&mut client).await;
            assert_eq!(time_of(task).await.0, IDLE, "split at {split}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_ends_at_the_write_limit() {
        let (mut client, task, activity, _) = connect(64);
        client.write_all(REQUEST).await.unwrap();
        let (time, _) = time_of(task).await;
        assert_eq!(time, WRITE);
        assert_eq!(evictable(&activity), Some(Reason::Slow));
    }

    /// As TLS does, it takes what is written before it is sent.
    #[tokio::test(start_paused = true)]
    async fn what_is_buffered_below_is_under_the_write_limit_too() {
        let (_client, server) = tokio::io::duplex(64);
        let activity = Arc::new(Activity::new(Arc::default()));
        let deadlines = Deadlines { head: HEAD, idle: IDLE, write: WRITE };
        let stream = tokio::io::BufWriter::new(server);
        let mut io = DeadlineIo::new(stream, activity, deadlines, WriteBudget::default());
        io.write_all(&[0; 1024]).await.unwrap();
        for flush in [true, false] {
            let (time, result) =
                time_of(async { if flush { io.flush().await } else { io.shutdown().await } }).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(time, if flush { WRITE } else { Duration::ZERO }, "it is one wait");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_keeps_moving_is_not_cut() {
        let (mut client, _task, ..) = connect(64);
        client.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b" elsewhere.\n") {
            tokio::time::sleep(WRITE - Duration::from_secs(1)).await;
            let mut some = [0; 64];
            let read = client.read(&mut some).await.unwrap();
            assert_ne!(read, 0, "cut after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..read]);
        }
    }

    /// Each response began the time anew.
    #[tokio::test(start_paused = true)]
    async fn pipelined_requests_do_not_keep_a_connection_from_eviction() {
        // All requests are there, and each response waits for its client for a second.
        let (mut requests, input) = tokio::io::duplex(4096);
        let (mut responses, output) = tokio::io::duplex(64);
        requests.write_all(&REQUEST.repeat(50)).await.unwrap();
        let router = router(Contents::default());
        let (task, activity, _stop) = serve_stream(Box::new(tokio::io::join(input, output)), router);
        let begin = Instant::now();
        let mut taken = Vec::new();
        while evictable(&activity) != Some(Reason::Slow) {
            assert!(begin.elapsed() < WRITE, "after {:?}", String::from_utf8_lossy(&taken));
            tokio::time::sleep(Duration::from_secs(1) / 4).await;
            let mut some = [0; 64];
            let read = responses.read(&mut some).await.unwrap();
            taken.extend_from_slice(&some[..read]);
        }
        assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
        assert!(taken.windows(12).filter(|some| some == b"HTTP/1.1 404").count() > 1);
        assert!(!task.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_has_its_whole_time_for_the_next_response() {
        let (mut client, _task, activity, _) = connect(64);
        let second = Duration::from_secs(1);
        for _ in 0..2 {
            client.write_all(REQUEST).await.unwrap();
            for _ in 0..19 {
                tokio::time::sleep(second / 10).await;
                assert_eq!(evictable(&activity), None);
            }
            read_answer(&mut client).await;
            tokio::time::sleep(second).await;
        }
        client.write_all(REQUEST).await.unwrap();
        tokio::time::sleep(3 * second).await;
        assert_eq!(evictable(&activity), Some(Reason::Slow));
    }

    #[tokio::test(start_paused = true)]
    async fn responses_end_their_connections_while_the_limit_is_reached() {
        let (mut client, task, activity, _) = connect(1024 * 1024);
        client.write_all(REQUEST).await.unwrap();
        assert!(!read_answer(&mut client).await.contains("connection: close"));
        activity.limit_reached(true);
        client.write_all(&REQUEST.repeat(3)).await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 404").count(), 1, "{answers}");
        assert!(answers.contains("connection: close"), "{answers}");
        // A reset would take the answer from a client that has sent more.
        assert_eq!(evictable(&activity), Some(Reason::Lingers));
        assert_eq!(time_of(task).await.0, LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_what_waits_at_once_and_lets_the_rest_finish() {
        for (sent, capacity) in [(&b""[..], 1024), (b"GET / HT", 1024)] {
            let (mut client, task, _, stop) = connect(capacity);
            client.write_all(sent).await.unwrap();
            tokio::task::yield_now().await;
            stop.cancel();
            assert_eq!(time_of(task).await.0, Duration::ZERO, "{sent:?}");
        }
        let (mut client, task, _, stop) = connect(64);
        client.write_all(REQUEST).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!task.is_finished());
        read_answer(&mut client).await;
        assert_eq!(time_of(task).await.0, Duration::ZERO);
    }

    /// A reset would take the answer from a client that is still sending.
    #[tokio::test(start_paused = true)]
    async fn unread_input_is_lingered_over_for_a_while() {
        let refused = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; 20_000]].concat();
        let unread_body = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".to_vec();
        for (sent, status) in [(refused, "431"), (unread_body, "405")] {
            let (mut client, task, ..) = connect(1024 * 1024);
            client.write_all(&sent).await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            client.write_all(b"more").await.unwrap();
            assert!(!task.is_finished(), "{status}");
            assert_eq!(time_of(task).await.0, LINGER, "{status}");
        }
        // A stop waits for it, an eviction does not.
        let (mut client, task, activity, stop) = connect(1024);
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        stop.cancel();
        assert!(activity.is_busy());
        assert_eq!(evictable(&activity), Some(Reason::Lingers));
        assert_eq!(time_of(task).await.0, LINGER);
        // Who closes ends it.
        let (mut client, task, ..) = connect(1024);
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        assert_eq!(time_of(task).await.0, Duration::ZERO);
    }
}
