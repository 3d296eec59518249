//! Tests samples from functions, as a server serves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use prometheus_hyper::Server;
use prometheus_hyper::collector::{Samples, from_fn, try_from_fn};
use prometheus_hyper::prometheus::{IntCounter, Registry};

use crate::support::client::get;
use crate::support::error::Caused;
use crate::support::log::{Log, logged_to};
use crate::support::server::{patient, start};

const SKIPPED: &str = "prometheus_exporter_errors_total{cause=\"skipped\"}";

fn registered(collect: impl Fn(&mut Samples) + Send + Sync + 'static) -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(from_fn(collect))).unwrap();
    registry
}

#[test]
fn bad_sample_is_counted_once_a_scrape_and_skipped() {
    let registry = registered(|s| {
        s.counter("copied_total", "help", &[("from", "a")], 17.0);
        s.counter("copied_total", "help", &[("from", "a")], 18.0);
        s.counter("bad total", "help", &[], 1.0);
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        s.histogram("seconds", "help", &[], &[(0.5, 2)], 1.5, 3).timestamp(at);
    });
    // Another collector has a duplicate series of the same family.
    let other = from_fn(|s| {
        s.counter("copied_total", "help", &[("from", "b")], 1.0);
        s.gauge("copied_total", "help", &[("from", "c")], 1.0);
    });
    registry.register(Box::new(other)).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry));
    let (_other_guard, other_addr) = start(Server::builder().registry(&registry));
    for scrape in 1..=3 {
        let answer = get(addr, "/metrics");
        let page = "\
            # HELP copied_total help\n\
            # TYPE copied_total counter\n\
            copied_total{from=\"a\"} 17\n\
            copied_total{from=\"b\"} 1\n";
        assert!(answer.body.starts_with(page), "{}", answer.body);
        let page = "\
            # TYPE seconds histogram\n\
            seconds_bucket{le=\"0.5\"} 2 1700000000123\n\
            seconds_bucket{le=\"+Inf\"} 3 1700000000123\n\
            seconds_sum 1.5 1700000000123\n\
            seconds_count 3 1700000000123\n";
        assert!(answer.body.ends_with(page), "{}", answer.body);
        assert_eq!(answer.sample(SKIPPED), Some(3.0 * f64::from(scrape)), "{}", answer.body);
    }
    // Only the server that gathers counts them.
    assert_eq!(get(other_addr, "/metrics").sample(SKIPPED), Some(3.0));
}

#[test]
fn gather_by_the_host_program_counts_no_skipped_samples() {
    let registry = registered(|s| {
        s.gauge("bad name", "help", &[], 1.0);
    });
    let (_guard, addr) = start(Server::builder().registry(&registry));
    assert_eq!(registry.gather().len(), 0);
    assert_eq!(get(addr, "/metrics").sample(SKIPPED), Some(1.0));
}

#[test]
fn skipped_samples_are_counted_despite_a_panic() {
    let panics = Arc::new(AtomicBool::new(true));
    let panic = Arc::clone(&panics);
    let moody = registered(move |s| {
        s.gauge("bad name", "help", &[], 1.0);
        assert!(!panic.load(Ordering::SeqCst), "expected panic of this test");
    });
    let bad = registered(|s| {
        s.gauge("another bad name", "help", &[], 1.0);
        s.gauge("good", "help", &[], 1.0);
    });
    let (_guard, addr) = start(Server::builder().registry_named("bad", &bad).registry_named("moody", &moody));
    let answer = get(addr, "/metrics");
    assert_eq!(answer.sample("good"), Some(1.0));
    assert_eq!(answer.sample("prometheus_exporter_registry_up{registry=\"moody\"}"), Some(0.0));
    assert_eq!(answer.sample(SKIPPED), Some(1.0), "samples of a panicking registry do not count");
    panics.store(false, Ordering::SeqCst);
    assert_eq!(get(addr, "/metrics").sample(SKIPPED), Some(1.0 + 2.0));
}

