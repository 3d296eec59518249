//! A connection without a socket, for fuzzing.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Activity, Service, http1};
use crate::server::Server;

/// What a server does with a connection's bytes, whatever carries them.
#[derive(Clone, Debug)]
pub struct Wire(Service);

impl Wire {
    /// What `server` would do. Of its sockets nothing is used; TLS is left out.
    pub fn of(server: Server) -> Wire {
        let Server { router, deadlines, .. } = server;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            router.scraper().run_hooks_on(runtime);
        }
        Wire(Service { router, tls: None, deadlines, stop: CancellationToken::new(), own_thread: false })
    }

    /// Until the connection has ended.
    pub async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let activity = Arc::new(Activity::new(Arc::default()));
        http1(Box::new(stream), None, activity, self.0.clone()).await;
    }
}
