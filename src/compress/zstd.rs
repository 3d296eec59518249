//! Zstandard (RFC 8878).

use std::io;

use zstd::stream::write::Encoder;

use super::{Compressor, Cut};

/// The fastest of the levels without drawbacks.
const LEVEL: i32 = 1;

/// RFC 9659: "decoders MUST support ... window sizes ... up to and including 8 MB" over HTTP, and no more.
const WINDOW_LOG: u32 = 23;

pub(super) fn start() -> io::Result<Box<dyn Compressor>> {
    let mut encoder = Encoder::new(Cut::default(), LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    Ok(Box::new(encoder))
}

impl Compressor for Encoder<'static, Cut> {
    fn finish(self: Box<Self>) -> io::Result<Cut> {
        Encoder::finish(*self)
    }
}
