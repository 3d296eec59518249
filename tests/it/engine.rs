//! Tests a hanging collector, and that the server still works during the hang.
//!
//! The thread of a gather decides whether I/O continues during it. The server has no runtime, so the hook
//! runs on the I/O thread.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::{IntCounterVec, Opts, Registry};
use prometheus_hyper::{Builder, Guard, Server};
use tokio::runtime::Handle;

use crate::support::client::{Client, PATIENCE, ask, get, wait_for};
use crate::support::collectors::Gated;
use crate::support::runtime::current_thread;
use crate::support::server::start;
use crate::support::{CHILD, LARGE_STACKS, run_alone};

/// The time within which I/O continues. It takes two seconds; the rest is slack for a busy machine.
const BACK: Duration = Duration::from_secs(10);

/// Longer than any gather on the I/O thread.
const LONG: Duration = Duration::from_millis(10);

/// A server with a collector that can hang.
struct Served {
    guard: Guard,
    addr: SocketAddr,
    gated: Gated,
    io: Arc<Mutex<Option<ThreadId>>>,
}

impl Served {
    fn new(builder: Builder) -> Self {
        let (registry, io) = (Registry::new(), Arc::<Mutex<_>>::default());
        let gated = Gated::register(&registry, true);
        let on = Arc::clone(&io);
        let builder = builder.registry_named("gated", &registry).before_scrape("where", move |_| {
            let on = Arc::clone(&on);
            async move {
                *on.lock().unwrap() = Some(thread::current().id());
                Ok(())
            }
        });
        let (guard, addr) = start(builder);
        Served { guard, addr, gated, io }
    }

    /// Scrapes only the collector that may hang.
    fn ask(&self, headers: &str) -> Client {
        ask(self.addr, "/metrics?registry[]=gated", headers)
    }

    fn scrape(&self) {
        assert_eq!(self.ask("").answer(false).status, 200);
    }

    fn is_healthy(&self) {
        assert_eq!(get(self.addr, "/-/healthy").status, 200);
    }

    /// Closes the collector's gate, and returns once a scrape hangs there.
    fn hang(&self) -> Client {
        let before = self.gated.gathers();
        self.gated.close();
        let hangs = self.ask("X-Prometheus-Scrape-Timeout-Seconds: 60\r\n");
        self.gated.wait_for_gathers(before + 1);
        hangs
    }

    /// Returns whether the last gather ran on the I/O thread.
    fn was_gathered_with_the_io(&self) -> bool {
        let (io, gathered) = (*self.io.lock().unwrap(), self.gated.thread());
        assert!(io.is_some() && gathered.is_some(), "{io:?} {gathered:?}");
        io == gathered
    }

    /// Scrapes until the server treats the collector as fast. A busy machine may make it slow again.
    fn become_fast(&self) {
        wait_for("a gather on the I/O thread", || {
            self.scrape();
            self.was_gathered_with_the_io()
        });
    }
}

fn builder() -> Builder {
    Server::builder().max_scrape_timeout(4 * PATIENCE)
}

/// Counts the server threads of this process. Linux cuts thread names at 15 bytes.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.starts_with("prometheus-hype")).count()
}

#[test]
#[cfg(target_os = "linux")]
fn hanging_collector_costs_one_thread_and_one_pause() {
    for gather in ["1", "10", "100"] {
        run_alone("engine::child_that_hangs", gather, &[]);
    }
}

/// Runs in a child process of the test above, because it counts the threads.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by another test"]
fn child_that_hangs() {
    let Some(nth) = std::env::var(CHILD).ok().and_then(|nth| nth.parse::<u64>().ok()) else { return };
    let served = Served::new(builder());
    for _ in 1..nth {
        served.scrape();
    }
    // A thread names itself once it runs.
    wait_for("two threads", || threads() == 2);
    let mut hangs = served.hang();
    let begin = Instant::now();
    served.is_healthy();
    assert!(begin.elapsed() < BACK, "{:?}", begin.elapsed());

    // Everything works, except that there is nothing to scrape.
    let late = served.ask("X-Prometheus-Scrape-Timeout-Seconds: 1\r\n").answer(false);
    assert_eq!(late.status, 503);
    for _ in 0..20 {
        served.is_healthy();
    }
    assert_eq!(threads(), 2, "one thread hangs, one serves");
    assert_eq!(served.gated.gathers(), nth, "no second gather starts");
    served.gated.open();
    assert_eq!(hangs.answer(false).status, 200, "the late gather is delivered");

    // The thread is ready for the next hang, and the collector is known to be slow. So I/O does not even
    // pause.
    let mut hangs = served.hang();
    assert!(!served.was_gathered_with_the_io());
    served.is_healthy();
    served.gated.open();
    assert_eq!(hangs.answer(false).status, 200);
    assert_eq!(threads(), 2);
}

#[test]
fn occasionally_slow_collector_delays_no_health_check() {
    let served = Served::new(builder());
    let hang = || {
        let mut hangs = served.hang();
        thread::sleep(LONG);
        served.is_healthy();
        let with_the_io = served.was_gathered_with_the_io();
        served.gated.open();
        assert_eq!(hangs.answer(false).status, 200);
        with_the_io
    };
    hang();
    for round in 0..10 {
        served.scrape();
        assert!(!hang(), "I/O waited in round {round}");
    }
}

