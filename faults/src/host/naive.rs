//! The server as one writes it in an afternoon, on the host's runtime: no deadlines, a gather for each request, on the spot;
//! no limit on connections, or one that keeps newcomers waiting; a line in the log for whatever a client does. The rows have to
//! fail with it, for otherwise they show nothing.

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

/// What it has of what a server needs.
pub struct Naive {
    pub registry: Registry,
    /// At once; a newcomer waits until another goes.
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
                    // As rustls does, not by tracing.
                    Err(error) => log::warn!("no handshake: {error}"),
                },
            }
        });
    }
}

/// Takes a closed sending side for a client that has gone, as hyper's `half_close(false)` has it.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, registry: Registry) {
    let mut head = Vec::new();
    loop {
        match stream.read_buf(&mut head).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "a connection has failed"),
        }
        while let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let first: Vec<u8> = head.drain(..end + 4).collect();
            if !first.windows(8).any(|eight| eight.starts_with(b" HTTP/1.")) {
                return tracing::warn!("no request");
            }
            tokio::task::yield_now().await;
            // Looks for the end without waiting for more.
            let looked = tokio::time::timeout(std::time::Duration::ZERO, stream.read_buf(&mut head)).await;
            if let Ok(Ok(0)) = looked {
                return;
            }
            let body = TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if let Err(error) = stream.write_all(answer.as_bytes()).await {
                return tracing::warn!(%error, "a client has gone");
            }
        }
    }
}
