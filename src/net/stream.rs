//! Byte streams of connections.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the drop of this stream reset the connection. Otherwise the kernel keeps what the client has not read,
    /// in the host's memory, until the client reads it.
    fn reset_on_drop(&self) {}
}

/// The byte stream of a connection over any transport. The box is one allocation among the dozens of a connection.
pub(crate) type Stream = Box<dyn Io>;

/// The TLS layer of connections. Without the feature `tls` it has no implementation.
pub(crate) trait Secure: Debug + Send + Sync {
    /// Performs the handshake. Calls `hello_complete` when the whole ClientHello has arrived. Returns `None` if the
    /// client closes before it sends anything.
    fn secure<'a>(&'a self, stream: Stream, hello_complete: &'a (dyn Fn() + Sync)) -> Securing<'a>;

    /// Reloads certificates whose files have changed, at most once a second. Reads the files on this thread.
    fn look(&self);
}

pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = io::Result<Option<Stream>>> + Send + 'a>>;

impl<I: Io + ?Sized> Io for Box<I> {
    fn reset_on_drop(&self) {
        (**self).reset_on_drop();
    }
}
