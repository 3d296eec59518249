//! The metrics beside an axum program's own routes.
//!
//! `cargo run --example axum --features tower`, and beside it `curl localhost:8081/metrics`.

use axum::Router;
use axum::routing::get;
use prometheus_hyper::prometheus::register_int_counter;
use prometheus_hyper::{Server, shutdown_signal};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:8081".to_owned());
    let shutdown = shutdown_signal();
    let greetings = register_int_counter!("axum_greetings_total", "Greetings said")?;

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
    println!("http://{}/metrics", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    Ok(())
}
