//! Encodes, compresses and decodes expositions, without I/O, clocks and async code.

pub(crate) mod buffer_pool;
pub(crate) mod chunk;
pub(crate) mod compress;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod filter;
pub(crate) mod metric;
mod suspects;
