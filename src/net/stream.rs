//! What a connection is made of.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes in, bytes out.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes its drop a reset where the kernel would otherwise keep what the client has not taken, in memory of the host,
    /// for as long as the client likes to leave it there.
    fn reset_on_drop(&self) {}
}

/// A connection's bytes, whatever carries them. One allocation, where a connection has dozens.
pub(crate) type Stream = Box<dyn Io>;

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
