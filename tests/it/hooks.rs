//! Tests hooks, which run async work before a scrape.

use std::error::Error;
use std::fmt;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::{Gauge, Registry};
use prometheus_hyper::{Builder, ScrapeContext, Server};

use crate::support::client::{Client, PATIENCE, Response, ask, ask_and_be_heard, get, wait_for};
use crate::support::error::Caused;
use crate::support::log::{Log, logged, logged_to};
use crate::support::server::{patient, start};
use crate::support::watched::Watched;

fn gauge(registry: &Registry, name: &str) -> Gauge {
    let gauge = Gauge::new(name, "help").unwrap();
    registry.register(Box::new(gauge.clone())).unwrap();
    gauge
}

fn success(answer: &Response, hook: &str) -> Option<f64> {
    answer.sample(&format!("prometheus_exporter_hook_success{{hook=\"{hook}\"}}"))
}

#[test]
fn scrape_has_the_values_of_its_hook() {
    let registry = Registry::new();
    let depth = gauge(&registry, "depth");
    let (_guard, addr) =
        start(Server::builder().registry(&registry).before_scrape("queue", move |_: ScrapeContext| {
            let depth = depth.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                depth.inc();
                Ok(())
            }
        }));
    for n in [1.0, 2.0, 3.0] {
        let answer = get(addr, "/metrics");
        assert_eq!(answer.sample("depth"), Some(n));
        assert_eq!(success(&answer, "queue"), Some(1.0));
        let duration = answer.sample("prometheus_exporter_hook_duration_seconds{hook=\"queue\"}");
        assert!(duration > Some(0.0), "{duration:?}");
    }
}

/// Each hook waits until all have started. If they ran one after the other, the first would time out.
#[test]
fn hooks_run_concurrently() {
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let mut builder = Server::builder().registry(&Registry::new());
    for name in ["a", "b", "c"] {
        let barrier = Arc::clone(&barrier);
        builder = builder.before_scrape(name, move |_| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Ok(())
            }
        });
    }
    let (_guard, addr) = start(builder);
    let answer = get(addr, "/metrics");
    for name in ["a", "b", "c"] {
        assert_eq!(success(&answer, name), Some(1.0), "{name}");
    }
}

/// An error whose formatting or drop panics.
#[derive(Debug)]
struct Panics {
    in_display: bool,
}

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!self.in_display, "expected panic of this test");
        f.write_str("it failed")
    }
}

impl Error for Panics {}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(self.in_display, "expected panic of this test");
    }
}

/// Regression: an error that panicked in `Display` or in its drop made the scrape a 500.
#[test]
fn failed_hook_costs_only_its_own_values() {
    let registry = Registry::new();
    gauge(&registry, "others").set(7.0);
    let builder = Server::builder()
        .registry(&registry)
        .before_scrape("fails", |_| async { Err("no such table".into()) })
        .before_scrape("panics", |_| async { panic!("expected panic of this test") })
        .before_scrape("panics at once", |_| -> std::future::Ready<_> {
            panic!("expected panic of this test")
        })
        .before_scrape("panics in display", |_| async { Err(Panics { in_display: true }.into()) })
        .before_scrape("panics in drop", |_| async { Err(Panics { in_display: false }.into()) })
        .before_scrape("is well", |scrape: ScrapeContext| async move {
            assert!(scrape.deadline() > Instant::now());
            Ok(())
        });
    let (_guard, addr) = start(patient(builder));
    for _ in 0..2 {
        let answer = get(addr, "/metrics");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.sample("others"), Some(7.0));
        for hook in ["fails", "panics", "panics at once", "panics in display", "panics in drop"] {
            assert_eq!(success(&answer, hook), Some(0.0), "{hook}");
        }
        assert_eq!(success(&answer, "is well"), Some(1.0));
    }
}

