//! Tests the end of a job, which waits until its final values are scraped.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Guard, Server};

use crate::support::client::{Client, PATIENCE, ask, ask_and_be_heard, get, refused};
use crate::support::collectors::Gated;
use crate::support::reserved;
use crate::support::server::{LARGE, large, start};

/// Polls a future to its end, without a runtime. Fails after a time limit.
fn wait<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tell.send(runtime.block_on(future))
    });
    told.recv_timeout(PATIENCE).expect("the future ends")
}

fn job() -> (Guard, std::net::SocketAddr, IntCounter) {
    let registry = Registry::new();
    let rows = IntCounter::new("rows_total", "help").unwrap();
    registry.register(Box::new(rows.clone())).unwrap();
    let addr = reserved();
    let guard = Server::builder().registry(&registry).listen(addr).bind().unwrap().start().unwrap();
    (guard, addr, rows)
}

#[test]
fn server_stops_after_the_final_values_are_scraped() {
    let (guard, addr, rows) = job();
    assert_eq!(get(addr, "/metrics").sample("rows_total"), Some(0.0));
    rows.inc_by(7);
    let scraped = guard.shutdown_after_scrape(PATIENCE);
    assert_eq!(get(addr, "/metrics").sample("rows_total"), Some(7.0));
    assert_eq!(wait(scraped), Ok(()));
    refused(addr);
}

