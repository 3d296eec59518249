//! A simple server on the host program's runtime. It has no deadlines, and gathers for each request on the
//! runtime. It has no connection limit, or one that keeps newcomers waiting. It logs a line for each action
//! of a client. The rows must fail with it, otherwise they prove nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_hyper::CancellationToken;
use prometheus_hyper::prometheus::{Registry, TextEncoder};
use prometheus_hyper::rustls::ServerConfig;
use prometheus_hyper::rustls::pki_types::pem::PemObject;
use prometheus_hyper::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Serving = (SocketAddr, CancellationToken, JoinHandle<()>);

/// The parts of a real server that it has.
pub struct Naive {
    pub registry: Registry,
    /// Concurrent connections. A newcomer waits until another one ends.
    pub connections: Option<usize>,
    pub tls: Option<(PathBuf, PathBuf)>,
}

pub fn serve(addr: SocketAddr, naive: Naive, runtime: &Handle) -> Result<Serving, String> {
    let Naive { registry, connections, tls } = naive;
    let listener = std::net::TcpListener::bind(addr).map_err(|error| error.to_string())?;
    let _ = listener.set_nonblocking(true);
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let tls = tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let limit = Arc::new(Semaphore::new(connections.unwrap_or(Semaphore::MAX_PERMITS)));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = runtime.spawn(async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = accept(listener, registry, limit, tls) => {}
        }
    });
    Ok((addr, stop, task))
}

fn acceptor(certificate: PathBuf, key: PathBuf) -> Result<TlsAcceptor, String> {
    let read = || {
        let certificate = CertificateDer::from_pem_file(certificate).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| error.to_string())?;
        let provider = prometheus_hyper::rustls::crypto::ring::default_provider();
        let builder = ServerConfig::builder_with_provider(Arc::new(provider));
        let config = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        config
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(|error| error.to_string())
    };
    Ok(TlsAcceptor::from(Arc::new(read()?)))
}

async fn accept(listener: TcpListener, registry: Registry, limit: Arc<Semaphore>, tls: Option<TlsAcceptor>) {
    loop {
        let Ok(permit) = Arc::clone(&limit).acquire_owned().await else { return };
        let (stream, registry, tls) = match listener.accept().await {
            Ok((stream, _)) => (stream, registry.clone(), tls.clone()),
            Err(error) => {
                tracing::error!(%error, "accept");
                continue;
            }
        };
        tokio::spawn(async move {
            let _permit = permit;
            match tls {
                None => answer(stream, registry).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, registry).await,
                    // By `log`, as rustls does.
                    Err(error) => log::warn!("handshake failed: {error}"),
                },
            }
        });
    }
}

/// Treats a half-closed connection as a client that has disconnected, as hyper's `half_close(false)` does.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, registry: Registry) {
    let mut head = Vec::new();
    loop {
        match stream.read_buf(&mut head).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "connection failed"),
        }
        while let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let first: Vec<u8> = head.drain(..end + 4).collect();
            if !first.windows(8).any(|eight| eight.starts_with(b" HTTP/1.")) {
                return tracing::warn!("no request");
            }
            tokio::task::yield_now().await;
            // Checks for the end of input without waiting.
            let looked = tokio::time::timeout(std::time::Duration::ZERO, stream.read_buf(&mut head)).await;
            if let Ok(Ok(0)) = looked {
                return;
            }
            let body = TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if let Err(error) = stream.write_all(answer.as_bytes()).await {
                return tracing::warn!(%error, "client disconnected");
            }
        }
    }
}
