//! The server as one writes it in an afternoon, on the host's runtime: no deadlines, no cap, a gather for each request, on
//! the spot. The rows have to fail with it, for otherwise they show nothing.

use std::net::SocketAddr;

use prometheus_hyper::CancellationToken;
use prometheus_hyper::prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

type Serving = (SocketAddr, CancellationToken, JoinHandle<()>);

pub fn serve(addr: SocketAddr, registry: Registry, runtime: &Handle) -> Result<Serving, String> {
    let listener = std::net::TcpListener::bind(addr).map_err(|error| error.to_string())?;
    let _ = listener.set_nonblocking(true);
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = runtime.spawn(async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = accept(listener, registry) => {}
        }
    });
    Ok((addr, stop, task))
}

async fn accept(listener: TcpListener, registry: Registry) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, registry.clone()))),
            Err(error) => tracing::error!(%error, "accept"),
        }
    }
}

/// Takes a closed sending side for a client that has gone, as hyper's `half_close(false)` has it.
async fn answer(mut stream: TcpStream, registry: Registry) {
    let mut head = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut head).await {
        while let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            head.drain(..end + 4);
            tokio::task::yield_now().await;
            if let Ok(0) = stream.try_read(&mut [0; 1]) {
                return;
            }
            let body = TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
