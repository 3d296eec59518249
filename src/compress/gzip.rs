//! gzip (RFC 1952) by flate2, in pure Rust (zlib-rs).

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Compressor, Cut};

/// The fastest that compresses.
const LEVEL: u32 = 1;

pub(super) fn start() -> io::Result<Box<dyn Compressor>> {
    Ok(Box::new(GzEncoder::new(Cut::default(), Compression::new(LEVEL))))
}

impl Compressor for GzEncoder<Cut> {
    fn finish(self: Box<Self>) -> io::Result<Cut> {
        GzEncoder::finish(*self)
    }
}
