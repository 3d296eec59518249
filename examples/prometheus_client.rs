//! Serves the metrics of the crate `prometheus-client`, which libp2p and hickory bring, besides those of `prometheus`.
//!
//! Run `cargo run --example prometheus_client`, and `curl localhost:9187/metrics` in another terminal. Ctrl-c ends the program.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use prometheus_hyper::prometheus::{register, register_int_counter};
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
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9187".to_owned());
    let shutdown = shutdown_signal();

    // A library fills this registry. The library adds `_total` to the name of a counter.
    let mut gossip = Registry::with_prefix("gossip");
    let messages = Family::<[(&'static str, &'static str); 1], Counter>::default();
    gossip.register("messages", "Messages received", messages.clone());
    let latencies = Histogram::new(exponential_buckets(0.001, 4.0, 6));
    gossip.register("latency_seconds", "Time from peer to peer", latencies.clone());

    // At each scrape the registry writes its text, and the server reads that.
    register(Box::new(collector::exposition(move |text| Ok(encode(text, &gossip)?))))?;

    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    messages.get_or_create(&[("topic", "blocks")]).inc_by(3);
    latencies.observe(0.02);
    register_int_counter!("own_greetings_total", "Greetings said.")?.inc();

    shutdown.await;
    guard.shutdown().await;
    Ok(())
}
