//! Serves the metrics at a path of a program's own hyper server, on the port that the program already has.
//!
//! Run `cargo run --example hyper`, and `curl localhost:8082/metrics` in another terminal.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_hyper::prometheus::register_int_counter;
use prometheus_hyper::{Body, Server, shutdown_signal};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:8082".to_owned());
    let mut shutdown = pin!(shutdown_signal());
    let greetings = register_int_counter!("hyper_greetings_total", "Greetings said.")?;
    let metrics = Server::builder().into_handler()?;

    let listener = TcpListener::bind(addr).await?;
    println!("http://{0}/metrics\nhttp://{0}/", listener.local_addr()?);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = &mut shutdown => return Ok(()),
        };
        let (metrics, greetings) = (metrics.clone(), greetings.clone());
        let routes = service_fn(move |request: Request<Incoming>| {
            let (metrics, greetings) = (metrics.clone(), greetings.clone());
            async move {
                match request.uri().path() {
                    "/metrics" => metrics.call(request).await,
                    "/" => {
                        greetings.inc();
                        Ok::<_, Infallible>(Response::new(Body::from("Hello.\n")))
                    }
                    _ => {
                        let mut response = Response::new(Body::from("Nothing here.\n"));
                        *response.status_mut() = StatusCode::NOT_FOUND;
                        Ok(response)
                    }
                }
            }
        });
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), routes).await {
                tracing::debug!(%error, "connection ended with an error");
            }
        });
    }
}
