//! What a client accepts: header values in, rows of our tables out. Always an answer, never a 406.
//!
//! Values are bytes because a header may hold any (`http::HeaderValue::as_bytes`), one slice per header line.
//! Time is linear in their length and nothing is allocated, so a head full of junk costs a scan.

mod accept;
mod accept_encoding;
mod element;

pub use accept::{Accepted, accept};
pub use accept_encoding::accept_encoding;
