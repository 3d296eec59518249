//! Responses to request heads. No socket.

pub(crate) mod access;
pub(crate) mod allowed_hosts;
pub(crate) mod body;
pub(crate) mod document;
mod host;
pub(crate) mod negotiate;
#[cfg(feature = "page")]
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod query;
mod responses;
pub(crate) mod router;
pub(crate) mod scrape_timeout;
