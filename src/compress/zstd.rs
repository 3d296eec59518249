//! Zstandard (RFC 8878).

use std::io;

use zstd::stream::write::Encoder;

use super::{Compressor, Cut};

/// The fastest of the levels without drawbacks. Its window is half a megabyte; over HTTP it must be no more than eight
/// (RFC 9659, section 3), and that much would be allocated for it at both ends.
const LEVEL: i32 = 1;

pub(super) fn start() -> io::Result<Box<dyn Compressor>> {
    Ok(Box::new(Encoder::new(Cut::default(), LEVEL)?))
}

impl Compressor for Encoder<'static, Cut> {
    fn finish(self: Box<Self>) -> io::Result<Cut> {
        Encoder::finish(*self)
    }
}
