//! The stream beneath TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::net::stream::Io;

/// What lets its beginning be looked at before it is read.
#[derive(Debug)]
pub(super) struct Peeked<I> {
    io: I,
    beginning: [u8; 5],
    peeked: usize,
    /// How many of these have been read again.
    read: usize,
}

impl<I: AsyncRead + Unpin> Peeked<I> {
    pub(super) fn new(io: I) -> Self {
        Peeked { io, beginning: [0; 5], peeked: 0, read: 0 }
    }

    /// The first bytes: as many as it takes to tell a request in plain HTTP from the rest. None if there will be none.
    pub(super) async fn peek(&mut self) -> io::Result<&[u8]> {
        // A record of TLS begins with a 22 (RFC 8446, section 5.1): of what is no word in capitals the first byte is
        // enough, and nobody waits for more.
        while self.peeked < self.beginning.len() && self.beginning[..self.peeked].iter().all(is_of_a_method) {
            match self.io.read(&mut self.beginning[self.peeked..]).await? {
                0 => break,
                read => self.peeked += read,
            }
        }
        Ok(&self.beginning[..self.peeked])
    }
}

fn is_of_a_method(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || *byte == b' '
}

impl<I: AsyncRead + Unpin> AsyncRead for Peeked<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read == self.peeked {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let again = (self.peeked - self.read).min(buffer.remaining());
        buffer.put_slice(&self.beginning[self.read..self.read + again]);
        self.read += again;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Peeked<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<I: Io> Io for TlsStream<Peeked<I>> {
    fn reset_on_drop(&self) {
        self.get_ref().0.io.reset_on_drop();
    }
}
