//! Tests one endpoint for the metrics libraries of a program's dependencies.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_hyper::Server;
use prometheus_hyper::collector::exposition;
use prometheus_hyper::prometheus::{IntCounter, Registry};

use crate::support::client::{Client, get};
use crate::support::server::start;

/// The four are prometheus-client, the facade `metrics`, an older `prometheus`, and the program's own.
#[test]
fn one_port_serves_four_libraries_in_each_format() {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("own_total", "help").unwrap())).unwrap();

    let mut gossip = prometheus_client::registry::Registry::default();
    let messages = Counter::<u64>::default();
    gossip.register("messages", "Messages", messages.clone());
    messages.inc_by(3);
    registry.register(Box::new(exposition(move |text| Ok(encode(text, &gossip)?)))).unwrap();

    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("requests_total", "method" => "GET").increment(2);
        metrics::histogram!("request_seconds").record(0.25);
    });
    let rendered = exposition(move |text| {
        text.push_str(&handle.render());
        Ok(())
    });
    registry.register(Box::new(rendered)).unwrap();

    let old = prometheus_013::Registry::new();
    let jobs =
        prometheus_013::IntCounterVec::new(prometheus_013::opts!("jobs_total", "Jobs"), &["of"]).unwrap();
    jobs.with_label_values(&["a"]).inc_by(7);
    old.register(Box::new(jobs)).unwrap();
    let encoded =
        exposition(move |text| Ok(prometheus_013::TextEncoder::new().encode_utf8(&old.gather(), text)?));
    registry.register(Box::new(encoded)).unwrap();

    let (_guard, addr) = start(Server::builder().registry(&registry).openmetrics(true));
    let samples = [
        ("own_total", 0.0),
        ("messages_total", 3.0),
        ("requests_total{method=\"GET\"}", 2.0),
        ("request_seconds_count", 1.0),
        ("jobs_total{of=\"a\"}", 7.0),
        ("prometheus_exporter_errors_total{cause=\"skipped\"}", 0.0),
    ];
    let mut client = Client::connect(addr);
    for accept in
        ["text/plain;version=0.0.4", "text/plain;version=1.0.0", "application/openmetrics-text;version=1.0.0"]
    {
        client.send(format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"));
        let answer = client.answer(false);
        assert!(answer.header("content-type").unwrap().replace(' ', "").starts_with(accept), "{answer:?}");
        for (series, value) in samples {
            assert_eq!(answer.sample(series), Some(value), "{accept}: {series} in {}", answer.body);
        }
    }
    // Filters apply to all of them.
    let answer = get(addr, "/metrics?name[]=jobs_total&name[]=messages_total");
    assert_eq!(answer.body.lines().filter(|line| !line.starts_with('#')).count(), 2, "{}", answer.body);
}
