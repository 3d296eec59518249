//! Serves the metrics of OpenTelemetry instruments, besides those of `prometheus`.
//!
//! `opentelemetry-prometheus` is a collector of `prometheus`, so it needs nothing but a registry that is served. Its version must
//! be one for `prometheus` 0.14.
//!
//! Run `cargo run --example opentelemetry`, and `curl localhost:9189/metrics` in another terminal. Ctrl-c ends the program.

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus_hyper::prometheus::{default_registry, register_int_counter};
use prometheus_hyper::shutdown_signal;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9189".to_owned());
    let shutdown = shutdown_signal();

    let reader = opentelemetry_prometheus::exporter().with_registry(default_registry().clone()).build()?;
    let provider = SdkMeterProvider::builder().with_reader(reader).build();

    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    let meter = provider.meter("shop");
    let orders = meter.u64_counter("shop.orders").with_description("Orders taken").build();
    orders.add(3, &[KeyValue::new("country", "pt")]);
    let durations = meter.f64_histogram("shop.checkout").with_unit("s").build();
    durations.record(0.25, &[]);
    register_int_counter!("own_greetings_total", "Greetings said.")?.inc();

    shutdown.await;
    guard.shutdown().await;
    provider.shutdown()?;
    Ok(())
}
