//! Zstandard (RFC 8878).

use std::io;

use zstd::stream::write::Encoder;

use super::compressor::{ChunkWriter, Compressor, Effort};

/// Faster ones make a third more bytes in about the same time, slower ones save nothing.
/// `LEVELS=1 cargo bench --bench scrape --all-features` prints the table.
const LEVEL: i32 = 1;
/// For what is made once.
const BEST: i32 = 19;

/// 128 KiB. What an exposition repeats stands close by, so that a wider window costs time and saves nothing; and at
/// the 8 MB that a client must have room for (RFC 9659) each scrape would take 9 MiB, where it now takes one.
const WINDOW_LOG: u32 = 17;

pub(super) fn start(effort: Effort) -> io::Result<Box<dyn Compressor>> {
    let level = match effort {
        Effort::Often => LEVEL,
        Effort::Once => BEST,
    };
    let mut encoder = Encoder::new(ChunkWriter::default(), level)?;
    encoder.window_log(WINDOW_LOG)?;
    Ok(Box::new(encoder))
}

impl Compressor for Encoder<'static, ChunkWriter> {
    fn finish(self: Box<Self>) -> io::Result<ChunkWriter> {
        Encoder::finish(*self)
    }
}
