//! From metric families to bytes, and from text to metric families. Pure: no I/O, no clock, no async.

pub(crate) mod buffer_pool;
pub(crate) mod chunk;
pub(crate) mod compress;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod filter;
pub(crate) mod metric;
