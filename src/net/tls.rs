//! TLS: the handshake before HTTP, and the configuration for it.

mod certificate;
mod client;
mod files;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_rustls::StartHandshake;
use tokio_rustls::rustls::server::{Accepted, Acceptor};
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::auth::grants::Grants;
use crate::net::lingering_close::{LINGER, Linger};
use crate::net::stream::{Io, Secure, Securing, Stream};
use crate::telemetry::Telemetry;
use crate::util::error::cut;
use crate::util::io_error;
use crate::util::throttle::Throttle;

pub(crate) use files::Paths;
#[cfg(any(test, feature = "web-config"))]
pub(crate) use settings::{ClientAuth, Settings, TlsVersion, load};
#[cfg(feature = "web-config")]
pub(crate) use settings::{LoadedTls, TlsPart};

use settings::HTTP11;

/// Maximum time from accept to the end of the handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Response to plain HTTP. Its text is that of Go's `net/http`, which people search for.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 48\r\n\
    Connection: close\r\n\
    \r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// The TLS settings of a server.
pub(crate) struct Tls {
    /// Returns the current configuration.
    config: Box<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
    /// Checks the files, if there are any.
    look: Box<dyn Fn() + Send + Sync>,
    rejections: Throttle,
}

impl Tls {
    /// Uses the user's own configuration unchanged. If it names no ALPN protocols, none is negotiated and the server
    /// uses HTTP/1.1.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if the configuration offers early data or a protocol other than `http/1.1`. The server
    /// supports neither.
    pub(crate) fn given(config: Arc<ServerConfig>) -> io::Result<Tls> {
        let invalid =
            |what: &str| Err(io_error::new(io::ErrorKind::InvalidInput, format!("tls_config: {what}")));
        if config.alpn_protocols.iter().any(|protocol| protocol != HTTP11) {
            return invalid("alpn_protocols must contain http/1.1 only: HTTP/2 is not supported");
        }
        // tokio-rustls discards early data by default, so the request in it would be lost.
        if config.max_early_data_size > 0 {
            return invalid("max_early_data_size must be 0: early data can be replayed");
        }
        Ok(Tls::of(move || Arc::clone(&config), || ()))
    }

    /// Reads certificate, key and client CA from files, and reloads them when they change. Another client CA revokes
    /// the grants.
    ///
    /// # Errors
    ///
    /// Returns the first fault, with the option and the file.
    pub(crate) fn from_files(paths: Paths, telemetry: &Arc<Telemetry>, grants: &Grants) -> io::Result<Tls> {
        let files = Arc::new(files::open(paths, now(), telemetry, grants)?);
        let watched = Arc::clone(&files);
        Ok(Tls::of(move || Arc::clone(&files.last().loaded.config), move || watched.look(now())))
    }

    /// Creates TLS settings that call `config` at each handshake.
    pub(crate) fn of(
        config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static,
        look: impl Fn() + Send + Sync + 'static,
    ) -> Tls {
        Tls { config: Box::new(config), look: Box::new(look), rejections: Throttle::default() }
    }
}

/// Returns the time of tokio's clock, which a test may pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Secure for Tls {
    fn look(&self) {
        (self.look)();
    }

    fn secure<'a>(&'a self, stream: Stream, hello_complete: &'a (dyn Fn() + Sync)) -> Securing<'a> {
        Box::pin(async move {
            let config = || {
                hello_complete();
                (self.config)()
            };
            let secured = handshake(stream, config).await.inspect_err(|error| {
                if is_rejection(error) && self.rejections.allows() {
                    let error = cut(&error.to_string());
                    tracing::warn!(%error, "TLS handshake refused; check the scraper's TLS configuration");
                }
            });
            Ok(secured?.map(|stream| Box::new(stream) as Stream))
        })
    }
}

impl<I: Io> Io for TlsStream<I> {
    fn reset_on_drop(&self) {
        self.get_ref().0.reset_on_drop();
    }
}

