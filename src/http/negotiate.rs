//! Content negotiation: maps header values to formats and codings. It never fails with a 406.
//!
//! Values are bytes, because a header may contain any (`http::HeaderValue::as_bytes`), one slice per line. Time is
//! linear in their length and nothing is allocated, so a head full of junk costs one scan.

mod accept;
mod accept_encoding;
mod element;

pub use accept::{Accepted, accept};
pub use accept_encoding::accept_encoding;
