//! Tests how a server stops.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake};
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{IntCounter, Opts, Registry};
use prometheus_hyper::{Builder, Guard, Server};
use socket2::SockRef;

use crate::support::client::{Client, PATIENCE, get, refused, wait_for};
use crate::support::server::{LARGE, large};
use crate::support::{reserved, run_alone};
use testing::usage::Usage;

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A drain timeout that expires at once.
const AT_ONCE: Duration = Duration::from_millis(1);

fn start(registry: &Registry, drain: impl Into<Option<Duration>>) -> (Guard, SocketAddr) {
    start_on(reserved(), registry, drain)
}

fn start_on(
    addr: SocketAddr,
    registry: &Registry,
    drain: impl Into<Option<Duration>>,
) -> (Guard, SocketAddr) {
    let builder = Server::builder().registry(registry).drain_timeout(drain);
    let guard = builder.listen(addr).bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

/// Waits until the port can be bound. A port of a connection in TIME_WAIT stays taken for a minute.
fn free(addr: SocketAddr) {
    wait_for("a free port", || TcpListener::bind(addr).is_ok());
}

/// A collector that reports when it starts, and continues on command.
struct Gate {
    counter: IntCounter,
    begun: std::sync::Mutex<mpsc::Sender<()>>,
    open: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Gate {
    fn register(registry: &Registry) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begun, has_begun) = mpsc::channel();
        let (opens, open) = mpsc::channel();
        let counter = IntCounter::new("gate_total", "help").unwrap();
        let gate = Gate { counter, begun: begun.into(), open: open.into() };
        registry.register(Box::new(gate)).unwrap();
        (has_begun, opens)
    }
}

impl Collector for Gate {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        let _ = self.begun.lock().unwrap().send(());
        let _ = self.open.lock().unwrap().recv();
        self.counter.collect()
    }
}

/// Returns an idle connection, one with half a head, and one without a byte.
fn clients_with_nothing_in_flight(addr: SocketAddr) -> [Client; 3] {
    let mut idle = Client::connect(addr);
    idle.send("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.answer(false).status, 200);
    let mut half = Client::connect(addr);
    half.send("GET /metrics HTTP/1.1\r\nHo");
    let silent = Client::connect(addr);
    [idle, half, silent]
}

#[test]
fn stop_with_nothing_in_flight_frees_the_port_at_once() {
    let (guard, addr) = start(&Registry::new(), None);
    let clients = clients_with_nothing_in_flight(addr);
    let closed = guard.stopped();
    let token = guard.cancellation_token();
    guard.shutdown_blocking(); // without a drain timeout: there is nothing to drain
    assert!(token.is_cancelled());
    runtime().block_on(closed);
    for mut client in clients {
        assert_eq!(client.closed(), "");
    }
    free(addr); // despite connections in TIME_WAIT
}

#[test]
fn stop_finishes_requests_in_flight() {
    let registry = Registry::new();
    let (has_begun, open) = Gate::register(&registry);
    let (guard, addr) = start(&registry, PATIENCE);
    let mut client = Client::connect(addr);
    client.send(REQUEST);
    has_begun.recv_timeout(PATIENCE).unwrap();

    let stopped = guard.stopped();
    drop(guard);
    // The server is stopping. It refuses new connections, and the scrape continues.
    refused(addr);
    open.send(()).unwrap();
    let answer = client.answer(false);
    assert_eq!(answer.sample("gate_total"), Some(0.0));
    assert_eq!(answer.header("connection"), Some("close"));
    runtime().block_on(stopped);
    assert_eq!(client.closed(), "");
}

/// Closing a socket with unread input resets the connection, which discards output that the client has not received.
#[test]
fn stop_delivers_the_response_to_a_client_that_sent_more() {
    const SIZE: usize = 64 * 1024;
    let registry = Registry::new();
    let (has_begun, open) = Gate::register(&registry);
    let opts = Opts::new("wide_total", "help").const_label("label", "x".repeat(SIZE));
    registry.register(Box::new(IntCounter::with_opts(opts).unwrap())).unwrap();
    let (guard, addr) = start(&registry, PATIENCE);
    let mut client = Client::connect(addr);
    // The client's kernel cannot hold the body, so most of it waits in the server's.
    SockRef::from(client.stream()).set_recv_buffer_size(4096).unwrap();
    client.send(REQUEST);
    has_begun.recv_timeout(PATIENCE).unwrap();
    client.send(REQUEST);
    let stopped = guard.stopped();
    drop(guard);
    open.send(()).unwrap();
    // The client reads only after the server has closed the connection.
    runtime().block_on(stopped);
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.sample("gate_total")), (200, Some(0.0)));
    assert!(answer.body.len() > SIZE);
}

#[test]
fn stop_waits_for_a_client_that_reads_its_body() {
    let (guard, addr) = start(&large(), PATIENCE);
    let mut client = Client::connect(addr);
    client.send(REQUEST);
    let head = client.head();
    let stopped = guard.stopped();
    drop(guard);
    assert!(client.body(&head).len() > LARGE);
    assert_eq!(client.closed(), "");
    runtime().block_on(stopped);
}