#[test]
fn blocking_wait_works_inside_and_outside_of_a_runtime() {
    for inside in [false, true] {
        let (guard, addr, rows) = job();
        rows.inc_by(7);
        let client = std::thread::spawn(move || {
            // A scrape before the call is not the last one, so the client scrapes repeatedly.
            while TcpStream::connect(addr).is_ok() {
                assert_eq!(get(addr, "/metrics").sample("rows_total"), Some(7.0));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scraped = if inside {
            runtime.block_on(async { guard.shutdown_after_scrape_blocking(PATIENCE) })
        } else {
            guard.shutdown_after_scrape_blocking(PATIENCE)
        };
        assert_eq!(scraped, Ok(()), "inside a runtime: {inside}");
        // The server may stop between the client's `connect` and `get`, so the client may panic.
        let _ = client.join();
    }
}

#[test]
fn only_delivered_values_count_as_last_scrape() {
    let (guard, addr, _) = job();
    let token = guard.cancellation_token();
    let scraped = guard.shutdown_after_scrape(None);
    let table = [
        ("HEAD /metrics", 200),
        ("OPTIONS /metrics", 204),
        ("POST /metrics", 405),
        ("GET /", 200),
        ("GET /-/healthy", 200),
        ("GET /nowhere", 404),
        ("GET /metrics?registry[]=unknown", 400),
    ];
    for (request, status) in table {
        let mut client = Client::connect(addr);
        client.send(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.answer(request.starts_with("HEAD")).status, status, "{request}");
        assert_eq!(get(addr, "/-/healthy").status, 200, "the server still runs after {request}");
    }
    // What Ctrl-C does in a program.
    token.cancel();
    wait(scraped).unwrap_err();
}

/// Regression: an open page at `/` ended a job within two seconds. Prometheus never saw its final values.
#[test]
fn scrape_by_the_page_is_not_the_last_scrape() {
    let (guard, addr, rows) = job();
    rows.inc_by(7);
    let scraped = guard.shutdown_after_scrape(PATIENCE);
    for _ in 0..2 {
        let mut page = ask(addr, "/metrics", "X-Prometheus-Hyper-Page: 1\r\n");
        assert_eq!(page.answer(false).sample("rows_total"), Some(7.0));
        assert_eq!(get(addr, "/-/healthy").status, 200, "the server waits for another scrape");
    }
    assert_eq!(get(addr, "/metrics").sample("rows_total"), Some(7.0));
    assert_eq!(wait(scraped), Ok(()));
}

#[test]
fn last_scrape_ignores_gather_started_before_the_call() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (guard, addr) = start(Server::builder().registry(&registry));
    let mut early = ask(addr, "/metrics", "");
    gated.wait_for_gathers(1);

    let scraped = guard.shutdown_after_scrape(PATIENCE);
    let mut late = ask_and_be_heard(addr, "/metrics", "");
    let mut later = ask_and_be_heard(addr, "/metrics", "");
    gated.open();
    assert_eq!(early.answer(false).sample("gathers"), Some(1.0));
    assert_eq!(late.answer(false).sample("gathers"), Some(2.0), "not from the running gather");
    assert_eq!(wait(scraped), Ok(()));
    assert_eq!(later.answer(false).sample("gathers"), Some(2.0), "the server finishes open responses");
    assert_eq!(gated.gathers(), 2);
}

#[test]
fn scrape_started_before_the_call_is_not_the_last_scrape() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (guard, addr) = start(Server::builder().registry(&registry));
    let mut early = ask(addr, "/metrics", "");
    gated.wait_for_gathers(1);
    let scraped = guard.shutdown_after_scrape(None);
    gated.open();
    assert_eq!(early.answer(false).sample("gathers"), Some(1.0));
    assert_eq!(get(addr, "/-/healthy").status, 200, "the server waits for another scrape");
    assert_eq!(get(addr, "/metrics").sample("gathers"), Some(2.0));
    assert_eq!(wait(scraped), Ok(()));
}

/// A body that hyper has taken may not be sent yet.
#[test]
fn body_counts_once_it_is_written_completely() {
    let (guard, addr) = start(Server::builder().registry(&large()));
    let scraped = guard.shutdown_after_scrape(PATIENCE);
    let mut slow = ask(addr, "/metrics", "");
    let head = slow.head();
    assert_eq!(head.status, 200);
    assert_eq!(get(addr, "/-/healthy").status, 200, "the server waits until the client has read the body");
    assert!(slow.body(&head).len() > LARGE);
    assert_eq!(wait(scraped), Ok(()));
}

#[test]
fn limit_ends_the_wait_for_the_last_scrape() {
    for limit in [Duration::ZERO, Duration::from_millis(50)] {
        let (guard, addr, _) = job();
        wait(guard.shutdown_after_scrape(limit)).expect_err(&format!("{limit:?}"));
        refused(addr);
    }
    let (guard, ..) = job();
    guard.shutdown_after_scrape_blocking(Duration::from_millis(50)).unwrap_err();
}

#[test]
fn dropping_the_wait_stops_the_server() {
    let (guard, ..) = job();
    let closed = guard.stopped();
    drop(guard.shutdown_after_scrape(None));
    wait(closed);
}

#[test]
fn wait_returns_at_once_if_the_server_has_stopped() {
    let (guard, ..) = job();
    let (token, closed) = (guard.cancellation_token(), guard.stopped());
    token.cancel();
    wait(closed);
    guard.set_ready(false);
    wait(guard.shutdown_after_scrape(None)).unwrap_err();
}

/// A client may read until the limit and finish during the drain. It has the final values.
#[test]
fn scrape_that_ends_during_the_drain_counts() {
    let held = Registry::new();
    let gated = Gated::register(&held, false);
    let addr = reserved();
    let builder = Server::builder().registry_named("held", &held).registry_named("large", &large());
    let guard = builder.drain_timeout(PATIENCE).listen(addr).bind().unwrap().start().unwrap();
    // A gather of another registry runs, so the gather of `slow` waits. The request comes before the call,
    // and its values after it.
    let mut early = ask(addr, "/metrics?registry[]=held", "");
    gated.wait_for_gathers(1);
    let mut slow = ask_and_be_heard(addr, "/metrics?registry[]=large", "");
    let scraped = guard.shutdown_after_scrape(Duration::from_millis(1));
    gated.open();
    assert_eq!(early.answer(false).status, 200);
    let head = slow.head();
    // The limit expires while the client reads nothing. Then the listeners close.
    refused(addr);
    assert!(slow.body(&head).len() > LARGE);
    assert_eq!(wait(scraped), Ok(()));
}

/// Regression: dropping the guard there stopped the server at once.
#[test]
fn blocking_shutdown_on_the_servers_thread_does_not_wait() {
    let registry = Registry::new();
    let slot: Arc<Mutex<Option<Guard>>> = Arc::default();
    let taken = Arc::clone(&slot);
    let builder = Server::builder().registry(&registry).before_scrape("ends", move |_| {
        // `bind` had no runtime, so the hook runs on the server's thread.
        let guard = taken.lock().unwrap().take();
        let scraped = guard.map(|guard| guard.shutdown_after_scrape_blocking(PATIENCE));
        async move {
            assert_ne!(scraped, Some(Ok(())));
            Ok(())
        }
    });
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let (addr, closed) = (guard.local_addr().unwrap(), guard.stopped());
    *slot.lock().unwrap() = Some(guard);
    assert_eq!(get(addr, "/metrics").status, 200);
    // The first scrape began before the call, so the second one is the last scrape.
    assert_eq!(get(addr, "/metrics").status, 200);
    wait(closed);
}
