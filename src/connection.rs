//! One connection: hyper's HTTP/1, with the idle, head and write-progress deadlines kept by a wrapper around the I/O.
//!
//! hyper's own head timeout also ends idle connections, and Prometheus keeps those for five minutes; and it has
//! none for clients that do not read.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::route::Router;
use crate::scrape::Receipt;
use crate::telemetry::Cause;

/// The largest request head, in bytes. hyper's default buffer lets half a megabyte pass.
const MAX_HEAD: usize = 16 * 1024;

/// How long a connection with unread input is kept after the last answer, so that a reset does not take the answer
/// from a client that is still sending (RFC 9112, section 9.6), and how much of that input is read at the most.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: usize = 256 * 1024;

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

/// Serves one connection until it ends by itself, or `stop` is cancelled and what is in flight has been answered.
pub(crate) async fn serve<I>(
    io: I,
    peer: Option<IpAddr>,
    router: Arc<Router>,
    activity: Arc<Activity>,
    deadlines: Deadlines,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let _open = router.telemetry().open_connection();
    let io = TokioIo::new(DeadlineIo::new(io, Arc::clone(&activity), deadlines));
    let service = service_fn(|request: Request<Incoming>| {
        let (router, activity) = (Arc::clone(&router), Arc::clone(&activity));
        async move { Ok::<_, Infallible>(answer(request, peer, &router, activity).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // Without it, a client that sends its request and shuts its writing side gets nothing once its answer
            // is waited for.
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(io, service)
    );

    let result = tokio::select! {
        biased; // a request that can be read already is answered, even if the stop is here, too
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            if !activity.is_busy() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // What a client does wrong is a debug line, never more.
        router.telemetry().count_error(Cause::Connection);
        tracing::debug!(%error, "a connection ended with an error");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Option<IpAddr>,
    router: &Router,
    activity: Arc<Activity>,
) -> Response<AnswerBody> {
    let (head, request_body) = request.into_parts();
    let unread = !request_body.is_end_stream();
    // Nobody reads it. hyper sends no 100 to a body that is dropped.
    drop(request_body);
    if !activity.head_complete(unread) {
        // Evicted: this task is about to end.
        std::future::pending::<()>().await;
    }

    let mut response = router.respond(&head, peer).await;
    if unread {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    activity.response_begun(response.extensions_mut().remove::<Receipt>());
    response.map(|body| AnswerBody { body, _handing_over: HandingOver(activity) })
}

/// What a connection is doing: told by its service and its I/O, asked by the server that must choose whom to evict.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Told each time that a connection begins to wait, for a server that waits for one it may evict.
    began_to_wait: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether the client has sent what nobody will read: a request's body.
    unread: bool,
    /// Whether what was read last ended with the blank line that ends a head; if not, another head has begun.
    at_blank_line: bool,
    /// The last bytes read, newest last: where reads part may be amid the blank line.
    tail: [u8; 3],
    /// To be handed in once the response is written.
    receipt: Option<Receipt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No complete request head since `since`; `head_since` is the time from which the head's limit counts, none
    /// before its first byte.
    Waiting { since: Instant, head_since: Option<Instant> },
    /// A request is being answered; there is no response yet.
    Answering,
    /// A response is on its way since `since`; `handed_over` once hyper has all of its body.
    Writing { since: Instant, handed_over: bool },
    /// The last answer is written, and what the client may still be sending is read and forgotten, since `since`.
    Lingering { since: Instant },
    /// Its place is another's.
    Evicted,
}

impl Activity {
    /// That of a connection which has just been accepted.
    pub(crate) fn new(began_to_wait: Arc<Notify>) -> Self {
        let now = Instant::now();
        let phase = Phase::Waiting { since: now, head_since: Some(now) };
        Activity {
            state: Mutex::new(State {
                phase,
                unread: false,
                at_blank_line: true,
                tail: [0; 3],
                receipt: None,
            }),
            began_to_wait,
        }
    }

    /// Since when the connection has waited without a complete request head, if it does.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Waiting { since, .. } | Phase::Lingering { since } => Some(since),
            Phase::Answering | Phase::Writing { .. } | Phase::Evicted => None,
        }
    }

    /// Since when a response has been on its way, if one is.
    pub(crate) fn writing_since(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Writing { since, .. } => Some(since),
            Phase::Waiting { .. } | Phase::Answering | Phase::Lingering { .. } | Phase::Evicted => None,
        }
    }

    /// Takes its place away, unless it is being answered now and has not been for longer than a response may keep a
    /// place from others.
    pub(crate) fn evict(&self, write_timeout: Duration) -> bool {
        let mut state = self.state();
        let evictable = match state.phase {
            Phase::Waiting { .. } | Phase::Lingering { .. } => true,
            Phase::Writing { since, .. } => since.elapsed() >= write_timeout,
            Phase::Answering | Phase::Evicted => false,
        };
        if evictable {
            state.phase = Phase::Evicted;
        }
        evictable
    }

    /// Whether a stop would cut something off: an answer, or what its client needs to read it.
    fn is_busy(&self) -> bool {
        !matches!(self.state().phase, Phase::Waiting { .. } | Phase::Evicted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head is here; `unread` if something follows that nobody will read. Whether it is to be answered.
    pub(crate) fn head_complete(&self, unread: bool) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Evicted {
            return false;
        }
        state.phase = Phase::Answering;
        state.unread = unread;
        true
    }

    /// There is a response to write.
    pub(crate) fn response_begun(&self, receipt: Option<Receipt>) {
        let mut state = self.state();
        state.phase = Phase::Writing { since: Instant::now(), handed_over: false };
        state.receipt = receipt;
    }

    /// hyper has the whole body.
    pub(crate) fn handed_over(&self) {
        if let Phase::Writing { handed_over, .. } = &mut self.state().phase {
            *handed_over = true;
        }
    }

    /// Everything that hyper had to write is written.
    pub(crate) fn flushed(&self) {
        let mut state = self.state();
        if let Phase::Writing { handed_over: true, .. } = state.phase {
            let now = Instant::now();
            // What came behind the last head and is no complete head is the beginning of the next.
            let head_since = (!state.at_blank_line).then_some(now);
            state.phase = Phase::Waiting { since: now, head_since };
            let receipt = state.receipt.take();
            drop(state);
            self.began_to_wait.notify_one();
            if let Some(receipt) = receipt {
                receipt.delivered();
            }
        }
    }

    fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        for &byte in &bytes[bytes.len().saturating_sub(3)..] {
            state.tail.rotate_left(1);
            state.tail[2] = byte;
        }
        // httparse takes a bare LF for a line's end, too.
        state.at_blank_line = matches!(state.tail, [b'\n', b'\r', b'\n'] | [_, b'\n', b'\n']);
        if let Phase::Waiting { head_since: head_since @ None, .. } = &mut state.phase {
            *head_since = Some(Instant::now());
        }
    }

    /// When the wait for a head or for the next request is over, if it is one and it ends.
    fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        match self.state().phase {
            Phase::Waiting { head_since: Some(since), .. } => since.checked_add(deadlines.head),
            Phase::Waiting { since, head_since: None } => since.checked_add(deadlines.idle),
            Phase::Answering | Phase::Writing { .. } | Phase::Lingering { .. } | Phase::Evicted => None,
        }
    }

    /// Begins to linger, if the client may still be sending what nobody reads: a body, or a head that hyper has refused.
    fn linger(&self) -> bool {
        let mut state = self.state();
        let lingers = state.unread || matches!(state.phase, Phase::Waiting { head_since: Some(_), .. });
        if lingers {
            state.phase = Phase::Lingering { since: Instant::now() };
        }
        lingers
    }
}

