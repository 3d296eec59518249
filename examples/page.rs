//! A shop with changing values (requests, queues, cache, stock), and the page at `/` that shows them.
//!
//! `cargo run --example page`, and in a browser <http://localhost:9184/>. The address may be given:
//! `cargo run --example page -- 127.0.0.1:9999`.

use std::pin::pin;
use std::time::Duration;

use prometheus_hyper::prometheus::{
    register_counter, register_gauge, register_histogram_vec, register_int_counter_vec,
    register_int_gauge_vec,
};
use prometheus_hyper::{Page, Server, shutdown_signal};

/// Endpoint, how often, how long it takes at the median, in seconds.
const ENDPOINTS: &[(&str, f64, f64)] =
    &[("/cart", 9.0, 0.012), ("/checkout", 2.0, 0.090), ("/items", 30.0, 0.004), ("/search", 12.0, 0.035)];

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9184".to_owned());
    let mut shutdown = pin!(shutdown_signal());
    let page = Page::new("Corner shop")
        .description("Sells what it has, and counts it.")
        .version("2.4.1")
        .link("Runbook", "https://example.org/runbook");
    let guard = Server::builder().default_collectors(true).landing_page(page).listen(addr).start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    let requests = register_int_counter_vec!("shop_requests_total", "Requests answered", &["code", "path"])?;
    let bounds = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
    let durations =
        register_histogram_vec!("shop_request_seconds", "How long requests took", &["path"], bounds)?;
    let queue = register_int_gauge_vec!("shop_queue_depth", "Orders that wait", &["queue"])?;
    let cache = register_gauge!("shop_cache_hit_ratio", "Hits among the lookups of the last minute")?;
    let stock = register_gauge!("shop_stock_bytes", "Size of the stock list in memory")?;
    let sent = register_counter!("shop_sent_bytes_total", "Bytes sent to customers")?;

    let mut dice = Dice(7);
    let mut step = 0.0_f64;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut shutdown => break,
        }
        step += 0.1;
        let rush = 1.0 + 0.6 * (step / 17.0).sin();
        for &(path, often, median) in ENDPOINTS {
            for _ in 0..dice.count(often * rush / 10.0) {
                let code = if dice.next() < 0.02 { "500" } else { "200" };
                requests.with_label_values(&[code, path]).inc();
                let spread = (dice.next() + dice.next() + dice.next() - 1.5) * 2.0;
                durations.with_label_values(&[path]).observe(median * rush * spread.exp());
                sent.inc_by(700.0 + 9000.0 * dice.next());
            }
        }
        for (name, usual, pace) in [("email", 14.0, 5.0), ("parcels", 40.0, 23.0)] {
            let depth: f64 = usual * (1.0 + 0.5 * (step / pace).sin()) + 6.0 * dice.next();
            #[expect(clippy::cast_possible_truncation, reason = "some tens")]
            queue.with_label_values(&[name]).set(depth as i64);
        }
        cache.set(0.9 + 0.06 * (step / 11.0).cos() + 0.01 * dice.next());
        stock.set(4e6 + 1e6 * (step % 40.0 / 40.0));
    }
    guard.shutdown().await;
    Ok(())
}

/// No crate for a few numbers.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// So many, on average.
    fn count(&mut self, average: f64) -> u32 {
        (0..).find(|n| f64::from(*n) + self.next() >= average).unwrap_or_default()
    }
}
