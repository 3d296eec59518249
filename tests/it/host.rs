//! Tests that the server does not harm its host program.

use std::sync::Arc;
use std::time::Duration;

use prometheus_hyper::Server;
use prometheus_hyper::prometheus::{Registry, default_registry};
use tokio::sync::Notify;

use crate::support::client::{Client, PATIENCE, get};
use crate::support::collectors::Hangs;
use crate::support::run_alone;
use crate::support::runtime::current_thread;

#[test]
fn start_works_inside_and_outside_of_a_runtime() {
    let start_and_scrape = || {
        let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
        assert_eq!(get(guard.local_addr().unwrap(), "/metrics").status, 200);
        guard
    };
    drop(start_and_scrape());

    let multi_thread =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for runtime in [current_thread(), multi_thread()] {
        // The scrape blocks the runtime that it runs on, and is served nevertheless.
        let (inside, blocked, guard) = runtime.block_on(async {
            let blocked = start_and_scrape();
            blocked.shutdown_blocking(); // on a runtime thread: blocks without a deadlock
            (start_and_scrape(), start_and_scrape(), start_and_scrape())
        });
        runtime.block_on(async { drop(inside) });
        runtime.block_on(blocked.shutdown());
        drop(runtime);
        let (addr, closed) = (guard.local_addr().unwrap(), guard.stopped());
        assert_eq!(get(addr, "/metrics").status, 200, "after the end of the runtime");
        drop(guard);
        current_thread().block_on(closed);
    }
}

#[test]
fn serve_works_without_a_runtime_and_its_drivers() {
    let addr_of = |server: &Server| server.local_addr().unwrap();
    let bind = || Server::builder().registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap();

    let server = bind();
    let addr = addr_of(&server);
    let mut serving = Box::pin(server.serve(std::future::pending()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(serving.as_mut().poll(&mut context).is_pending());
    assert_eq!(get(addr, "/metrics").status, 200);
    drop(serving);

    let (server, notify) = (bind(), Arc::new(Notify::new()));
    let (addr, asked) = (addr_of(&server), Arc::clone(&notify));
    let client = std::thread::spawn(move || {
        let status = get(addr, "/metrics").status;
        asked.notify_one();
        status
    });
    let without_drivers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    without_drivers.block_on(server.serve(notify.notified())).unwrap();
    assert_eq!(client.join().unwrap(), 200);
}

#[test]
fn guard_dropped_while_unwinding_stops_the_server() {
    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    let closed = guard.stopped();
    std::thread::spawn(move || {
        let _guard = guard;
        panic!("expected panic of this test");
    })
    .join()
    .unwrap_err();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(closed);
}

#[test]
fn blocked_collector_does_not_block_the_hosts_runtime() {
    let registry = Registry::new();
    let was_asked = Hangs::register(&registry);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::builder().registry(&registry).drain_timeout(Duration::from_millis(1));
        let server = server.listen("127.0.0.1:0").bind().unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let client = tokio::task::spawn_blocking(move || {
            let mut client = Client::connect(addr);
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
            was_asked.recv_timeout(PATIENCE).unwrap();
            assert_eq!(get(addr, "/-/healthy").status, 200);
            assert_eq!(get(addr, "/").status, 200);
            stop.send(()).unwrap();
            client
        });
        server.serve(async { drop(stopping.await) }).await.unwrap();
        client.await.unwrap();
    });
}

#[test]
fn process_exits_while_a_collector_hangs() {
    for mode in ["start", "run"] {
        let output = run_alone("host::child_with_a_hanging_collector", mode, &[]);
        assert!(output.contains("main returned"), "{mode}: {output}");
    }
}

/// Runs in a child process of the test above, which must exit.
#[test]
#[ignore = "run by another test"]
fn child_with_a_hanging_collector() {
    let Ok(mode) = std::env::var("PROMETHEUS_HYPER_TEST_CHILD") else { return };
    let was_asked = Hangs::register(default_registry());
    let main = async {
        let ask = |addr| {
            let mut client = Client::connect(addr);
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
            client
        };
        if mode == "start" {
            let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
            let _client = ask(guard.local_addr().unwrap());
            was_asked.recv_timeout(PATIENCE).unwrap();
        } else {
            let server = Server::builder()
                .drain_timeout(Duration::from_millis(1))
                .listen("127.0.0.1:0")
                .bind()
                .unwrap();
            let addr = server.local_addr().unwrap();
            tokio::spawn(server.serve(std::future::pending()));
            let _client = tokio::task::spawn_blocking(move || ask(addr)).await.unwrap();
            tokio::task::spawn_blocking(move || was_asked.recv_timeout(PATIENCE)).await.unwrap().unwrap();
        }
    };
    // `#[tokio::main]` expands to this. The drop of the runtime waits for its blocking threads.
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(main);
    println!("main returned");
}

/// Regression: evicted connections kept their sockets until their tasks were polled. A flood took the last
/// descriptors of the host program.
#[test]
fn flood_does_not_take_the_hosts_descriptors() {
    run_alone("host::child_under_a_flood", "", &["sh", "-c", "ulimit -n 64 && exec \"$0\" \"$@\""]);
}

/// Runs in a child process of the test above, with 64 descriptors.
#[test]
#[ignore = "run by another test"]
fn child_under_a_flood() {
    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    let addr = guard.local_addr().unwrap();
    let flood = std::thread::spawn(move || {
        // The clients run in another process, with its own descriptors.
        run_alone("host::child_that_floods", &addr.to_string(), &[])
    });
    let mut opened = 0_u32;
    while !flood.is_finished() {
        std::fs::File::open(std::env::current_exe().unwrap())
            .expect("the host program has a free descriptor");
        opened += 1;
    }
    flood.join().unwrap();
    assert!(opened > 0, "the flood ended before the first file was opened");
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"accept\"}"), Some(0.0));
    assert!(answer.sample("prometheus_exporter_errors_total{cause=\"evicted\"}") >= Some(100.0));
}

#[test]
#[ignore = "run by another test"]
fn child_that_floods() {
    let Ok(addr) = std::env::var("PROMETHEUS_HYPER_TEST_CHILD").unwrap_or_default().parse() else { return };
    for _ in 0..10 {
        // The process inherits the limit of 64 descriptors. 50 connections fit into it.
        let silent: Vec<Client> = (0..50).map(|_| Client::connect(addr)).collect();
        assert_eq!(get(addr, "/-/healthy").status, 200);
        drop(silent);
    }
}
