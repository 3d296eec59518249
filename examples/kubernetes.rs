//! An axum service in Kubernetes: the metrics on a second port, request durations by route, readiness, and a stop at SIGTERM that
//! loses no request.
//!
//! ```yaml
//! terminationGracePeriodSeconds: 30
//! containers:
//!   - name: app
//!     ports: [{name: http, containerPort: 8080}, {name: metrics, containerPort: 9184}]
//!     readinessProbe: {httpGet: {path: /-/ready, port: metrics}, periodSeconds: 2, failureThreshold: 1}
//!     # Use the app's port: `/-/healthy` of the metrics server returns 200 even while the app's runtime is blocked.
//!     livenessProbe: {httpGet: {path: /live, port: http}, timeoutSeconds: 5}
//! ```
//!
//! Run `cargo run --example kubernetes`, `curl localhost:8080/hello/you`, and `curl localhost:9184/metrics`.

use std::error::Error;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use prometheus_hyper::prometheus::{HistogramVec, register_histogram_vec};
use prometheus_hyper::{Server, shutdown_signal};
use tokio::net::TcpListener;

/// The time in which Kubernetes sees the 503 of `/-/ready` and sends new requests to other pods.
const UNTIL_OUT_OF_SERVICE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut addrs = std::env::args().skip(1);
    let metrics_addr = addrs.next().unwrap_or_else(|| "0.0.0.0:9184".to_owned());
    let app_addr = addrs.next().unwrap_or_else(|| "0.0.0.0:8080".to_owned());
    let shutdown = shutdown_signal();

    let guard = Server::builder().listen(metrics_addr).ready(false).start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    let help = "Time from the head of a request to the head of its response.";
    let seconds = register_histogram_vec!("http_request_duration_seconds", help, &["route", "code"])?;
    let app = Router::new()
        .route("/hello/{name}", get(|Path(name): Path<String>| async move { format!("Hello, {name}.\n") }))
        .route("/live", get("Live.\n"))
        .route_layer(middleware::from_fn_with_state(seconds, observe));

    let listener = TcpListener::bind(app_addr).await?;
    println!("http://{}/", listener.local_addr()?);
    let readiness = guard.readiness();
    readiness.set(true);
    let unready = async move {
        shutdown.await;
        readiness.set(false);
        tokio::time::sleep(UNTIL_OUT_OF_SERVICE).await;
    };
    // The drain: requests in flight finish. Kubernetes kills what is left after the grace period.
    axum::serve(listener, app).with_graceful_shutdown(unready).await?;
    // Last, so that the drain can be scraped.
    guard.shutdown().await;
    Ok(())
}

/// Observes a request's duration. The route is the pattern, `/hello/{name}`, so that clients cannot make series.
async fn observe(
    State(seconds): State<HistogramVec>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let code = response.status();
    seconds.with_label_values(&[route.as_str(), code.as_str()]).observe(started.elapsed().as_secs_f64());
    response
}
