//! Tests a subscriber that panics at each of our events. A panic may end one connection or one scrape, never
//! the server.
//!
//! Each test runs in its own process, because the subscriber is global.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread::{self, ThreadId};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Builder, Guard, ProbeRequest, Server};

use crate::support::client::{Client, get, wait_for};
use crate::support::run_alone;
use crate::support::runtime::current_thread;
use crate::support::server::{something, start};
use crate::support::subscriber::{ARMED, panicked_at, set};

const PANICS: &str = "prometheus_exporter_errors_total{cause=\"panic\"}";

/// Starts a server before the subscriber panics.
fn started(builder: Builder) -> (Guard, SocketAddr) {
    let started = start(builder);
    ARMED.store(true, Ordering::SeqCst);
    started
}

/// Regression: the future of `serve` panicked, and `start` failed.
#[test]
fn server_survives_a_panic_at_the_start() {
    run_alone("subscriber::child_that_starts", "", &[]);
}

#[test]
#[ignore = "run by another test"]
fn child_that_starts() {
    if !set() {
        return;
    }
    ARMED.store(true, Ordering::SeqCst);
    let (guard, addr) = start(Server::builder().registry(&something()));
    assert_eq!((panicked_at("serving metrics"), get(addr, "/-/healthy").status), (1, 200));
    guard.shutdown_blocking();

    let server = Server::builder().registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap();
    current_thread().block_on(server.serve(std::future::ready(()))).unwrap();
    assert_eq!(panicked_at("serving metrics"), 2);
}

/// Regression: the server closed its port without a log line.
#[test]
fn server_survives_a_panic_in_the_accept_loop() {
    run_alone("subscriber::child_that_evicts", "", &[]);
}

#[test]
#[ignore = "run by another test"]
fn child_that_evicts() {
    if !set() {
        return;
    }
    let (_guard, addr) = started(Server::builder().registry(&something()).max_connections(1));
    for round in 1..=3_u32 {
        let mut silent = Client::connect(addr);
        // This connection evicts the silent one. It is served although the log line of the eviction panics.
        let answer = get(addr, "/-/healthy");
        assert_eq!(answer.status, 200, "{round}");
        assert_eq!(silent.closed(), "", "{round}");
    }
    assert!(panicked_at("connection limit reached") >= 3);
    assert!(get(addr, "/metrics?name[]=prometheus_exporter_errors_total").sample(PANICS) >= Some(3.0));
}

#[test]
#[cfg(target_os = "linux")]
fn server_survives_a_panic_at_a_rejected_address() {
    run_alone("subscriber::child_that_rejects", "", &[]);
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by another test"]
fn child_that_rejects() {
    if !set() {
        return;
    }
    let (_guard, addr) = started(Server::builder().registry(&something()).allow_network("127.0.0.2"));
    for _ in 0..3 {
        assert_eq!(Client::connect(addr).closed(), "");
    }
    let mut allowed = Client::from(crate::support::client::connect_from([127, 0, 0, 2].into(), addr));
    allowed.send("GET /metrics?name[]=prometheus_exporter_errors_total HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(allowed.answer(false).sample(PANICS), Some(3.0));
    assert_eq!(panicked_at("not allowed"), 3);
}

/// Regression: the back-off after a failed accept was set after the log line. The panic would skip it, and
/// the loop would spin.
#[test]
#[cfg(target_os = "linux")]
fn server_survives_a_panic_at_a_lack_of_descriptors() {
    let limited = ["sh", "-c", "ulimit -n 64 && exec \"$0\" \"$@\""];
    run_alone("subscriber::child_without_descriptors", "", &limited);
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by another test"]
fn child_without_descriptors() {
    if !set() {
        return;
    }
    let (_guard, addr) = started(Server::builder().registry(&something()));
    let file = || std::fs::File::open("/proc/self/stat");
    let mut files = Vec::new();
    while let Ok(file) = file() {
        files.push(file);
    }
    // The freed descriptor is the client's. None is left for the server's side of the connection.
    files.pop();
    let mut client = Client::connect(addr);
    client.send("GET /metrics?name[]=prometheus_exporter_errors_total HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for("a failed accept", || panicked_at("failed to accept a connection") > 0);
    drop(files);
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.sample(PANICS)), (200, Some(1.0)), "{}", answer.body);
}

/// Regression: the log line about the panic panicked too, and ended the thread.
#[test]
fn gathering_thread_and_probes_survive_a_panic_in_the_log() {
    run_alone("subscriber::child_that_gathers", "", &[]);
}

/// A collector that stores the thread that gathers it.
struct Tells(Desc, &'static Mutex<Option<ThreadId>>);

impl Tells {
    fn registry(asked_by: &'static Mutex<Option<ThreadId>>) -> Registry {
        let desc = Desc::new("tells".into(), "help".into(), vec![], Default::default()).unwrap();
        let registry = Registry::new();
        registry.register(Box::new(Tells(desc, asked_by))).unwrap();
        registry
    }
}

impl Collector for Tells {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0]
    }
    fn collect(&self) -> Vec<MetricFamily> {
        *self.1.lock().unwrap() = Some(thread::current().id());
        Vec::new()
    }
}

struct PanicsInCollect(IntCounter);

impl Collector for PanicsInCollect {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        panic!("expected panic of this test")
    }
}