#[test]
fn large_exposition_is_served() {
    let large = "x".repeat(20 << 20);
    let registry = registered(move |s| {
        s.gauge("large", "help", &[("label", &large)], 1.0);
        s.gauge(&format!("not a name{large}"), "help", &[], 1.0);
    });
    registry.register(Box::new(IntCounter::new("beside_total", "help").unwrap())).unwrap();
    let (_guard, addr) = start(patient(Server::builder().registry(&registry)));
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.body.len() > 20 << 20);
    assert_eq!(answer.sample("beside_total"), Some(0.0));
    assert_eq!(answer.sample(SKIPPED), Some(1.0));
}

#[test]
fn collector_logs_its_first_skipped_samples_in_one_line() {
    let registry = registered(|s| {
        s.gauge(&format!("a\nERROR forged{}", "x".repeat(1000)), "help", &[], 1.0);
        s.counter("below_zero_total", "help", &[], -1.0);
    });
    let log = Log::default();
    log.capture(|| {
        registry.gather();
        registry.gather();
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(r#" WARN "#) && text.contains(r#"name="a\nERROR forged"#), "{text}");
    assert!(text.contains("metric name does not match [a-zA-Z_:]") && text.contains("count=2"), "{text}");
    assert!(text.len() < 500, "{} bytes", text.len());
}

/// With the feature `protobuf` of `prometheus`, the value of an untyped sample cannot be set.
#[test]
fn summary_info_and_untyped_are_served_in_each_format() {
    let registry = registered(|s| {
        s.summary("took_seconds", "help", &[("of", "a")], &[(0.5, 0.25), (0.99, 2.0)], 4.5, 10);
        s.info("version_info", "help", &[("version", "1.2")]);
        s.untyped("imported", "help", &[], 0.0).untyped("imported", "help", &[("of", "b")], -1.5);
    });
    let (_guard, addr) = start(Server::builder().registry(&registry).openmetrics(true));
    let answer = get(addr, "/metrics");
    for lines in [
        "# TYPE imported untyped\nimported 0\nimported{of=\"b\"} -1.5\n",
        "# TYPE took_seconds summary\ntook_seconds{of=\"a\",quantile=\"0.5\"} 0.25\n\
         took_seconds{of=\"a\",quantile=\"0.99\"} 2\ntook_seconds_sum{of=\"a\"} 4.5\ntook_seconds_count{of=\"a\"} 10\n",
        "# TYPE version_info gauge\nversion_info{version=\"1.2\"} 1\n",
    ] {
        assert!(answer.body.contains(lines), "{lines} in {}", answer.body);
    }
    assert_eq!(answer.sample(SKIPPED), Some(0.0), "{}", answer.body);
    let answer = get(addr, "/metrics?format=openmetrics");
    assert!(
        answer.body.contains("# TYPE imported unknown\n# HELP imported help\nimported 0\n"),
        "{}",
        answer.body
    );
    assert_eq!(answer.sample("took_seconds{of=\"a\",quantile=\"0.5\"}"), Some(0.25), "{}", answer.body);
}

#[test]
fn failing_collector_is_skipped_counted_and_logged_once() {
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let registry = Registry::new();
    let collector = try_from_fn(move |s| {
        s.gauge("before", "help", &[], 1.0);
        if failing.load(Ordering::SeqCst) {
            return Err(Caused("no disks", Some(&Caused("the disk is\nERROR forged", None))).into());
        }
        Ok(())
    });
    registry.register(Box::new(collector)).unwrap();
    registry.register(Box::new(IntCounter::new("beside_total", "help").unwrap())).unwrap();
    let log = Log::default();
    logged_to(&log, Server::builder().registry(&registry), |addr| {
        for scrape in 1..=3 {
            let answer = get(addr, "/metrics");
            assert_eq!((answer.sample("before"), answer.sample("beside_total")), (None, Some(0.0)));
            assert_eq!(answer.sample(SKIPPED), Some(f64::from(scrape)));
        }
        fails.store(false, Ordering::SeqCst);
        let answer = get(addr, "/metrics");
        assert_eq!((answer.sample("before"), answer.sample(SKIPPED)), (Some(1.0), Some(3.0)));
    });
    let lines = log.lines_with("collector failed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(" WARN ") && lines[0].contains(r"no disks: the disk is\nERROR forged"),
        "{lines:?}"
    );
}
