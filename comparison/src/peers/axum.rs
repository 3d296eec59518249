//! axum, as most of its users do it: a handler with `gather` and `TextEncoder`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::launch::{Gathers, Launch, Running, fill};
use crate::load::Load;
use crate::outcome::Outcome;

pub(super) fn prepare(load: Load, gathers: &Gathers) -> Outcome<Launch> {
    let registry = Registry::new();
    fill!(prometheus, &registry, load, gathers);
    Ok(Box::new(move |address| {
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new().route("/metrics", get(metrics)).with_state(registry);
        let server = tokio::spawn(async move {
            let listener = TcpListener::bind(address).await?;
            let shutdown = async move {
                let _ = stopped.await;
            };
            axum::serve(listener, app).with_graceful_shutdown(shutdown).await
        });
        let stop = async move {
            drop(stop);
            let _ = server.await;
        };
        Ok(Running::stopped_by(stop))
    }))
}

async fn metrics(State(registry): State<Registry>) -> Result<String, StatusCode> {
    TextEncoder::new().encode_to_string(&registry.gather()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
