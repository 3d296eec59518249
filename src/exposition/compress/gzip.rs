//! Compresses with gzip (RFC 1952) by flate2, in pure Rust (zlib-rs).

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::compressor::{ChunkWriter, Compressor, Effort};

/// The fastest level, which compresses to a tenth.
///
/// The next level takes 50 % more time of the host program and saves a fifth of the bytes.
/// `LEVELS=1 cargo bench --bench scrape` prints the table.
const LEVEL: u32 = 1;
/// The level of a body that is compressed once.
const BEST: u32 = 9;

pub(super) fn start(effort: Effort) -> io::Result<Box<dyn Compressor>> {
    let level = match effort {
        Effort::Often => LEVEL,
        Effort::Once => BEST,
    };
    Ok(Box::new(GzEncoder::new(ChunkWriter::default(), Compression::new(level))))
}

impl Compressor for GzEncoder<ChunkWriter> {
    fn finish(self: Box<Self>) -> io::Result<ChunkWriter> {
        GzEncoder::finish(*self)
    }
}
