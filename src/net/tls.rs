//! TLS: what a connection does before there is HTTP, and whose configuration it does it with.

mod certificate;
mod client;
mod files;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;

use crate::auth::grants::Grants;
use crate::net::lingering_close::{LINGER, Linger};
use crate::net::stream::Stream;
use crate::telemetry::Telemetry;
use crate::util::io_error;

pub(crate) use files::Paths;
#[cfg(any(test, feature = "web-config"))]
pub(crate) use settings::{ClientAuth, Settings, Version, load};
#[cfg(feature = "web-config")]
pub(crate) use settings::{Loaded, Part};
pub(crate) use stream::Secured;

use files::Files;
use stream::Peeked;

/// How long a client may take from accept until the handshake is done.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The only protocol that is offered in ALPN (RFC 7301, section 6).
const HTTP11: &[u8] = b"http/1.1";

/// What a client gets that speaks plain HTTP. The sentence is that of Go's `net/http`, for which people search.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 48\r\n\
    Connection: close\r\n\
    \r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// With whose certificate connections are secured.
pub(crate) struct Tls(Kind);

enum Kind {
    /// The user's configuration, as it is.
    Given(Arc<ServerConfig>),
    Files(Files),
    /// Looked after by somebody else.
    Elsewhere(Box<dyn Fn() -> Arc<ServerConfig> + Send + Sync>),
}

impl Tls {
    /// The user's own configuration, used as it is. If it names no ALPN protocols none is negotiated, and HTTP/1.1 is
    /// spoken.
    ///
    /// # Errors
    ///
    /// What it promises to clients and nobody here keeps.
    pub(crate) fn given(config: Arc<ServerConfig>) -> io::Result<Tls> {
        let invalid =
            |what: &str| Err(io_error::new(io::ErrorKind::InvalidInput, format!("tls_config: {what}")));
        if config.alpn_protocols.iter().any(|protocol| protocol != HTTP11) {
            return invalid("alpn_protocols may have http/1.1 only: HTTP/2 is not served");
        }
        // tokio-rustls drops early data where it is not asked for it, and the request with it.
        if config.max_early_data_size > 0 {
            return invalid("max_early_data_size is not 0, but early data can be replayed and is not read");
        }
        Ok(Tls(Kind::Given(config)))
    }

    /// Certificate, key and client CA from files, which are looked after. Reads them; `telemetry` is told. Another client CA
    /// revokes the grants.
    ///
    /// # Errors
    ///
    /// What is wrong with a file, which is named, after the option's name.
    pub(crate) fn from_files(paths: Paths, telemetry: &Arc<Telemetry>, grants: &Grants) -> io::Result<Tls> {
        Ok(Tls(Kind::Files(Files::new(paths, Instant::now(), telemetry, grants)?)))
    }

    /// Whatever this gives out at a handshake.
    #[cfg(feature = "web-config")]
    pub(crate) fn of(config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Tls {
        Tls(Kind::Elsewhere(Box::new(config)))
    }

    /// Looks after the files, at most once a second. Handshakes do it by themselves; at a scrape it keeps the gauges
    /// true where the scraper's connection outlives its certificate.
    pub(crate) fn look(&self, now: Instant) {
        match &self.0 {
            Kind::Given(_) | Kind::Elsewhere(_) => {}
            Kind::Files(files) => files.look(now),
        }
    }

    /// [`handshake()`] with the configuration of the moment. `hello_complete` is called when the client's whole ClientHello
    /// is here.
    pub(crate) async fn handshake(
        &self,
        stream: Stream,
        hello_complete: impl FnOnce(),
    ) -> Result<Stream, Refused> {
        Ok(Box::new(self.secure(stream, hello_complete).await?))
    }

    async fn secure<I>(&self, io: I, hello_complete: impl FnOnce()) -> Result<Secured<I>, Refused>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let config = || {
            hello_complete();
            match &self.0 {
                Kind::Given(config) => Arc::clone(config),
                Kind::Files(files) => files.current(tokio::time::Instant::now().into_std()),
                Kind::Elsewhere(config) => config(),
            }
        };
        handshake(io, config).await
    }
}

/// Without the configuration, which holds a key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Given(_) => f.write_str("Tls(given)"),
            Kind::Elsewhere(_) => f.write_str("Tls(elsewhere)"),
            Kind::Files(files) => f.debug_tuple("Tls").field(files).finish(),
        }
    }
}

/// Why a connection has not become one of TLS.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It was closed before there was a byte, as by a probe of the port.
    Silent,
    /// It speaks plain HTTP, and has been told.
    PlainHttp,
    /// It was not done within [`HANDSHAKE_TIMEOUT`].
    Late,
    /// The network failed, or the client speaks no TLS, or not ours, or is not let in.
    Failed(io::Error),
}

impl Refused {
    /// Whether it counts as an error: all do but a probe of the port, which does not count without TLS either.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, Refused::Silent)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Silent => f.write_str("closed before the first byte"),
            Refused::PlainHttp => f.write_str("plain HTTP on a port of HTTPS"),
            Refused::Late => write!(f, "no handshake within {HANDSHAKE_TIMEOUT:?}"),
            Refused::Failed(error) => error.fmt(f),
        }
    }
}

/// Secures a connection within [`HANDSHAKE_TIMEOUT`]; one that is refused hears why, and is closed. `config` is asked
/// for when the client's whole ClientHello is here, so that no silent connection holds on to an old certificate.
pub(crate) async fn handshake<I>(
    io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> Result<Secured<I>, Refused>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (refused, io) = match timeout(HANDSHAKE_TIMEOUT, attempt(io, config)).await {
        Ok(Ok(secured)) => return Ok(secured),
        Ok(Err(refused)) => refused,
        Err(_) => (Refused::Late, None),
    };
    // What a client does wrong is a debug line, never more.
    tracing::debug!(%refused, "a connection has not become one of TLS");
    if let Some(io) = io {
        let _ = timeout(LINGER, part(io)).await;
    }
    Err(refused)
}

async fn attempt<I>(
    io: I,
    config: impl FnOnce() -> Arc<ServerConfig>,
) -> Result<Secured<I>, (Refused, Option<Peeked<I>>)>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut io = Peeked::new(io);
    match io.peek().await {
        Ok(&[]) => return Err((Refused::Silent, Some(io))),
        Ok(beginning) if looks_like_http(beginning) => {
            // Who does not take it has gone.
            let _ = write_all(&mut io, PLAIN_HTTP).await;
            return Err((Refused::PlainHttp, Some(io)));
        }
        Ok(_) => {}
        Err(error) => return Err((Refused::Failed(error), Some(io))),
    }
    let mut hello = LazyConfigAcceptor::new(Acceptor::default(), io);
    match (&mut hello).await {
        Ok(hello) => match hello.into_stream(config()).into_fallible().await {
            Ok(stream) => Ok(Secured::new(stream)),
            Err((error, io)) => Err((Refused::Failed(error), Some(io))),
        },
        // It has sent its alert.
        Err(error) => Err((Refused::Failed(error), hello.take_io())),
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

async fn write_all<I: AsyncWrite + Unpin>(io: &mut I, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await
}

/// Closes our side, then lingers: in TLS 1.3 a client has sent its request before it hears that its certificate is refused.
async fn part<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut linger = Linger::new();
    poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await?;
    poll_fn(|cx| linger.poll(cx, &mut io)).await;
    Ok(())
}
