//! Connections over pipes, on a paused clock.

mod counting;

use std::future::ready;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::net::lingering_close::LINGER;
use crate::net::stream::Io;
use crate::scrape::{Deliveries, Delivery, UnsentBudget};
use counting::Counting;

const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(360);
const WRITE: Duration = Duration::from_secs(30);
const REQUEST: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";

impl<I: Io> Io for tokio::io::BufWriter<I> {}

impl<R: Io, W: Io> Io for tokio::io::Join<R, W> {}

/// Responds to each request at once.
impl<F: Fn(&Parts) -> Response<Body> + Clone + Send + Sync> Respond for F {
    fn respond(&self, head: &Parts, _: Option<IpAddr>) -> impl Future<Output = Response<Body>> + Send {
        ready(self(head))
    }

    fn ends_with_its_client(&self, _: &Parts) -> bool {
        false
    }
}

/// Returns a response of about 250 bytes.
fn not_found(head: &Parts) -> Response<Body> {
    let mut response = Response::new(Body::from("There is nothing here. The metrics are elsewhere.\n"));
    *response.status_mut() = match head.method {
        Method::GET => StatusCode::NOT_FOUND,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn service<R>(responder: R) -> Service<R> {
    let deadlines = Deadlines { head: HEAD, idle: IDLE, write: WRITE };
    let (stop, telemetry) = (CancellationToken::new(), Arc::new(Telemetry::new()));
    Service { responder, tls: None, deadlines, stop, telemetry }
}

/// Opens a connection over a pipe with this capacity, so that no socket affects the time.
fn connect(capacity: usize) -> (DuplexStream, JoinHandle<()>, Arc<Activity>, CancellationToken) {
    let (client, server) = tokio::io::duplex(capacity);
    let (task, activity, stop) = serve_stream(Box::new(server), not_found);
    (client, task, activity, stop)
}

fn serve_stream(
    stream: Stream,
    responder: impl Respond + 'static,
) -> (JoinHandle<()>, Arc<Activity>, CancellationToken) {
    let (activity, service) = (Arc::new(Activity::new(Arc::default())), service(responder));
    let stop = service.stop.clone();
    (tokio::spawn(serve(stream, None, Arc::clone(&activity), service)), activity, stop)
}

/// Bytes in hyper's buffers have not reached the client yet.
#[tokio::test]
async fn a_delivery_completes_with_the_last_byte() {
    let (deliveries, unsent) = (Deliveries::new(), UnsentBudget::new(Some(0)));
    let (of_response, counted) = (deliveries.clone(), unsent.clone());
    let responder = move |_: &Parts| {
        let delivery = Delivery { unsent: counted.count(1), receipt: Some(of_response.receipt(0)) };
        let chunks = vec![Bytes::from("x".repeat(1000)), Bytes::from("\ng 0\n")];
        let mut body = Body::new(chunks);
        body.delivery = Some(delivery);
        Response::new(body)
    };
    let (mut client, server) = tokio::io::duplex(64);
    let (_task, _, stop) = serve_stream(Box::new(server), responder);
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

    let (mut answer, mut early) = (Vec::new(), 0);
    while !answer.ends_with(b"\ng 0\n") {
        answer.push(client.read_u8().await.unwrap());
        if !deliveries.include(0) {
            assert!(unsent.is_exceeded(), "at {}", answer.len());
            early = answer.len();
        }
    }
    deliveries.of(0).await;
    assert!(!unsent.is_exceeded());
    // The pipe may still hold 64 bytes.
    assert!(answer.len() - early <= 64 + 1, "at {early} of {}", answer.len());
    stop.cancel();
}

/// hyper wrote 300 KiB in each poll, because it tries again after a pending write. It wrote 20 MB if they were one
/// line.
#[tokio::test]
async fn writes_a_large_response_in_many_polls() {
    const SIZE: usize = 4 * 1024 * 1024;
    for help in [SIZE, 1000] {
        let responder = move |_: &Parts| {
            let chunks = vec![Bytes::from("x".repeat(help)); SIZE / help + 1];
            Response::new(Body::new(chunks))
        };
        // The pipe can hold the whole response.
        let (mut client, server) = tokio::io::duplex(4 * SIZE);
        let written = Arc::new(AtomicUsize::new(0));
        let stream = Counting { io: server, written: Arc::clone(&written) };
        let activity = Arc::new(Activity::new(Arc::default()));
        let mut serving = pin!(serve(Box::new(stream), None, activity, service(responder)));
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
        // A write may exceed the budget by up to one slice.
        assert!(most <= 2 * 64 * 1024, "{most} bytes at once, in lines of {help}");
    }
}

/// Returns why the connection is evictable now.
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

/// Reads one response to [`REQUEST`], which ends with the last word of a 404.
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
async fn head_timeout_ends_a_silent_connection() {
    let (_client, task, ..) = connect(1024);
    assert_eq!(time_of(task).await.0, HEAD);
}

#[tokio::test(start_paused = true)]
async fn head_timeout_ends_a_dripping_head() {
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
async fn head_timeout_counts_from_the_first_byte_after_an_idle_time() {
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
async fn head_timeout_applies_to_a_pipelined_head() {
    let (mut client, task, ..) = connect(1024);
    client.write_all(&[REQUEST, b"GET"].concat()).await.unwrap();
    read_answer(&mut client).await;
    assert_eq!(time_of(task).await.0, HEAD);
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_ends_an_idle_connection() {
    // The request in one piece, and split in its blank line.
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
async fn write_timeout_ends_a_connection_that_reads_nothing() {
    let (mut client, task, activity, _) = connect(64);
    client.write_all(REQUEST).await.unwrap();
    let (time, _) = time_of(task).await;
    assert_eq!(time, WRITE);
    assert_eq!(evictable(&activity), Some(Reason::Slow));
}

/// `BufWriter` accepts bytes before it sends them, as TLS does.
#[tokio::test(start_paused = true)]
async fn write_timeout_applies_to_buffered_bytes() {
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
        assert_eq!(time, if flush { WRITE } else { Duration::ZERO }, "flush and shutdown share one deadline");
    }
}

#[tokio::test(start_paused = true)]
async fn write_timeout_keeps_a_slow_reader_that_makes_progress() {
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

/// Each response restarted the client's grace period.
#[tokio::test(start_paused = true)]
async fn pipelined_requests_do_not_prevent_eviction() {
    // All requests have arrived, and each response takes its client a second.
    let (mut requests, input) = tokio::io::duplex(4096);
    let (mut responses, output) = tokio::io::duplex(64);
    requests.write_all(&REQUEST.repeat(50)).await.unwrap();
    let (task, activity, _stop) = serve_stream(Box::new(tokio::io::join(input, output)), not_found);
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
async fn an_idle_time_restarts_the_grace_period() {
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
async fn responses_close_their_connections_at_the_limit() {
    let (mut client, server) = tokio::io::duplex(1024 * 1024);
    let at_limit = Arc::new(AtLimit::default());
    let activity = Arc::new(Activity::new(Arc::clone(&at_limit)));
    let task = tokio::spawn(serve(Box::new(server), None, Arc::clone(&activity), service(not_found)));
    client.write_all(REQUEST).await.unwrap();
    assert!(!read_answer(&mut client).await.contains("connection: close"));
    at_limit.reached.store(true, Ordering::Relaxed);
    client.write_all(&REQUEST.repeat(3)).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1, "{answers}");
    assert!(answers.contains("connection: close"), "{answers}");
    // A reset would discard the response of a client that has sent more.
    assert_eq!(evictable(&activity), Some(Reason::Lingers));
    assert_eq!(time_of(task).await.0, LINGER);
}

#[tokio::test(start_paused = true)]
async fn stop_closes_idle_connections_and_finishes_responses() {
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
    // The client may have sent another request before it knows of the close.
    client.write_all(REQUEST).await.unwrap();
    assert_eq!(time_of(task).await.0, LINGER);
}

/// A reset would discard the response of a client that is still sending.
#[tokio::test(start_paused = true)]
async fn lingers_while_the_client_may_still_send() {
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
    // A stop waits for the lingering close, an eviction does not.
    let (mut client, task, activity, stop) = connect(1024);
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    stop.cancel();
    assert!(activity.phase().is_busy());
    assert_eq!(evictable(&activity), Some(Reason::Lingers));
    assert_eq!(time_of(task).await.0, LINGER);
    // The lingering close ends when the client closes.
    let (mut client, task, ..) = connect(1024);
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    drop(client);
    assert_eq!(time_of(task).await.0, Duration::ZERO);
    // The second request is not read, because the stop comes during the first response.
    let (mut client, task, _, stop) = connect(64);
    client.write_all(REQUEST).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.write_all(REQUEST).await.unwrap();
    stop.cancel();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1, "{answers}");
    assert_eq!(time_of(task).await.0, LINGER);
}

/// Makes a response for one client only, which never completes.
#[derive(Clone)]
struct Probing;

impl Respond for Probing {
    async fn respond(&self, _: &Parts, _: Option<IpAddr>) -> Response<Body> {
        std::future::pending().await
    }

    fn ends_with_its_client(&self, _: &Parts) -> bool {
        true
    }
}

/// rustls reports such a close as an error.
#[tokio::test]
async fn a_close_without_tls_alert_cancels_a_probe() {
    let (mut client, server) = tokio::io::duplex(1024);
    let stream = Counting { io: server, written: Arc::default() };
    let service = service(Probing);
    let telemetry = Arc::clone(&service.telemetry);
    let activity = Arc::new(Activity::new(Arc::default()));
    let task = tokio::spawn(serve(Box::new(stream), None, Arc::clone(&activity), service));
    client.write_all(REQUEST).await.unwrap();
    while !activity.phase().is_answering() {
        tokio::task::yield_now().await;
    }
    drop(client);
    task.await.unwrap();
    let metrics = telemetry.families();
    let metrics = prometheus::TextEncoder::new().encode_to_string(&metrics).unwrap();
    assert!(metrics.contains("prometheus_exporter_errors_total{cause=\"connection\"} 0"), "{metrics}");
}
