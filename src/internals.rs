//! Not API: opens the pure modules, and connections without sockets, to this crate's own benches and fuzz targets. It
//! changes without notice.

mod wire;

pub use crate::exposition::compress::{Coding, Compress, codings};
pub use crate::exposition::encode::{
    Cause, Choice, Escaping, Format, Omission, Omissions, PIECE, Pieces, Sink, Spares, are_many, encode,
    encode_consuming,
};
pub use crate::exposition::filter::Names;
pub use crate::http::negotiate::{Accepted, accept, accept_encoding};
pub use crate::http::query::{Query, QueryError};
#[cfg(feature = "web-config")]
pub use crate::web_config::check as check_web_config;
pub use wire::Wire;
