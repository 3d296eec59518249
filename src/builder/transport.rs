//! Where it listens, and what a connection may do.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_HEAD_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_METRICS_PATH,
    DEFAULT_UNIX_SOCKET_MODE, DEFAULT_WRITE_TIMEOUT,
};
use crate::guard::Reach;
use crate::http::router::{self, Router};
use crate::net::allow_list::AllowList;
use crate::net::connection::Deadlines;
use crate::net::connection_limit;
use crate::net::listener::Socket;
use crate::net::stream::Secure;
use crate::server::{Notify, Server};
use crate::util::io_error;

#[derive(Debug)]
pub(super) struct Transport {
    pub(super) doors: Vec<Door>,
    pub(super) unix_socket_mode: u32,
    /// Tells systemd how the server is.
    pub(super) notify: Option<Notify>,
    pub(super) metrics_path: String,
    /// The option or flag that it comes from.
    pub(super) metrics_path_option: &'static str,
    pub(super) max_connections: Option<usize>,
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) drain_timeout: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            doors: Vec::new(),
            unix_socket_mode: DEFAULT_UNIX_SOCKET_MODE,
            notify: None,
            metrics_path: DEFAULT_METRICS_PATH.to_owned(),
            metrics_path_option: "metrics_path",
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
        if !router::path_is_valid(&self.metrics_path) {
            let reason = "is no absolute path, as it stands in a request, that is free";
            return Some(format!("metrics_path: {:?} {reason}", self.metrics_path));
        }
        if self.unix_socket_mode > 0o777 {
            return Some(format!("unix_socket_mode: {:#o} is no mode of a file", self.unix_socket_mode));
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
        self.doors.is_empty().then(|| "listen: there is no address to listen on".to_owned())
    }

    /// Opens the ports, for what answers at the path of the metrics.
    pub(super) fn bind(
        self,
        allow: AllowList,
        tls: Option<Arc<dyn Secure>>,
        router: impl FnOnce(String) -> Router,
    ) -> io::Result<Server> {
        let Transport {
            doors,
            unix_socket_mode,
            notify,
            metrics_path,
            metrics_path_option: _,
            max_connections,
            head_timeout,
            idle_timeout,
            write_timeout,
            drain_timeout,
        } = self;
        let mut sockets = Vec::new();
        for Door { option, open } in doors {
            sockets.extend(open(unix_socket_mode).map_err(|error| io_error::annotated(error, option))?);
        }
        let addresses = sockets.iter().map(|socket: &Socket| socket.address().clone()).collect();
        Ok(Server {
            sockets,
            reach: Reach::new(addresses, tls.is_some(), metrics_path.clone()),
            notify,
            allow,
            tls,
            router: Arc::new(router(metrics_path)),
            max_connections: max_connections.unwrap_or_else(connection_limit::default_max_connections),
            deadlines: Deadlines { head: head_timeout, idle: idle_timeout, write: write_timeout },
            drain_timeout,
        })
    }
}

/// Somewhere to listen: opened by `bind`, with the mode of a Unix socket's file.
pub(super) struct Door {
    /// The option or flag that it comes from, with which an error begins.
    pub(super) option: &'static str,
    open: Box<Open>,
}

type Open = dyn FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync;

impl Door {
    pub(super) fn new(
        option: &'static str,
        open: impl FnOnce(u32) -> io::Result<Vec<Socket>> + Send + Sync + 'static,
    ) -> Self {
        Door { option, open: Box::new(open) }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("option", &self.option).finish_non_exhaustive()
    }
}
