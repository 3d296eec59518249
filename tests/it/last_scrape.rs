//! The end of a job, which is not to take its final values along.

use std::future::Future;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Guard, Server};

use crate::support::client::{Client, PATIENCE, ask, ask_and_be_heard, get, refused};
use crate::support::collectors::Gated;
use crate::support::reserved;
use crate::support::server::{LARGE, large, start};

/// Polls a future to its end, without a runtime; fails where that would take too long.
fn wait<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tell.send(runtime.block_on(future))
    });
    told.recv_timeout(PATIENCE).expect("an end")
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
fn blocking_wait_works_on_and_off_a_runtime() {
    for inside in [false, true] {
        let (guard, addr, rows) = job();
        rows.inc_by(7);
        let client = std::thread::spawn(move || {
            // It may come before the call: then it is not the last one.
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
        // The last connection of the client may be refused between its two steps.
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
        assert_eq!(get(addr, "/-/healthy").status, 200, "it is there still after {request}");
    }
    // Ctrl-c.
    token.cancel();
    wait(scraped).unwrap_err();
}

/// The page at `/`, open in some browser, ended a job within two seconds, and Prometheus never saw its final values.
#[test]
fn the_page_does_not_take_the_last_scrape() {
    let (guard, addr, rows) = job();
    rows.inc_by(7);
    let scraped = guard.shutdown_after_scrape(PATIENCE);
    for _ in 0..2 {
        let mut page = ask(addr, "/metrics", "X-Prometheus-Hyper-Page: 1\r\n");
        assert_eq!(page.answer(false).sample("rows_total"), Some(7.0));
        assert_eq!(get(addr, "/-/healthy").status, 200, "it waits for another one");
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
    assert_eq!(late.answer(false).sample("gathers"), Some(2.0), "not from the gather that was under way");
    assert_eq!(wait(scraped), Ok(()));
    assert_eq!(later.answer(false).sample("gathers"), Some(2.0), "what is in flight is finished");
    assert_eq!(gated.gathers(), 2);
}

#[test]
fn a_scrape_from_before_the_call_alone_is_not_enough() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (guard, addr) = start(Server::builder().registry(&registry));
    let mut early = ask(addr, "/metrics", "");
    gated.wait_for_gathers(1);
    let scraped = guard.shutdown_after_scrape(None);
    gated.open();
    assert_eq!(early.answer(false).sample("gathers"), Some(1.0));
    assert_eq!(get(addr, "/-/healthy").status, 200, "it waits for another one");
    assert_eq!(get(addr, "/metrics").sample("gathers"), Some(2.0));
    assert_eq!(wait(scraped), Ok(()));
}

/// What is handed to hyper is not yet on its way.
#[test]
fn a_body_counts_once_it_is_written_whole() {
    let (guard, addr) = start(Server::builder().registry(&large()));
    let scraped = guard.shutdown_after_scrape(PATIENCE);
    let mut slow = ask(addr, "/metrics", "");
    let head = slow.head();
    assert_eq!(head.status, 200);
    assert_eq!(get(addr, "/-/healthy").status, 200, "it waits for the client to take it all");
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
fn a_server_that_has_stopped_is_not_waited_for() {
    let (guard, ..) = job();
    let (token, closed) = (guard.cancellation_token(), guard.stopped());
    token.cancel();
    wait(closed);
    guard.set_ready(false);
    wait(guard.shutdown_after_scrape(None)).unwrap_err();
}

/// A client that has been slow until the limit and takes the rest while the server drains has the values all the same.
#[test]
fn a_scrape_that_ends_within_the_drain_counts() {
    let held = Registry::new();
    let gated = Gated::register(&held, false);
    let addr = reserved();
    let builder = Server::builder().registry_named("held", &held).registry_named("large", &large());
    let guard = builder.drain_timeout(PATIENCE).listen(addr).bind().unwrap().start().unwrap();
    // While another gather is under way, which is not for it, its own does not begin: so it is here before the call, and its
    // values are not.
    let mut early = ask(addr, "/metrics?registry[]=held", "");
    gated.wait_for_gathers(1);
    let mut slow = ask_and_be_heard(addr, "/metrics?registry[]=large", "");
    let scraped = guard.shutdown_after_scrape(Duration::from_millis(1));
    gated.open();
    assert_eq!(early.answer(false).status, 200);
    let head = slow.head();
    // The limit passes while the client reads nothing; then the listeners are closed.
    refused(addr);
    assert!(slow.body(&head).len() > LARGE);
    assert_eq!(wait(scraped), Ok(()));
}

/// Its drop stopped the server at once.
#[test]
fn blocking_shutdown_on_the_servers_thread_does_not_wait() {
    let registry = Registry::new();
    let slot: Arc<Mutex<Option<Guard>>> = Arc::default();
    let taken = Arc::clone(&slot);
    let builder = Server::builder().registry(&registry).before_scrape("ends", move |_| {
        // Without a runtime around `bind` this runs on the server's thread.
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
    // That one had begun before it was asked for the last one; this is the last one.
    assert_eq!(get(addr, "/metrics").status, 200);
    wait(closed);
}
