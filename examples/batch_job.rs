//! A job that ends, and whose final values Prometheus still gets.
//!
//! `cargo run --example batch_job`, and within half a minute `curl localhost:9186/metrics`; ctrl-c gives up waiting.

use std::time::Duration;

use prometheus_hyper::prometheus::{register_gauge, register_int_counter};
use prometheus_hyper::{Server, shutdown_signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9186".to_owned());
    let shutdown = shutdown_signal();
    let build = prometheus_hyper::build_info!();
    let guard = Server::builder().build_info(build).listen(addr).bind()?.start()?;
    println!("{guard}");

    // It ends the wait for a last scrape, and not the work.
    let token = guard.cancellation_token();
    tokio::spawn(async move {
        shutdown.await;
        token.cancel();
    });

    let rows = register_int_counter!("batch_job_rows_total", "Rows that were worked through")?;
    let end = register_gauge!("batch_job_last_success_timestamp_seconds", "When the job was done")?;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await; // the work
        rows.inc();
    }
    end.set(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64());

    // A little more than the interval at which Prometheus scrapes.
    guard.shutdown_after_scrape(Duration::from_secs(30)).await?;
    println!("scraped");
    Ok(())
}