#[test]
fn responses_are_written_during_a_hang() {
    const READERS: usize = 128;
    let large = Registry::new();
    let vec = IntCounterVec::new(Opts::new("large_total", "help"), &["label"]).unwrap();
    (0..16).for_each(|n| vec.with_label_values(&[&format!("{n}{}", "x".repeat(64 * 1024))]).inc());
    large.register(Box::new(vec)).unwrap();
    let builder = crate::support::server::patient(Server::builder()).registry_named("large", &large);
    let served = Served::new(builder.max_connections(READERS + 8).write_timeout(4 * PATIENCE));
    let mut readers: Vec<Client> =
        (0..READERS).map(|_| ask(served.addr, "/metrics?registry[]=large", "")).collect();
    let heads: Vec<_> = readers.iter_mut().map(Client::head).collect();
    served.become_fast();
    let mut hangs = served.hang();
    for (reader, head) in readers.iter_mut().zip(&heads) {
        assert_eq!(head.status, 200);
        assert!(reader.body(head).len() > 16 * 64 * 1024);
        reader.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(reader.answer(false).status, 200);
    }
    served.gated.open();
    assert_eq!(hangs.answer(false).status, 200);
}

#[test]
fn hang_in_one_server_does_not_affect_another() {
    let (one, other) = (Served::new(builder()), Served::new(builder()));
    one.become_fast();
    let mut hangs = one.hang();
    for _ in 0..20 {
        other.scrape();
    }
    other.guard.shutdown_blocking();
    one.gated.open();
    assert_eq!(hangs.answer(false).status, 200);
}

#[test]
fn stop_drop_and_exit_do_not_wait_for_a_hang() {
    for how in ["stop", "drop", "drop serve", "main"] {
        let output = run_alone("engine::child_that_ends", how, &[]);
        assert!(output.contains("main is about to return"), "{how}: {output}");
    }
}

/// Runs in a child process of the test above, because the process must exit.
#[test]
#[ignore = "run by another test"]
fn child_that_ends() {
    let Ok(how) = std::env::var(CHILD) else { return };
    let served = Served::new(builder().drain_timeout(Duration::from_millis(100)));
    served.become_fast();
    let hangs = served.hang();
    let begin = Instant::now();
    match how.as_str() {
        "stop" => served.guard.shutdown_blocking(),
        "drop" => {
            let closed = served.guard.stopped();
            drop(served.guard);
            current_thread().block_on(closed);
        }
        "drop serve" => {
            let (registry, runtime) = (Registry::new(), current_thread());
            let gated = Gated::register(&registry, false);
            let server = Server::builder().registry(&registry).listen("127.0.0.1:0").bind().unwrap();
            let addr = server.local_addr().unwrap();
            let mut serving = Box::pin(server.serve(std::future::pending()));
            assert!(runtime.block_on(poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending()))));
            let _hangs = ask(addr, "/metrics", "");
            gated.wait_for_gathers(1);
            drop(serving);
        }
        _ => std::mem::forget(served.guard),
    }
    assert!(begin.elapsed() < BACK, "{:?}", begin.elapsed());
    drop(hangs);
    println!("main is about to return");
}

#[test]
#[cfg(target_os = "linux")]
fn server_without_standby_thread_serves_and_logs_it() {
    // The memory limit can allow one more thread and not two.
    for mode in ["none", "one", "one and a subscriber that panics"] {
        run_alone("engine::child_without_memory", mode, &LARGE_STACKS);
    }
}

/// Runs in a child process of the test above, with memory for that many stacks.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by another test"]
fn child_without_memory() {
    use crate::support::log::Log;

    let Ok(mode) = std::env::var(CHILD) else { return };
    let panics = mode.ends_with("panics") && crate::support::subscriber::set();
    crate::support::subscriber::ARMED.store(panics, std::sync::atomic::Ordering::SeqCst);
    crate::support::limit_memory(Some(if mode == "none" { 150_000_000 } else { 350_000_000 }));
    let registry = crate::support::server::something();
    let server = Server::builder().registry(&registry).listen("127.0.0.1:0").bind().unwrap();
    let log = Log::default();
    log.follow(server.local_addr().unwrap());
    let started = if panics { server.start() } else { log.capture(|| server.start()) };
    if mode == "none" {
        assert_eq!(started.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(log.text(), "", "it does not serve");
        return assert_eq!(threads(), 0);
    }
    let guard = started.unwrap();
    for _ in 0..3 {
        assert_eq!(get(guard.local_addr().unwrap(), "/metrics").status, 200);
    }
    assert_eq!(threads(), 1);
    if panics {
        assert_eq!(crate::support::subscriber::panicked_at("failed to spawn the standby thread"), 1);
    } else {
        assert_eq!(log.lines_with("failed to spawn the standby thread").len(), 1, "{}", log.text());
    }
    guard.shutdown_blocking();
}

/// Regression: responses of some megabytes delayed the timers of the host program.
#[test]
fn serve_adds_no_task_to_the_hosts_runtime() {
    current_thread().block_on(async {
        let registry = crate::support::server::large();
        let server = Server::builder().registry(&registry).listen("127.0.0.1:0").bind().unwrap();
        let addr = server.local_addr().unwrap();
        let mut serving = pin!(server.serve(std::future::pending()));
        assert!(poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await);
        // `get` blocks this runtime, so only the other threads can serve.
        assert!(get(addr, "/metrics").body.len() > crate::support::server::LARGE);
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    });
}
