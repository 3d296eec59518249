//! The chunks of an exposition, which the encoder passes on one by one.
//!
//! A single growing buffer is copied at each doubling and takes up to three times its size. Chunks of one size are
//! never copied, so an exposition is never in memory twice.

use std::mem;

use bytes::Bytes;

/// The capacity of a chunk in bytes. Only a longer line, or a longer group of lines, makes a longer chunk.
pub const CHUNK_SIZE: usize = 64 * 1024;

/// Receives an exposition chunk by chunk.
pub trait Sink {
    /// Returns a buffer for the next chunk. Its content is ignored, and it may have no capacity.
    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Processes the chunk in `buffer`, or takes the buffer. The chunk is never empty.
    ///
    /// The encoder reuses a buffer that is not taken, and ignores its content.
    fn chunk(&mut self, buffer: &mut Vec<u8>);
}

/// Keeps the chunks unchanged.
impl Sink for Vec<Bytes> {
    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        self.push(mem::take(buffer).into());
    }
}
