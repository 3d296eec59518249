use std::io;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut registry = Registry::default();
    let hellos = Counter::<u64>::default();
    registry.register("hellos", "Hellos said", hellos.clone());
    hellos.inc();

    let registry = Arc::new(registry);
    let listener = TcpListener::bind("0.0.0.0:9184").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let registry = Arc::clone(&registry);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&registry)));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn answer(_: Request<Incoming>, registry: Arc<Registry>) -> io::Result<Response<Full<Bytes>>> {
    let mut body = String::new();
    encode(&mut body, &registry).map_err(io::Error::other)?;
    let answer = Response::builder()
        .header(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(Full::new(Bytes::from(body)));
    answer.map_err(io::Error::other)
}
