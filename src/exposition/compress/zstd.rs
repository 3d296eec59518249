//! Compresses with Zstandard (RFC 8878).

use std::io;

use zstd::stream::write::Encoder;

use super::compressor::{ChunkWriter, Compressor, Effort};

/// The compression level. Lower levels write a third more bytes in about the same time. Higher levels save nothing.
/// `LEVELS=1 cargo bench --bench scrape --all-features` prints the table.
const LEVEL: i32 = 1;
/// The level of a body that is compressed once.
const BEST: i32 = 19;

/// The binary logarithm of the window, which is 128 KiB.
///
/// Repetitions in an exposition are close together, so a wider window costs time and saves nothing. With the 8 MB that
/// a client must support (RFC 9659) a scrape takes 9 MiB of memory, now it takes 1 MiB.
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
