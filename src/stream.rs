//! What a connection is made of.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes in, bytes out.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<I: AsyncRead + AsyncWrite + Send + Unpin> Io for I {}

/// A connection's bytes, whatever carries them. One allocation, where a connection has dozens.
pub(crate) type Stream = Box<dyn Io>;