/// Regression: an error with a line feed forged a log line.
#[test]
fn hook_error_is_logged_on_one_line_with_its_sources() {
    let builder = Server::builder().registry(&Registry::new()).before_scrape("fails", |_| async {
        Err(Caused("no\nERROR forged", Some(&Caused("it is gone", None))).into())
    });
    let log = logged(builder, |addr| assert_eq!(get(addr, "/metrics").status, 200));
    assert!(log.contains(r#"failure="no\nERROR forged: it is gone""#), "{log}");
}

/// A separate test, because here the timeout must expire. On a busy machine the remaining time may not be
/// enough to gather. The response is then a 503, and the test scrapes again.
#[test]
fn late_hook_costs_only_its_own_values() {
    let registry = Registry::new();
    gauge(&registry, "others").set(7.0);
    let builder = Server::builder().registry(&registry).before_scrape("is late", |_| std::future::pending());
    let (_guard, addr) = start(builder.scrape_timeout(Duration::from_secs(1)));
    wait_for("a response before the timeout", || {
        let answer = get(addr, "/metrics");
        if answer.status == 503 {
            return false;
        }
        assert_eq!((answer.status, answer.sample("others")), (200, Some(7.0)));
        assert_eq!(success(&answer, "is late"), Some(0.0));
        true
    });
}

#[test]
fn coalesced_scrapes_share_the_hooks_of_their_gather() {
    let runs = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&runs);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let builder = Server::builder().registry(&Registry::new()).before_scrape("slow", move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&opened);
        async move {
            let _permit = gate.acquire().await?;
            Ok(())
        }
    });
    let (_guard, addr) = start(patient(builder));
    let mut clients: Vec<Client> = (0..50).map(|_| ask_and_be_heard(addr, "/metrics", "")).collect();
    gate.add_permits(1);
    for client in &mut clients {
        assert_eq!(client.answer(false).status, 200);
    }
    let runs = runs.load(Ordering::SeqCst);
    assert!((1..=2).contains(&runs), "{runs} runs for 50 clients");
}

/// A hook's sockets and timers need the runtime on which the program called `bind`.
#[test]
fn hooks_run_on_the_runtime_of_bind_or_of_the_server() {
    let thread_of_hook = |builder: Builder| {
        let (tell, told) = std::sync::mpsc::channel();
        let builder = builder.registry(&Registry::new()).before_scrape("where", move |_| {
            let tell = tell.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                tell.send(std::thread::current().name().unwrap_or_default().to_owned())?;
                Ok(())
            }
        });
        let (guard, addr) = start(builder);
        assert_eq!(get(addr, "/metrics").status, 200);
        guard.shutdown_blocking();
        told.recv_timeout(PATIENCE).unwrap()
    };
    let name = thread_of_hook(Server::builder());
    assert!(name.starts_with("prometheus-hyper-"), "{name}");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("hosts-worker")
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(async { thread_of_hook(Server::builder()) }), "hosts-worker");
}

#[test]
fn hook_fails_without_its_runtime_and_the_scrape_succeeds() {
    let runtime = crate::support::runtime::current_thread();
    let builder = Server::builder().registry(&Registry::new()).before_scrape("orphan", |_| async { Ok(()) });
    let (_guard, addr) = runtime.block_on(async { start(builder) });
    drop(runtime);
    let answer = get(addr, "/metrics");
    assert_eq!((answer.status, success(&answer, "orphan")), (200, Some(0.0)));
}

