//! A connection without a socket, which the fuzz targets use.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::http::router::Router;
use crate::net::connection::{Activity, Service, http1};
use crate::net::stream::Io;
use crate::server::Server;

/// Serves connections over any stream, without sockets.
#[derive(Clone)]
pub struct Wire(Service<Arc<Router>>);

impl Wire {
    /// Serves like `server`, without its sockets and without TLS. Its engine runs until the process ends. If the
    /// engine cannot start, scrapes time out.
    pub fn of(server: Server) -> Wire {
        let Server { host, router, options, .. } = server;
        let deadlines = options.deadlines;
        host.run_hooks_here();
        drop(router.scraper.start("wire".to_owned(), || Ok(std::future::pending())));
        let telemetry = Arc::clone(&router.telemetry);
        Wire(Service { responder: router, tls: None, deadlines, stop: CancellationToken::new(), telemetry })
    }

    /// Serves one connection until it ends.
    pub async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let activity = Arc::new(Activity::new(Arc::default()));
        http1(Box::new(InMemory(stream)), None, activity, self.0.clone()).await;
    }
}

/// A stream of which the kernel buffers nothing.
struct InMemory<I>(I);

impl<I: AsyncRead + AsyncWrite + Send + Unpin> Io for InMemory<I> {}

impl<I: AsyncRead + Unpin> AsyncRead for InMemory<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for InMemory<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
