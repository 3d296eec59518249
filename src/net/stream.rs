//! What a connection is made of.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes in, bytes out.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes its drop a reset where the kernel would otherwise keep what the client has not taken, in memory of the host,
    /// for as long as the client likes to leave it there.
    fn reset_on_drop(&self) {}
}

/// A connection's bytes, whatever carries them. One allocation, where a connection has dozens.
pub(crate) type Stream = Box<dyn Io>;

/// What secures connections: TLS, without whose feature nothing does.
pub(crate) trait Secure: Debug + Send + Sync {
    /// Does the handshake. `hello_complete` is called when the client's whole ClientHello is here. None if the client closes
    /// before it sends anything.
    fn secure<'a>(&'a self, stream: Stream, hello_complete: &'a (dyn Fn() + Sync)) -> Securing<'a>;

    /// Reads certificates again if their files have changed, at most once a second. Handshakes do so by themselves. At a
    /// scrape it keeps the gauges true where the scraper's connection outlives its certificate.
    fn look(&self);
}

pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = io::Result<Option<Stream>>> + Send + 'a>>;

impl<I: Io + ?Sized> Io for Box<I> {
    fn reset_on_drop(&self) {
        (**self).reset_on_drop();
    }
}

#[cfg(test)]
impl Io for tokio::io::DuplexStream {}

#[cfg(test)]
impl<I: Io> Io for tokio::io::BufWriter<I> {}

#[cfg(test)]
impl<R: Io, W: Io> Io for tokio::io::Join<R, W> {}
