//! The interface of the compressors: a stream that compresses into chunks.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;

use crate::exposition::chunk::CHUNK_SIZE;

/// A stream that compresses into chunks.
pub(super) trait Compressor: Write + Send {
    /// Ends the stream.
    fn finish(self: Box<Self>) -> io::Result<ChunkWriter>;
}

/// Starts a stream.
pub(super) type Start = fn(Effort) -> io::Result<Box<dyn Compressor>>;

/// How often a body is compressed, which decides the time that may be spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// For each request, in the time of the host program.
    Often,
    /// Once per server.
    Once,
}

/// A writer that splits the output of a compressor into chunks.
#[derive(Default)]
pub(super) struct ChunkWriter {
    chunk: Vec<u8>,
    chunks: Vec<Bytes>,
}

impl ChunkWriter {
    pub(super) fn into_chunks(mut self) -> Vec<Bytes> {
        if !self.chunk.is_empty() {
            self.chunks.push(self.chunk.into());
        }
        self.chunks
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, compressed: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_SIZE {
            self.chunks.push(mem::take(&mut self.chunk).into());
        }
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(CHUNK_SIZE);
        }
        let taken = compressed.len().min(CHUNK_SIZE - self.chunk.len());
        self.chunk.extend_from_slice(&compressed[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
