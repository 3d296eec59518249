//! TLS: what a connection does before there is HTTP, and whose configuration it does it with.

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
use crate::util::io_error;
use crate::util::throttle::Throttle;

pub(crate) use files::Paths;
#[cfg(any(test, feature = "web-config"))]
pub(crate) use settings::{ClientAuth, Settings, Version, load};
#[cfg(feature = "web-config")]
pub(crate) use settings::{Loaded, Part};

use settings::HTTP11;

/// How long a client may take from accept until the handshake is done.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The response to plain HTTP. The sentence is that of Go's `net/http`, for which people search.
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
    refusals: Throttle,
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

    /// Reads certificate, key and client CA from files, and reads them again when they change. Another client CA
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
        Tls { config: Box::new(config), refusals: Throttle::default() }
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
            let secured = handshake(stream, config).await.inspect_err(|error| {
                if is_refusal(error) && self.refusals.allows() {
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
) -> io::Result<Option<TlsStream<I>>> {
    let (error, io) = match timeout(HANDSHAKE_TIMEOUT, attempt(io, config)).await {
        Ok(Ok(secured)) => return Ok(secured),
        Ok(Err((error, io))) => (error, Some(io)),
        Err(_) => {
            let sentence = format!("no handshake within {HANDSHAKE_TIMEOUT:?}");
            (io_error::new(io::ErrorKind::TimedOut, sentence), None)
        }
    };
    tracing::debug!(%error, "TLS handshake failed");
    if let Some(io) = io {
        let _ = timeout(LINGER, close(io)).await;
    }
    Err(error)
}

/// Whether one side has refused the other, as happens with a scraper whose configuration is wrong. Whoever scans ports sends
/// garbage, or nothing, which is no warning.
fn is_refusal(error: &io::Error) -> bool {
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

/// Reads the ClientHello. Plain HTTP is answered, and what is neither gets TLS's alert.
async fn client_hello<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<Option<Accepted>> {
    let (mut acceptor, mut buffer, mut length) = (Acceptor::default(), [0; 4096], 0);
    // A record of TLS begins with a 22 (RFC 8446, section 5.1): unless the input begins with capitals, as HTTP does, the first
    // byte is enough.
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
            // None is read after TLS's closing alert.
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

/// A client that does not take it has gone.
async fn say<I: AsyncWrite + Unpin>(io: &mut I, bytes: &[u8]) {
    if io.write_all(bytes).await.is_ok() {
        let _ = io.flush().await;
    }
}

/// Whether it is the beginning of an HTTP request, of which five bytes are here.
fn looks_like_http(beginning: &[u8]) -> bool {
    // The last is HTTP/2's, where it is spoken without having been negotiated (RFC 9113, section 3.4).
    let methods =
        ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI "];
    let five = |text: &'static str| &text.as_bytes()[..text.len().min(5)];
    methods.iter().any(|method| beginning.starts_with(five(method)))
}

/// Closes our side, then lingers: in TLS 1.3 a client has sent its request before it learns that its certificate is refused.
async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut linger = Linger::new();
    io.shutdown().await?;
    std::future::poll_fn(|cx| linger.poll(cx, &mut io)).await;
    Ok(())
}
