//! Tests the server's metrics about itself.

use prometheus_hyper::collector::from_fn;
use prometheus_hyper::prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry,
};
use prometheus_hyper::{Builder, Guard, Server};

use crate::support::client::{Client, Response, get};
use crate::support::collectors::Moody;

fn start(builder: Builder) -> Guard {
    builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap()
}

#[test]
fn self_metrics_count_and_can_be_disabled() {
    let registry = Registry::new();
    let guard = start(Server::builder().registry(&registry));
    let addr = guard.local_addr().unwrap();
    let mut idle = Client::connect(addr);
    idle.send("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.answer(false).status, 200);
    let first = get(addr, "/metrics");
    let second = get(addr, "/metrics");

    let table = [
        ("prometheus_exporter_requests_total", 2.0),
        ("prometheus_exporter_request_duration_seconds_count", 2.0), // the health check and the first scrape
        ("prometheus_exporter_response_size_bytes", first.body.len() as f64),
        ("prometheus_exporter_requests_in_flight", 1.0),
        ("prometheus_exporter_errors_total{cause=\"panic\"}", 0.0),
        ("prometheus_exporter_errors_total{cause=\"accept\"}", 0.0),
    ];
    for (series, value) in table {
        assert_eq!(second.sample(series), Some(value), "{series} in {}", second.body);
    }
    // The connection of the first scrape may still be open.
    assert!(second.sample("prometheus_exporter_connections") >= Some(2.0), "{}", second.body);

    registry.register(Box::new(IntCounter::new("yours_total", "help").unwrap())).unwrap();
    let guard = start(Server::builder().registry(&registry).self_metrics(false));
    let body = get(guard.local_addr().unwrap(), "/metrics").body;
    assert_eq!(body, "# HELP yours_total help\n# TYPE yours_total counter\nyours_total 0\n");
}

#[test]
fn registry_may_have_a_metric_named_as_ours() {
    let registry = Registry::new();
    let gauge = Gauge::new("prometheus_exporter_requests_total", "yours, with another type").unwrap();
    registry.register(Box::new(gauge)).unwrap();
    let same = IntCounter::new("prometheus_exporter_errors_total", "yours, without labels").unwrap();
    registry.register(Box::new(same)).unwrap();
    let guard = start(Server::builder().registry(&registry));
    let addr = guard.local_addr().unwrap();
    get(addr, "/metrics");
    let answer = get(addr, "/metrics");
    assert_eq!(
        answer.sample("prometheus_exporter_requests_total"),
        Some(0.0),
        "the first registry keeps its name"
    );
    assert!(answer.body.contains("# TYPE prometheus_exporter_requests_total gauge"));
    assert_eq!(answer.sample("prometheus_exporter_errors_total"), Some(0.0));
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"type_conflict\"}"), Some(1.0));
}

#[test]
fn series_in_two_registries_is_served_once() {
    let counter = IntCounter::new("twice_total", "help").unwrap();
    let (one, two) = (Registry::new(), Registry::new());
    one.register(Box::new(counter.clone())).unwrap();
    two.register(Box::new(counter)).unwrap();
    let guard = start(Server::builder().registry(&one).registry(&two));
    let answer = get(guard.local_addr().unwrap(), "/metrics");
    assert_eq!(answer.body.matches("\ntwice_total 0").count(), 1, "{}", answer.body);
}

/// Prometheus counts each line that is not a comment.
#[test]
fn series_of_each_registry_are_counted_as_by_prometheus() {
    let registry = Registry::new();
    let counters = IntCounterVec::new(Opts::new("counters_total", "help"), &["label"]).unwrap();
    registry.register(Box::new(counters.clone())).unwrap();
    registry.register(Box::new(Histogram::with_opts(HistogramOpts::new("h", "help")).unwrap())).unwrap();
    let copied = from_fn(|s| {
        s.histogram("infinite", "help", &[], &[(1.0, 1), (f64::INFINITY, 2)], 3.0, 2);
        s.histogram("bare", "help", &[], &[], 3.0, 2);
        s.summary("summary", "help", &[("of", "a")], &[(0.5, 1.0), (0.9, 2.0)], 3.0, 2);
        s.untyped("untyped", "help", &[], 1.0);
    });
    registry.register(Box::new(copied)).unwrap();
    let moody = Registry::new();
    let panics = Moody::register(&moody, "moody_total");
    panics.store(false, std::sync::atomic::Ordering::SeqCst);
    let guard = start(Server::builder().registry(&registry).registry_named("moody", &moody));
    let addr = guard.local_addr().unwrap();
    let series = |answer: &Response, registry: &str| {
        answer.sample(&format!("prometheus_exporter_series{{registry=\"{registry}\"}}"))
    };
    for label in ["a", "b", "c"] {
        counters.with_label_values(&[label]).inc();
        let answer = get(addr, "/metrics?registry[]=default");
        let lines = answer
            .body
            .lines()
            .filter(|line| !line.starts_with(['#']) && !line.starts_with("prometheus_exporter_"));
        assert_eq!(series(&answer, "default"), Some(lines.count() as f64), "{}", answer.body);
    }
    assert_eq!(
        series(&get(addr, "/metrics?registry[]=default"), "moody"),
        None,
        "the registry is not gathered yet"
    );
    assert_eq!(series(&get(addr, "/metrics"), "moody"), Some(1.0));
    panics.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(series(&get(addr, "/metrics"), "moody"), Some(0.0));
}
