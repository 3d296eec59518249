//! Serves an explicit registry until ctrl-c or SIGTERM: the API of prometheus-hyper 0.2. `Server::run` is a future;
//! the server runs on threads of its own.
//!
//! Run `cargo run --example registry`, and `curl localhost:8080/metrics` in another terminal.

use std::error::Error;
use std::net::SocketAddr;

use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Server, shutdown_signal};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let addr: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("0.0.0.0:8080").parse()?;
    let shutdown = shutdown_signal();

    let registry = Registry::new();
    let starts = IntCounter::new("registry_starts_total", "Starts of this example.")?;
    registry.register(Box::new(starts.clone()))?;
    starts.inc();

    println!("http://{addr}/metrics");
    println!("http://{addr}/");
    Server::run(&registry, addr, shutdown).await?;
    println!("stopped");
    Ok(())
}
