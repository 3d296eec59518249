//! Where it listens, and what a connection may do.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_HEAD_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_METRICS_PATH,
    DEFAULT_WRITE_TIMEOUT,
};
use crate::admission;
use crate::connection::Deadlines;
use crate::route::{self, Router};
use crate::server::Server;

#[derive(Debug)]
pub(super) struct Transport {
    /// What each call of `listen` resolved to.
    pub(super) listen: Vec<io::Result<Vec<SocketAddr>>>,
    pub(super) metrics_path: String,
    pub(super) max_connections: Option<usize>,
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) drain_timeout: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            listen: Vec::new(),
            metrics_path: DEFAULT_METRICS_PATH.to_owned(),
            max_connections: None,
            head_timeout: DEFAULT_HEAD_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
        }
    }
}

impl Transport {
    /// What makes no sense, beginning with the option's name.
    pub(super) fn fault(&self) -> Option<String> {
        if !route::metrics_path_is_valid(&self.metrics_path) {
            let reason = "is no absolute path, as it stands in a request, that is free";
            return Some(format!("metrics_path: {:?} {reason}", self.metrics_path));
        }
        if self.max_connections == Some(0) {
            return Some("max_connections: must be at least 1".to_owned());
        }
        let timeouts = [
            ("head_timeout", self.head_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
        ];
        if let Some((option, _)) = timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
            return Some(format!("{option}: must be above zero"));
        }
        self.listen.is_empty().then(|| "listen: there is no address to listen on".to_owned())
    }

    /// Opens the ports, for what answers at the path of the metrics.
    pub(super) fn bind(self, router: impl FnOnce(String) -> Router) -> io::Result<Server> {
        let Transport {
            listen,
            metrics_path,
            max_connections,
            head_timeout,
            idle_timeout,
            write_timeout,
            drain_timeout,
        } = self;
        let listeners = listen.into_iter().map(listen_on).collect::<io::Result<Vec<_>>>()?;
        let local_addrs = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        Ok(Server {
            listeners,
            local_addrs,
            router: Arc::new(router(metrics_path)),
            max_connections: max_connections.unwrap_or_else(admission::default_max_connections),
            deadlines: Deadlines { head: head_timeout, idle: idle_timeout, write: write_timeout },
            drain_timeout,
        })
    }
}

/// The first of the addresses that works, else the last one's error, as std has it.
fn listen_on(resolved: io::Result<Vec<SocketAddr>>) -> io::Result<TcpListener> {
    let addrs =
        resolved.map_err(|error| annotated(&error, "listen: cannot resolve the address".to_owned()))?;
    let mut last_error = None;
    for addr in addrs {
        match TcpListener::bind(addr).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        }) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = Some(annotated(&error, format!("cannot listen on {addr}"))),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::InvalidInput, "listen: resolves to no address");
    Err(last_error.unwrap_or_else(nothing))
}

fn annotated(error: &io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
