//! Serves the metrics of two versions of `prometheus`, where a dependency fills the default registry of another version.
//!
//! Each version has a default registry of its own, and no type of one fits the other. Their text is the same, so the other
//! version's encoder writes it, and the server reads it. One version is better where you can have it: see `cargo tree -d`.
//!
//! Run `cargo run --example two_versions`, and `curl localhost:9190/metrics` in another terminal. Ctrl-c ends the program.

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
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9190".to_owned());
    let shutdown = shutdown_signal();

    // In Cargo.toml: prometheus_013 = { package = "prometheus", version = "0.13" }
    register(Box::new(collector::exposition(|text| {
        Ok(prometheus_013::TextEncoder::new().encode_utf8(&prometheus_013::gather(), text)?)
    })))?;

    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    let old = prometheus_013::register_int_counter!("old_jobs_total", "Jobs of a dependency.")?;
    old.inc_by(7);
    register_int_counter!("own_greetings_total", "Greetings said.")?.inc();

    shutdown.await;
    guard.shutdown().await;
    Ok(())
}