#[test]
#[ignore = "run by another test"]
fn child_that_gathers() {
    static GATHERED_BY: Mutex<Option<ThreadId>> = Mutex::new(None);
    static PROBED_BY: Mutex<Option<ThreadId>> = Mutex::new(None);
    static HOOK_FAILS: Mutex<bool> = Mutex::new(false);
    if !set() {
        return;
    }
    let builder = Server::builder().registry(&Tells::registry(&GATHERED_BY)).registry(&something());
    let builder = builder.before_scrape("moody", |_| async {
        if *HOOK_FAILS.lock().unwrap() { Err("it failed".into()) } else { Ok(()) }
    });
    let builder = builder.probe("/probe", |probe: ProbeRequest| async move {
        let registry = Tells::registry(&PROBED_BY);
        if probe.target()? == "panics" {
            registry.register(Box::new(PanicsInCollect(IntCounter::new("panics_total", "help")?)))?;
        }
        Ok(registry)
    });
    let (_guard, addr) = started(builder.max_probes(1));

    let gathered_by = || {
        assert_eq!(get(addr, "/metrics").status, 200);
        GATHERED_BY.lock().unwrap().unwrap()
    };
    let before = gathered_by();
    *HOOK_FAILS.lock().unwrap() = true;
    assert_eq!(get(addr, "/metrics").status, 500, "the panic fails its scrape");
    assert_eq!(panicked_at("hook failed"), 1);
    wait_for("the log line of the panic", || panicked_at("scrape panicked") == 1);
    // The I/O thread and the standby thread.
    let threads: HashSet<ThreadId> = (0..20).map(|_| gathered_by()).chain([before]).collect();
    assert!(threads.len() <= 2, "the threads are replaced: {threads:?}");

    let probe = |target| get(addr, &format!("/probe?target={target}")).sample("probe_success");
    assert_eq!(probe("well"), Some(1.0));
    let before = PROBED_BY.lock().unwrap().unwrap();
    // The permit of the last probe may be released slightly later.
    wait_for("the probe that panics", || probe("panics") == Some(0.0));
    wait_for("a probe on the same thread", || {
        probe("well");
        *PROBED_BY.lock().unwrap() == Some(before)
    });
}

/// Regression: after the panic, the gauge stayed at 1.
#[test]
#[cfg(feature = "web-config")]
fn reload_gauge_survives_a_panic_in_the_log() {
    run_alone("subscriber::child_that_reloads", "", &[]);
}

#[test]
#[cfg(feature = "web-config")]
#[ignore = "run by another test"]
fn child_that_reloads() {
    const GAUGE: &str = "prometheus_exporter_web_config_reload_success";
    if !set() {
        return;
    }
    let folder = crate::support::Scratch::new("subscriber");
    let path = folder.write("web.yml", "");
    let (_guard, addr) = started(Server::builder().registry(&something()).web_config(path));
    let gauge = || get(addr, &format!("/metrics?name[]={GAUGE}")).sample(GAUGE);
    assert_eq!(gauge(), Some(1.0));
    folder.write("web.yml", "unknown: {}\n");
    wait_for("a 0", || gauge() == Some(0.0));
    assert_eq!(panicked_at("failed to load the new web-config file"), 1);
    folder.write("web.yml", "# mended\n");
    wait_for("a 1", || gauge() == Some(1.0));
    assert_eq!(panicked_at("web-config file reloaded"), 1);
}

/// The task of a connection serves no other connection.
#[test]
fn panic_in_a_connection_ends_only_that_connection() {
    run_alone("subscriber::child_with_a_faulty_client", "", &[]);
}

#[test]
#[ignore = "run by another test"]
fn child_with_a_faulty_client() {
    if !set() {
        return;
    }
    let (_guard, addr) = started(Server::builder().registry(&something()));
    let mut faulty = Client::connect(addr);
    faulty.send("\0\r\n\r\n");
    assert!(faulty.closed().starts_with("HTTP/1.1 400 "));
    wait_for("the log line of the connection", || panicked_at("connection ended with an error") > 0);
    let mut client = Client::connect(addr);
    client.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer(false).status, 200);
}
