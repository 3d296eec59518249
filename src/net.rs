//! Sockets, TLS and HTTP framing: where connections come from, how many there may be, and how each is served.

pub(crate) mod allow_list;
pub(crate) mod connection;
pub(crate) mod connection_limit;
pub(crate) mod lingering_close;
pub(crate) mod listener;
mod router;
pub(crate) mod stream;
#[cfg(feature = "tls")]
pub(crate) mod tls;
