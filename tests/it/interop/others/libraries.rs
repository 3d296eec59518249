//! Expositions of other metrics libraries for Rust.

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;
use prometheus_hyper::prometheus::{Registry, TextEncoder};

use super::{Capture, OPENMETRICS, TEXT};

const PATHS: [&str; 3] = ["/", "/\"\\\n", "/é"];

/// Returns one exposition of each library.
pub(super) fn captures() -> Vec<Capture> {
    let capture = |(job, content_type, body): (&str, &str, String)| Capture {
        job: job.to_owned(),
        content_type: content_type.to_owned(),
        body,
    };
    [
        ("prometheus_client", OPENMETRICS, prometheus_client()),
        ("metrics_exporter_prometheus", TEXT, metrics_facade()),
        ("opentelemetry", TEXT, opentelemetry()),
    ]
    .map(capture)
    .into()
}

fn prometheus_client() -> String {
    let mut registry = prometheus_client::registry::Registry::with_prefix("gossip");
    let messages = Family::<[(&'static str, &'static str); 1], Counter>::default();
    registry.register("messages", "Messages \"received\"", messages.clone());
    let peers = Gauge::<i64>::default();
    registry.register("peers", "Peers", peers.clone());
    let latency = Histogram::new(exponential_buckets(0.001, 4.0, 6));
    registry.register_with_unit("latency", "Time from peer to peer", Unit::Seconds, latency.clone());
    registry.register("build", "Build", Info::new([("version", "1.2.3")]));
    for (path, count) in PATHS.into_iter().zip(1..) {
        messages.get_or_create(&[("path", path)]).inc_by(count);
        latency.observe(0.01 * count as f64);
    }
    peers.set(-3);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

fn metrics_facade() -> String {
    let recorder = PrometheusBuilder::new().set_buckets(&[0.1, 1.0, 10.0]).unwrap().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("http_requests_total", "Requests \\ answered");
        for (path, count) in PATHS.into_iter().zip(1..) {
            metrics::counter!("http_requests_total", "path" => path).increment(count);
            metrics::histogram!("http_request_seconds", "path" => path).record(0.5 * count as f64);
        }
        metrics::gauge!("http_connections").set(7.5);
    });
    recorder.handle().render()
}

fn opentelemetry() -> String {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("shop");
    let orders = meter.u64_counter("shop.orders").with_description("Orders taken").build();
    let times = meter.f64_histogram("shop.time").with_unit("s").build();
    for (path, count) in PATHS.into_iter().zip(1..) {
        orders.add(count, &[KeyValue::new("path", path)]);
        times.record(0.5 * count as f64, &[]);
    }
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}