/// Regression: a client with a timeout of 0.1 s scraped repeatedly. Prometheus then got 200 without the value
/// of a hook that takes 200 ms.
#[test]
fn short_timeout_does_not_cut_hooks_of_a_longer_scrape() {
    let registry = Registry::new();
    let value = gauge(&registry, "value");
    let (begun, may_end) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&may_end));
    let builder = Server::builder().registry(&registry).scrape_timeout(2 * PATIENCE);
    let (_guard, addr) = start(builder.before_scrape("slow", move |_| {
        begins.fetch_add(1, Ordering::SeqCst);
        let (value, ends) = (value.clone(), Arc::clone(&ends));
        async move {
            let _permit = ends.acquire().await?;
            value.set(7.0);
            Ok(())
        }
    }));
    let mut impatient = ask(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n");
    wait_for("the hook", || begun.load(Ordering::SeqCst) >= 1);
    let mut patient = ask_and_be_heard(addr, "/metrics", "");
    // Waits longer than the first scrape alone gives to the hook.
    impatient.answer(false);
    may_end.add_permits(1);
    let answer = patient.answer(false);
    assert_eq!(
        (answer.status, answer.sample("value"), success(&answer, "slow")),
        (200, Some(7.0), Some(1.0))
    );
}

/// Regression: after a scrape with a timeout of 120 s, Prometheus got a 503.
#[test]
fn hanging_hook_gets_half_the_default_timeout() {
    let begun = Arc::new(AtomicU64::new(0));
    let begins = Arc::clone(&begun);
    let builder = Server::builder().registry(&Registry::new()).scrape_timeout(Duration::from_secs(2));
    let (_guard, addr) = start(builder.before_scrape("hangs", move |_| {
        begins.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    }));
    let mut longest = ask(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 120\r\n");
    wait_for("the hook", || begun.load(Ordering::SeqCst) == 1);
    let mut prometheus = ask_and_be_heard(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 30\r\n");
    for client in [&mut prometheus, &mut longest] {
        let answer = client.answer(false);
        assert_eq!((answer.status, success(&answer, "hangs")), (200, Some(0.0)));
    }
}

/// A hook on the host's runtime would otherwise run on after the server, without a deadline.
#[test]
fn stop_cancels_a_running_hook_at_the_drain_timeout() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let builder = Server::builder().registry(&Registry::new()).drain_timeout(Duration::from_millis(50));
    let builder = patient(builder).before_scrape("hangs", move |_| {
        let watched = Watched::begin(&tell);
        async move {
            let _watched = watched;
            std::future::pending().await
        }
    });
    let (guard, addr) = runtime.block_on(async { start(builder) });
    let _client = ask(addr, "/metrics", "");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    guard.shutdown_blocking();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

/// No client can write to the log above debug. A hook that takes all of the available time logs a warning.
#[test]
fn late_hook_logs_a_warning_and_short_timeout_does_not() {
    let name = "warned of";
    let log = Log::default();
    let builder = Server::builder().registry(&Registry::new()).scrape_timeout(Duration::from_secs(2));
    let builder = builder.before_scrape(name, |_| std::future::pending());
    logged_to(&log, builder, |addr| {
        let scrape = |timeout: &str| {
            let header = format!("X-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n");
            ask(addr, "/metrics", &header).answer(false);
        };
        wait_for("a line", || {
            scrape("0.2");
            !log.lines_with(name).is_empty()
        });
        let lines = log.lines_with(name);
        assert!(lines.iter().all(|line| line.contains("DEBUG")), "{lines:?}");
        wait_for("a warning", || {
            scrape("2");
            log.lines_with(name).iter().any(|line| line.contains("WARN"))
        });
    });
}

/// The driver dropped the payload. If that blocks, nothing is served.
#[test]
fn payload_of_a_hooks_panic_is_dropped_on_its_runtime() {
    struct Names(Sender<Option<String>>);
    impl Drop for Names {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("host").build().unwrap();
    let _context = runtime.enter();
    let (tell, told) = mpsc::channel();
    let (_guard, addr) =
        start(Server::builder().registry(&Registry::new()).before_scrape("panics", move |_| {
            let names = Names(tell.clone());
            async move { panic_any(names) }
        }));
    for _ in 0..2 {
        assert_eq!(success(&get(addr, "/metrics"), "panics"), Some(0.0));
    }
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().as_deref(), Some("host"));
}
