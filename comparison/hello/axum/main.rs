use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus::{TextEncoder, register_int_counter};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hellos = register_int_counter!("hellos_total", "Hellos said")?;
    hellos.inc();
    let listener = TcpListener::bind("0.0.0.0:9184").await?;
    axum::serve(listener, Router::new().route("/metrics", get(metrics))).await?;
    Ok(())
}

async fn metrics() -> Result<String, StatusCode> {
    TextEncoder::new().encode_to_string(&prometheus::gather()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