/// Omits the configuration, because it contains a key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Secures a connection within [`HANDSHAKE_TIMEOUT`]. A rejected client gets an alert with the reason. Returns `None`
/// if the client closes before it sends a byte, as a TCP probe does.
///
/// Calls `config` when the whole ClientHello has arrived, so that no silent connection keeps an old certificate in
/// memory.
async fn handshake<I: AsyncRead + AsyncWrite + Unpin>(
    io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<I>>> {
    let (error, io) = match timeout(HANDSHAKE_TIMEOUT, attempt(io, config)).await {
        Ok(Ok(secured)) => return Ok(secured),
        Ok(Err((error, io))) => (error, Some(io)),
        Err(_) => {
            let sentence = format!("handshake not completed within {HANDSHAKE_TIMEOUT:?}");
            (io_error::new(io::ErrorKind::TimedOut, sentence), None)
        }
    };
    // rustls' reason may list what is in the client's certificate.
    tracing::debug!(error = %cut(&error.to_string()), "TLS handshake failed");
    if let Some(io) = io {
        let _ = timeout(LINGER, close(io)).await;
    }
    Err(error)
}

/// Returns whether one side has rejected the other, as with a misconfigured scraper. Port scanners send garbage or
/// nothing, which is no reason for a warning.
fn is_rejection(error: &io::Error) -> bool {
    use Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented, PeerIncompatible};
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(AlertReceived(_) | InvalidCertificate(_) | NoCertificatesPresented | PeerIncompatible(_)) => {
            true
        }
        of_rustls => of_rustls.is_none() && error.kind() == io::ErrorKind::InvalidData,
    }
}

async fn attempt<I: AsyncRead + AsyncWrite + Unpin>(
    mut io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> Result<Option<TlsStream<I>>, (io::Error, I)> {
    match client_hello(&mut io).await {
        Ok(Some(hello)) => {
            StartHandshake::from_parts(hello, io).into_stream(config()).into_fallible().await.map(Some)
        }
        Ok(None) => Ok(None),
        Err(error) => Err((error, io)),
    }
}

/// Reads the ClientHello. Plain HTTP gets an HTTP response, any other input a TLS alert.
async fn client_hello<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<Option<Accepted>> {
    let (mut acceptor, mut buffer, mut length) = (Acceptor::default(), [0; 4096], 0);
    // A TLS record of a handshake begins with a 22 (RFC 8446, section 5.1). Only input that begins with capitals, as
    // HTTP does, needs more than its first byte.
    while length < 5 && buffer[..length].iter().all(|byte: &u8| byte.is_ascii_uppercase() || *byte == b' ') {
        match io.read(&mut buffer[length..5]).await? {
            0 => break,
            read => length += read,
        }
    }
    if length == 0 {
        return Ok(None);
    }
    if looks_like_http(&buffer[..length]) {
        say(io, PLAIN_HTTP).await;
        return Err(io_error::new(io::ErrorKind::InvalidData, "the client sent plain HTTP"));
    }
    loop {
        let mut received = &buffer[..length];
        while !received.is_empty() {
            // `read_tls` returns 0 after a closing alert.
            if acceptor.read_tls(&mut received)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        match acceptor.accept() {
            Ok(Some(hello)) => return Ok(Some(hello)),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                alert.write_all(&mut bytes)?;
                say(io, &bytes).await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        length = io.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Writes and flushes. Errors are ignored, because the client has then closed the connection.
async fn say<I: AsyncWrite + Unpin>(io: &mut I, bytes: &[u8]) {
    if io.write_all(bytes).await.is_ok() {
        let _ = io.flush().await;
    }
}

/// Returns whether these five bytes begin an HTTP request.
fn looks_like_http(beginning: &[u8]) -> bool {
    // "PRI " begins HTTP/2 without negotiation (RFC 9113, section 3.4).
    let methods =
        ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI "];
    let five = |text: &'static str| &text.as_bytes()[..text.len().min(5)];
    methods.iter().any(|method| beginning.starts_with(five(method)))
}

/// Closes the server's side, then lingers. In TLS 1.3, a client has sent its request before it learns that its
/// certificate is refused.
async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut linger = Linger::new();
    io.shutdown().await?;
    std::future::poll_fn(|cx| linger.poll(cx, &mut io)).await;
    Ok(())
}