/// A response's body on its way; its end tells the connection that hyper has it all.
#[derive(Debug)]
struct AnswerBody {
    body: Body,
    _handing_over: HandingOver,
}

#[derive(Debug)]
struct HandingOver(Arc<Activity>);

impl Drop for HandingOver {
    fn drop(&mut self) {
        self.0.handed_over();
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

/// I/O that fails with [`io::ErrorKind::TimedOut`] where its client keeps it waiting beyond a deadline.
#[derive(Debug)]
struct DeadlineIo<I> {
    io: I,
    activity: Arc<Activity>,
    deadlines: Deadlines,
    /// One timer for all: no two deadlines are ever waited for at once. None until the first wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the client has taken nothing of what there is for it.
    write_blocked_since: Option<Instant>,
    /// The client's side is closed, or was given up.
    input_is_over: bool,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Instant,
    budget: usize,
}

impl<I: AsyncRead + AsyncWrite + Unpin> DeadlineIo<I> {
    fn new(io: I, activity: Arc<Activity>, deadlines: Deadlines) -> Self {
        DeadlineIo {
            io,
            activity,
            deadlines,
            timer: None,
            write_blocked_since: None,
            input_is_over: false,
            linger: None,
        }
    }

    /// Pending until the deadline, if there is one.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }

    /// Turns a write that waits too long into an error, and remembers progress.
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_blocked_since = None;
            return written;
        }
        let since = *self.write_blocked_since.get_or_insert_with(Instant::now);
        ready!(self.poll_deadline(cx, since.checked_add(self.deadlines.write)));
        Poll::Ready(Err(timed_out("the client takes nothing of its response")))
    }

