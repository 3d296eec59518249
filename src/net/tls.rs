//! TLS: what a connection does before there is HTTP, and whose configuration it does it with.

mod certificate;
mod client;
mod files;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

use crate::auth::grants::Grants;
use crate::net::lingering_close::{LINGER, Linger};
use crate::net::stream::{Secure, Securing, Stream};
use crate::telemetry::Telemetry;
use crate::util::io_error;

pub(crate) use files::Paths;
#[cfg(any(test, feature = "web-config"))]
pub(crate) use settings::{ClientAuth, Settings, Version, load};
#[cfg(feature = "web-config")]
pub(crate) use settings::{Loaded, Part};

use settings::HTTP11;
use stream::Peeked;

/// How long a client may take from accept until the handshake is done.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client gets that speaks plain HTTP. The sentence is that of Go's `net/http`, for which people search.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 48\r\n\
    Connection: close\r\n\
    \r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// With whose certificate connections are secured.
pub(crate) struct Tls {
    /// The configuration of the moment.
    config: Box<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
}

impl Tls {
    /// The user's own configuration, used as it is. If it names no ALPN protocols none is negotiated, and HTTP/1.1 is
    /// spoken.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the configuration offers a protocol other than `http/1.1`, or early data: the server has neither.
    pub(crate) fn given(config: Arc<ServerConfig>) -> io::Result<Tls> {
        let invalid =
            |what: &str| Err(io_error::new(io::ErrorKind::InvalidInput, format!("tls_config: {what}")));
        if config.alpn_protocols.iter().any(|protocol| protocol != HTTP11) {
            return invalid("alpn_protocols may have http/1.1 only: HTTP/2 is not served");
        }
        // tokio-rustls discards early data unless it is asked to read it, and the request in it would be lost.
        if config.max_early_data_size > 0 {
            return invalid("max_early_data_size is not 0, but early data can be replayed and is not read");
        }
        Ok(Tls::of(move || Arc::clone(&config)))
    }

    /// Certificate, key and client CA from files, which are looked after. Reads them; `telemetry` is told. Another client CA
    /// revokes the grants.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, which is named, after the option's name.
    pub(crate) fn from_files(paths: Paths, telemetry: &Arc<Telemetry>, grants: &Grants) -> io::Result<Tls> {
        let files = files::open(paths, now(), telemetry, grants)?;
        Ok(Tls::of(move || Arc::clone(&files.current(now()).loaded.config)))
    }

    /// Whatever this returns at a handshake.
    pub(crate) fn of(config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Tls {
        Tls { config: Box::new(config) }
    }
}

/// On tokio's clock, which a test may stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Secure for Tls {
    fn look(&self) {
        (self.config)();
    }

    fn secure<'a>(&'a self, stream: Stream, hello_complete: &'a (dyn Fn() + Sync)) -> Securing<'a> {
        Box::pin(async move {
            let config = || {
                hello_complete();
                (self.config)()
            };
            Ok(handshake(stream, config).await?.map(|stream| Box::new(stream) as Stream))
        })
    }
}

/// Without the configuration, which holds a key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Secures a connection within [`HANDSHAKE_TIMEOUT`]. A client that is refused is told why. None if it closes before there is
/// a byte, as a probe of the port does.
///
/// `config` is called when the whole ClientHello is here, so that no silent connection holds on to an old certificate.
async fn handshake<I: AsyncRead + AsyncWrite + Unpin>(
    io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<Peeked<I>>>> {
    let (error, io) = match timeout(HANDSHAKE_TIMEOUT, attempt(io, config)).await {
        Ok(Ok(secured)) => return Ok(secured),
        Ok(Err(failed)) => failed,
        Err(_) => {
            let sentence = format!("no handshake within {HANDSHAKE_TIMEOUT:?}");
            (io_error::new(io::ErrorKind::TimedOut, sentence), None)
        }
    };
    // What a client does wrong is a debug line, never more.
    tracing::debug!(%error, "TLS handshake failed");
    if let Some(io) = io {
        let _ = timeout(LINGER, close(io)).await;
    }
    Err(error)
}

/// Returns with an error the connection that it happened on, if that is to be closed in good order.
async fn attempt<I: AsyncRead + AsyncWrite + Unpin>(
    io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> Result<Option<TlsStream<Peeked<I>>>, (io::Error, Option<Peeked<I>>)> {
    let mut io = Peeked::new(io);
    match io.peek().await {
        Ok(&[]) => return Ok(None),
        Ok(beginning) if looks_like_http(beginning) => {
            // A client that does not take it has gone.
            let _ = io.write_all(PLAIN_HTTP).await;
            let _ = io.flush().await;
            let error = io_error::new(io::ErrorKind::InvalidData, "plain HTTP on a port of HTTPS");
            return Err((error, Some(io)));
        }
        Ok(_) => {}
        Err(error) => return Err((error, Some(io))),
    }
    let mut hello = LazyConfigAcceptor::new(Acceptor::default(), io);
    match (&mut hello).await {
        Ok(hello) => match hello.into_stream(config()).into_fallible().await {
            Ok(stream) => Ok(Some(stream)),
            Err((error, io)) => Err((error, Some(io))),
        },
        // It has sent its alert.
        Err(error) => Err((error, hello.take_io())),
    }
}

/// Whether it is the beginning of an HTTP request: [`Peeked::peek`] gives five bytes of what is no TLS.
fn looks_like_http(beginning: &[u8]) -> bool {
    // The last is HTTP/2's, where it is spoken without having been negotiated (RFC 9113, section 3.4).
    let methods =
        ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI "];
    let five = |text: &'static str| &text.as_bytes()[..text.len().min(5)];
    methods.iter().any(|method| beginning.starts_with(five(method)))
}

/// Closes our side, then lingers: in TLS 1.3 a client has sent its request before it hears that its certificate is refused.
async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut linger = Linger::new();
    io.shutdown().await?;
    std::future::poll_fn(|cx| linger.poll(cx, &mut io)).await;
    Ok(())
}
