//! Chunks: the parts in which an exposition leaves the encoder, so that it is never in memory twice.
//!
//! One growing buffer would be copied at each doubling and peak at three times its size. Chunks of one size are never
//! copied.

use std::mem;

use bytes::Bytes;

/// The capacity of a chunk, in bytes. Only lines that are written together, or one of them, make a longer chunk.
pub const CHUNK_SIZE: usize = 64 * 1024;

/// Takes an exposition chunk by chunk.
pub trait Sink {
    /// Returns a buffer for the next chunk. What is in it does not matter, and it may be without capacity.
    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes the chunk, which is never empty, out of `buffer`, or does what there is to do with it. What is left in the
    /// buffer does not matter: it is used again.
    fn chunk(&mut self, buffer: &mut Vec<u8>);
}

/// Keeps the chunks unchanged.
impl Sink for Vec<Bytes> {
    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        self.push(mem::take(buffer).into());
    }
}
