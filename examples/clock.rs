//! In the spirit of an exporter: tells the time of this host to Prometheus.
//!
//! A collector reads the clock when it is scraped, so that the value is never older than the scrape.
//!
//! `cargo run --example clock`, and beside it `curl localhost:9185/metrics`; ctrl-c ends it.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, Registry};
use prometheus_hyper::{Server, shutdown_signal};

/// The time, at the moment it is collected.
struct Clock {
    desc: Desc,
}

impl Collector for Clock {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A gauge of this collection only: two scrapes at once do not write into each other's.
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
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9185".to_owned());
    let shutdown = shutdown_signal();

    let registry = Registry::new();
    let help = "The time of this host, in seconds since the epoch".to_owned();
    let desc = Desc::new("clock_time_seconds".to_owned(), help, Vec::new(), HashMap::new())?;
    registry.register(Box::new(Clock { desc }))?;

    let guard = Server::builder().registry(&registry).listen(addr).start()?;
    println!("{guard}");
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}