    /// Reads and forgets, as much as there may be of it, until the client has closed its side or the time is over.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let fresh = || Linger { until: Instant::now() + LINGER, budget: MAX_LINGER_BYTES };
        let mut linger = self.linger.take().unwrap_or_else(fresh);
        let mut scratch = [0; 4096];
        while linger.budget > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.budget = linger.budget.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let until = linger.until;
        self.linger = Some(linger);
        self.poll_deadline(cx, Some(until))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for DeadlineIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                match &buffer.filled()[before..] {
                    [] => self.input_is_over = true,
                    received => self.activity.received(received),
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let deadline = self.activity.read_deadline(&self.deadlines);
                ready!(self.poll_deadline(cx, deadline));
                self.input_is_over = true;
                Poll::Ready(Err(timed_out("the client sends no complete request")))
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DeadlineIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        // hyper flushes its I/O when it has nothing left to write, and only then.
        self.activity.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            if self.input_is_over || !self.activity.linger() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_linger(cx).map(Ok)
    }
}

fn timed_out(sentence: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, sentence)
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::access::Hosts;
    use crate::locks::Locks;
    use crate::route::{Offer, ScrapeTimeouts};
    use crate::scrape::{Contents, Source};
    use crate::telemetry::Telemetry;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(360);
    const WRITE: Duration = Duration::from_secs(30);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

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
        let second = Duration::from_secs(1);
        let timeouts = ScrapeTimeouts { default: second, max: second, margin: second };
        let telemetry = Arc::new(Telemetry::new());
        let locks = Locks {
            hosts: Hosts::default(),
            protect_health: false,
            rules: Box::new(Arc::default),
            telemetry: Arc::clone(&telemetry),
        };
        let path = "/metrics".to_owned();
        Arc::new(Router::new(path, offer, timeouts, contents, locks, telemetry))
    }

    fn serve_on(
        capacity: usize,
        router: Arc<Router>,
    ) -> (DuplexStream, JoinHandle<()>, Arc<Activity>, CancellationToken) {
        let (client, server) = tokio::io::duplex(capacity);
        let activity = Arc::new(Activity::new(Arc::default()));
        let stop = CancellationToken::new();
        let deadlines = Deadlines { head: HEAD, idle: IDLE, write: WRITE };
        let task = tokio::spawn(serve(server, None, router, Arc::clone(&activity), deadlines, stop.clone()));
        (client, task, activity, stop)
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

    async fn time_of<F: Future>(future: F) -> (Duration, F::Output) {
        let start = Instant::now();
        let output = future.await;
        (start.elapsed(), output)
    }

    /// Reads one answer to [`REQUEST`], in which nothing follows `</html>`.
    async fn read_answer(client: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"</html>\n") {
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
        assert!(activity.waiting_since().is_some());
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
        assert!(activity.writing_since().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_keeps_moving_is_not_cut() {
        let (mut client, _task, ..) = connect(64);
        client.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"</html>\n") {
            tokio::time::sleep(WRITE - Duration::from_secs(1)).await;
            let mut some = [0; 64];
            let read = client.read(&mut some).await.unwrap();
            assert_ne!(read, 0, "cut after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..read]);
        }
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
        let unread_body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".to_vec();
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
        assert!(activity.is_busy() && activity.waiting_since().is_some());
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
