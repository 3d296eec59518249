//! A cron job without async code: it serves its metrics while it works, and until they have been scraped once more.
//!
//! Run `cargo run --example cron`, and `curl localhost:9193/metrics` within 20 seconds. As process 1 of a container, this program
//! ignores SIGTERM. So keep the wait below the grace period, which is 30 seconds in Kubernetes. `batch_job.rs` ends its wait at
//! SIGTERM.

use std::error::Error;
use std::time::{Duration, SystemTime};

use prometheus_hyper::prometheus::{register_gauge, register_int_counter};

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = job() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn job() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9193".to_owned());
    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}\n{}", guard.page_urls().join(", "));
    let rows = register_int_counter!("cron_rows_total", "Rows processed.")?;
    let end = register_gauge!("cron_last_success_timestamp_seconds", "Time of the last success.")?;
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(10)); // the work
        rows.inc();
    }
    end.set(SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64());
    guard.shutdown_after_scrape_blocking(Duration::from_secs(20))?;
    Ok(())
}
