//! Sockets, TLS and HTTP framing: the listeners, the connection limit, and the service of each connection.

pub(crate) mod allow_list;
pub(crate) mod connection;
pub(crate) mod connection_limit;
pub(crate) mod lingering_close;
pub(crate) mod listener;
pub(crate) mod stream;
#[cfg(feature = "tls")]
pub(crate) mod tls;