/// hyper's graceful shutdown alone would wait here without an end.
#[test]
fn drain_timeout_ends_stalled_clients_and_collectors() {
    // Longer than the default, so that the test distinguishes the two.
    let drain = Builder::DEFAULT_DRAIN_TIMEOUT + Duration::from_millis(500);
    let (guard, addr) = start(&large(), drain);
    let mut reads_nothing = Client::connect(addr);
    reads_nothing.send(REQUEST);
    assert_eq!(reads_nothing.head().status, 200); // so the server is writing the body

    let stuck = Registry::new();
    let (has_begun, open) = Gate::register(&stuck);
    let (stuck_guard, stuck_addr) = start(&stuck, drain);
    let mut waits = Client::connect(stuck_addr);
    waits.send(REQUEST);
    has_begun.recv_timeout(PATIENCE).unwrap();

    let begin = Instant::now();
    let stops = [guard, stuck_guard].map(|guard| std::thread::spawn(|| runtime().block_on(guard.shutdown())));
    for (stop, addr) in stops.into_iter().zip([addr, stuck_addr]) {
        wait_for("the stop at the drain timeout", || stop.is_finished());
        let took = begin.elapsed();
        assert!(drain <= took, "{took:?}");
        free(addr);
    }
    assert_eq!(waits.closed(), "");
    drop(open);
}

#[test]
fn cancelling_the_token_stops_the_server() {
    let (guard, addr) = start(&Registry::new(), AT_ONCE);
    guard.cancellation_token().cancel();
    runtime().block_on(guard.stopped());
    refused(addr);
}

/// The wakers of tasks that wait for the token belong to the host program's executor.
#[test]
fn stop_survives_a_waker_that_panics() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("expected panic of this test");
        }
    }
    let waker = Arc::new(Panics).into();
    let stops: [fn(Guard); 3] = [drop, Guard::shutdown_blocking, |guard| {
        let asked = guard.shutdown_after_scrape(Duration::ZERO);
        let _ = runtime().block_on(asked);
    }];
    for stop in stops {
        let (guard, _) = start(&Registry::new(), PATIENCE);
        let mut cancelled = pin!(guard.cancellation_token().cancelled_owned());
        assert!(cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let stopped = guard.stopped();
        stop(guard);
        runtime().block_on(stopped);
    }
}

#[test]
fn detached_server_runs_until_its_token_is_cancelled() {
    let (guard, addr) = start(&Registry::new(), AT_ONCE);
    let (token, closed) = (guard.cancellation_token(), guard.stopped());
    guard.detach();
    assert_eq!(get(addr, "/metrics").status, 200);
    token.cancel();
    runtime().block_on(closed);
    refused(addr);
}

#[test]
fn serve_returns_after_the_drain() {
    let registry = Registry::new();
    let (has_begun, open) = Gate::register(&registry);
    let server = Server::builder().registry(&registry).listen("127.0.0.1:0").bind().unwrap();
    let addr = server.local_addr().unwrap();
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(addr);
        client.send(REQUEST);
        has_begun.recv_timeout(PATIENCE).unwrap();
        stop.send(()).unwrap();
        open.send(()).unwrap();
        client.answer(false)
    });
    runtime().block_on(server.serve(async { drop(stopping.await) })).unwrap();
    assert_eq!(client.join().unwrap().status, 200);
}

#[test]
fn dropping_the_serve_future_stops_the_server() {
    let registry = Registry::new();
    let (has_begun, open) = Gate::register(&registry);
    let addr = reserved();
    let server = Server::builder().registry(&registry).listen(addr).bind().unwrap();
    let runtime = runtime();
    let serving = runtime.spawn(server.serve(std::future::pending()));
    let mut idle = Client::connect(addr);
    idle.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.answer(false).status, 200);
    let mut scraping = Client::connect(addr);
    scraping.send(REQUEST);
    has_begun.recv_timeout(PATIENCE).unwrap();
    serving.abort();
    assert_eq!(idle.closed(), "");
    refused(addr);
    drop(open);
    assert_eq!(scraping.answer(false).status, 200, "requests in flight are finished");
}

#[test]
fn thousand_starts_and_stops_leak_no_thread_or_descriptor() {
    run_alone("stop::child_that_starts_and_stops", "", &[]);
}

/// Runs in a child process of the test above, where no other test opens anything.
#[test]
#[ignore = "run by another test"]
fn child_that_starts_and_stops() {
    let usage = || Usage::of(std::process::id()).unwrap();
    // A stop does not wait for the end of the server's threads, which own descriptors. All threads are
    // counted, because a new thread first has the name of its parent. `Threads:` is the kernel's count. A
    // listing of /proc/self/task misses threads if one exits meanwhile.
    let threads = usage().threads;
    let descriptors = || {
        wait_for("the end of the server's threads", || usage().threads == threads);
        usage().descriptors
    };
    let registry = Registry::new();
    let addr = reserved();
    let cycle = || {
        let (guard, _) = start_on(addr, &registry, AT_ONCE);
        assert_eq!(get(addr, "/metrics").status, 200);
        guard.shutdown_blocking();
    };
    cycle();
    let before = descriptors();
    for _ in 0..1_000 {
        cycle();
    }
    assert_eq!(before, descriptors());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
