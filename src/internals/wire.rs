//! A connection without a socket, which the fuzz targets use.

use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use crate::http::router::Router;
use crate::net::connection::{Activity, Service, http1};
use crate::net::stream::Io;
use crate::server::Server;

/// Serves connections over in-memory streams, without sockets.
#[derive(Clone)]
pub struct Wire(Service<Arc<Router>>);

impl Wire {
    /// Serves like `server`, without its sockets and without TLS. Its engine runs until the process ends. If the
    /// engine cannot start, scrapes time out.
    pub fn of(server: Server) -> Wire {
        let Server { router, options, .. } = server;
        let deadlines = options.deadlines;
        router.scraper.host().run_hooks_here();
        drop(router.scraper.start("wire".to_owned(), || Ok(std::future::pending())));
        let telemetry = Arc::clone(&router.telemetry);
        Wire(Service { responder: router, tls: None, deadlines, stop: CancellationToken::new(), telemetry })
    }

    /// Serves one connection until it ends.
    pub async fn speak(&self, stream: DuplexStream) {
        let activity = Arc::new(Activity::new(Arc::default()));
        http1(Box::new(stream), None, activity, self.0.clone()).await;
    }
}

impl Io for DuplexStream {}
