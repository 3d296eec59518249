//! Implements the trait `Collector`: it reads the clock of this host at each scrape, so the value is never older than the scrape.
//!
//! Run `cargo run --example clock`, and `curl localhost:9185/metrics` in another terminal. For most exporters
//! `collector::from_fn` is shorter: `disk_exporter.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, Registry};
use prometheus_hyper::{Server, shutdown_signal};

/// Collects the time.
struct Clock {
    desc: Desc,
}

impl Collector for Clock {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A gauge for this gather only, so that no other gather writes into it.
        match Gauge::new(&self.desc.fq_name, &self.desc.help) {
            Ok(gauge) => {
                gauge.set(since_epoch.as_secs_f64());
                gauge.collect()
            }
            Err(_) => Vec::new(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9185".to_owned());
    let shutdown = shutdown_signal();

    let registry = Registry::new();
    let help = "Time of this host, in seconds since the epoch.".to_owned();
    let desc = Desc::new("clock_time_seconds".to_owned(), help, Vec::new(), HashMap::new())?;
    registry.register(Box::new(Clock { desc }))?;

    let guard = Server::builder().registry(&registry).listen(addr).start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}
