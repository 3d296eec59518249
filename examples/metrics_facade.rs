//! Serves the metrics of the facade `metrics`, which HTTP stacks and database pools bring, besides those of `prometheus`.
//!
//! There are two ways, because a program has one recorder:
//!
//! * `cargo run --example metrics_facade` reads what `metrics-exporter-prometheus` renders. Histograms are summaries there
//!   unless its builder has buckets.
//! * `cargo run --example metrics_facade -- 0.0.0.0:9188 registry` lets `metrics-prometheus` make metrics of `prometheus` in a
//!   registry. No text is written or read.
//!
//! Run `curl localhost:9188/metrics` in another terminal. Ctrl-c ends the program.

use std::time::Duration;

use metrics::{counter, describe_counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use prometheus_hyper::prometheus::{default_registry, register, register_int_counter};
use prometheus_hyper::{collector, shutdown_signal};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().unwrap_or_else(|| "0.0.0.0:9188".to_owned());
    let shutdown = shutdown_signal();

    if arguments.next().as_deref() == Some("registry") {
        metrics_prometheus::Recorder::builder().with_registry(default_registry().clone()).build_and_install();
    } else {
        read_what_is_rendered()?;
    }

    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    describe_counter!("http_requests_total", "Requests answered.");
    counter!("http_requests_total", "method" => "GET").increment(2);
    gauge!("http_connections").set(7.0);
    histogram!("http_request_seconds").record(0.25);
    register_int_counter!("own_greetings_total", "Greetings said.")?.inc();

    shutdown.await;
    guard.shutdown().await;
    Ok(())
}

fn read_what_is_rendered() -> Result<(), Box<dyn std::error::Error>> {
    let handle = PrometheusBuilder::new().set_buckets(&[0.1, 1.0, 10.0])?.install_recorder()?;
    let rendering = handle.clone();
    register(Box::new(collector::exposition(move |text| {
        text.push_str(&rendering.render());
        Ok(())
    })))?;
    // The recorder keeps each observation until it is rendered or this is called. Without a scraper, and without this timer,
    // it grows.
    tokio::spawn(async move {
        let mut upkeep = tokio::time::interval(Duration::from_secs(5));
        loop {
            upkeep.tick().await;
            handle.run_upkeep();
        }
    });
    Ok(())
}
