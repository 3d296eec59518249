//! A single-target exporter whose target answers over HTTP: the counts of nginx' `stub_status`.
//!
//! Run `cargo run --example async_exporter -- 0.0.0.0:9113 127.0.0.1:80`, and `curl localhost:9113/metrics` in another terminal.
//! nginx needs `location /stub_status { stub_status; }` at that address.
//!
//! Await everything that waits, connect, write and read, in the closure. It runs for each gather and has a deadline; what you
//! spawn has none and is not cancelled. No instrument is set per scrape: without an answer the exposition has `nginx_up 0`, and
//! no values of an earlier scrape.

use std::error::Error;

use prometheus_hyper::collector::Samples;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{BoxError, Page, Server, build_info, shutdown_signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut addrs = std::env::args().skip(1);
    let addr = addrs.next().unwrap_or_else(|| "0.0.0.0:9113".to_owned());
    let nginx = addrs.next().unwrap_or_else(|| "127.0.0.1:80".to_owned());
    let shutdown = shutdown_signal();

    let guard = Server::builder()
        .registry(Registry::new())
        .build_info(build_info!())
        .landing_page(Page::new("nginx exporter").description("Counts of one nginx server."))
        .collect_with_up("nginx", move |_scrape, mut samples| {
            let nginx = nginx.clone();
            async move {
                expose(&fetch(&nginx).await?, &mut samples);
                Ok(samples)
            }
        })
        .listen(addr)
        .start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}

/// Active connections; connections accepted, connections handled, requests; connections reading, writing, waiting.
type Status = [f64; 7];

/// More than any response has.
const MAX_BYTES: u64 = 64 * 1024;

/// Fetches the status. With reqwest: `reqwest::get(url).await?.error_for_status()?.text().await?`.
async fn fetch(nginx: &str) -> Result<Status, BoxError> {
    let mut stream = TcpStream::connect(nginx).await?;
    let request = format!("GET /stub_status HTTP/1.0\r\nHost: {nginx}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut response).await?;
    match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => read(body),
        _ => Err(format!("unexpected response: {:?}", response.lines().next()).into()),
    }
}

/// Reads the numbers, in their order:
///
/// ```text
/// Active connections: 2
/// server accepts handled requests
///  7 7 19
/// Reading: 0 Writing: 1 Waiting: 1
/// ```
fn read(body: &str) -> Result<Status, BoxError> {
    let numbers: Vec<f64> = body.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().map_err(|numbers| format!("not 7 numbers: {numbers:?}").into())
}

fn expose([active, accepted, handled, requests, reading, writing, waiting]: &Status, s: &mut Samples) {
    s.gauge("nginx_connections_active", "Connections that are open.", &[], *active);
    s.counter("nginx_connections_accepted_total", "Connections accepted.", &[], *accepted);
    s.counter("nginx_connections_handled_total", "Connections handled.", &[], *handled);
    s.counter("nginx_http_requests_total", "Requests received.", &[], *requests);
    for (state, value) in [("reading", reading), ("writing", writing), ("waiting", waiting)] {
        s.gauge("nginx_connections", "Connections by state.", &[("state", state)], *value);
    }
}
