use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::{IntCounter, Registry};
use prometheus_hyper::Server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Arc::new(Registry::new());
    let hellos = IntCounter::new("hellos_total", "Hellos said")?;
    registry.register(Box::new(hellos.clone()))?;
    hellos.inc();
    Server::run(registry, SocketAddr::from(([0; 4], 9184)), std::future::pending()).await?;
    Ok(())
}
