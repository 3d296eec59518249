//! Not part of the API: exposes pure modules and connections without sockets to this crate's benches and fuzz
//! targets. Changes without notice.

// The feature enables tokio's `DuplexStream`. Unit tests have it in any case, and use this implementation of `Io`.
#[cfg(any(feature = "tls", test))]
mod wire;

pub use crate::exposition::buffer_pool::{BufferPool, PooledChunks};
pub use crate::exposition::chunk::{CHUNK_SIZE, Sink};
pub use crate::exposition::compress::{Coding, Compress, codings};
pub use crate::exposition::decode::{Fault, Faults, decode};
#[cfg(feature = "protobuf")]
pub use crate::exposition::encode::PROTOBUF;
pub use crate::exposition::encode::{
    EscapedFormat, Escaping, Escapings, FALLBACK, FORMATS, Format, OPENMETRICS_001, OPENMETRICS_100,
    SkipCount, SkipReason, Skipped, TEXT_004, TEXT_100, are_many, encode, encode_consuming,
};
pub use crate::exposition::filter::Names;
pub use crate::http::negotiate::{Accepted, accept, accept_encoding};
pub use crate::http::query::{Query, QueryError, UnknownFormat};
#[cfg(feature = "web-config")]
pub use crate::web_config::check as check_web_config;
#[cfg(any(feature = "tls", test))]
pub use wire::Wire;
