//! Sockets whose writes raise no SIGPIPE.
//!
//! tokio writes several slices with writev(2), which sends the signal if the client has closed. The runtime of a Rust
//! program ignores it. A C program that embeds this server would end, and so would a program that restores the
//! signal's default.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

#[cfg(not(target_vendor = "apple"))]
const FLAGS: i32 = libc::MSG_NOSIGNAL;
/// std sets the option `SO_NOSIGPIPE` of the listeners that it makes, and accepted sockets inherit it.
#[cfg(target_vendor = "apple")]
const FLAGS: i32 = 0;

/// A socket on a runtime.
pub(super) trait Writable: AsFd {
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn try_io<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

macro_rules! writable {
    ($($socket:ty),*) => {$(
        impl Writable for $socket {
            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_io<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(Interest::WRITABLE, operation)
            }
        }
    )*};
}
writable!(TcpStream, UnixStream);

pub(super) struct NoSignal<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for NoSignal<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Writable + Unpin> AsyncWrite for NoSignal<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_io(|| SockRef::from(&self.0).send_vectored_with_flags(slices, FLAGS)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
