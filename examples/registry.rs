//! Serves an explicit registry until ctrl-c or SIGTERM. `run` is a future; the server runs on threads of its own.
//!
//! `cargo run --example registry`, and beside it `curl localhost:8080/metrics`; ctrl-c ends it.

use std::net::SocketAddr;

use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::shutdown_signal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("0.0.0.0:8080").parse()?;
    let shutdown = shutdown_signal();

    let registry = Registry::new();
    let starts = IntCounter::new("registry_starts_total", "How often this example has started")?;
    registry.register(Box::new(starts.clone()))?;
    starts.inc();

    println!("http://{addr}/metrics");
    prometheus_hyper::run(&registry, addr, shutdown).await?;
    println!("stopped");
    Ok(())
}
