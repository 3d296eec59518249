//! An explicit registry, as a future on the caller's own runtime, until ctrl-c.
//!
//! `cargo run --example registry`, and beside it `curl localhost:8080/metrics`.

use std::sync::Arc;

use prometheus_hyper::prometheus::{IntCounter, Registry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Arc::new(Registry::new());
    let starts = IntCounter::new("registry_starts_total", "How often this example has started")?;
    registry.register(Box::new(starts.clone()))?;
    starts.inc();

    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for ctrl-c, so stopping at once: {error}");
        }
    };
    println!("http://localhost:8080/metrics until ctrl-c");
    prometheus_hyper::run(Arc::clone(&registry), ([0, 0, 0, 0], 8080), ctrl_c).await?;
    println!("stopped");
    Ok(())
}
