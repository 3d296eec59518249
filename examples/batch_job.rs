//! A batch job that waits for one more scrape before it exits, so that Prometheus gets its final values.
//!
//! Run `cargo run --example batch_job`, and `curl localhost:9186/metrics` within half a minute. Ctrl-c ends the wait.
//! `cron.rs` is the same without tokio in its code.

use std::error::Error;
use std::time::Duration;

use prometheus_hyper::prometheus::{register_gauge, register_int_counter};
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
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9186".to_owned());
    let shutdown = shutdown_signal();
    let build = prometheus_hyper::build_info!();
    let guard = Server::builder().build_info(build).listen(addr).start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    // A signal stops the server, and so ends the wait. The work continues without metrics.
    let token = guard.cancellation_token();
    tokio::spawn(async move {
        shutdown.await;
        token.cancel();
    });

    let rows = register_int_counter!("batch_job_rows_total", "Rows that the job has processed.")?;
    let end = register_gauge!(
        "batch_job_last_success_timestamp_seconds",
        "When the job last succeeded, in seconds since the epoch."
    )?;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await; // the work
        rows.inc();
    }
    end.set(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64());

    // A little longer than Prometheus' scrape interval.
    match guard.shutdown_after_scrape(Duration::from_secs(30)).await {
        Ok(()) => println!("scraped"),
        Err(not_scraped) => println!("{not_scraped}"),
    }
    Ok(())
}
