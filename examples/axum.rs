//! Serves the metrics at a path of an axum program, on the port that the program already has.
//!
//! Run `cargo run --example axum`, and `curl localhost:8081/metrics` in another terminal. `kubernetes.rs` has axum with a
//! second port, readiness and a middleware.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use prometheus_hyper::prometheus::register_int_counter;
use prometheus_hyper::{Server, shutdown_signal};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:8081".to_owned());
    let shutdown = shutdown_signal();
    let greetings = register_int_counter!("axum_greetings_total", "Greetings said.")?;

    let app = Router::new()
        .route(
            "/",
            get(move || async move {
                greetings.inc();
                "Hello.\n"
            }),
        )
        .route_service("/metrics", Server::builder().into_handler()?);

    let listener = TcpListener::bind(addr).await?;
    println!("http://{0}/metrics\nhttp://{0}/", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    Ok(())
}
