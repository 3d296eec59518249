//! Compresses the chunks of an exposition into the chunks of a body, in memory.

mod compressor;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::io;

use bytes::Bytes;

use crate::exposition::buffer_pool::{BufferPool, PooledChunks};
use crate::exposition::chunk::Sink;
use compressor::{Compressor, Effort, Start};

/// A content coding (RFC 9110, section 8.4.1). This build may not support all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// No compression.
    Identity,
    /// gzip (RFC 1952), also known as `x-gzip`.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// The compressors of this build, the cheapest first.
///
/// zstd takes the time of gzip within a sixth, and writes two thirds of its bytes
/// (`LEVELS=1 cargo bench --bench scrape --all-features`).
const TABLE: &[(Coding, Start)] = &[
    #[cfg(feature = "zstd")]
    (Coding::Zstd, zstd::start),
    #[cfg(feature = "gzip")]
    (Coding::Gzip, gzip::start),
];

/// The smallest body in bytes that is compressed. Compression of a smaller one saves no packet.
const WORTHWHILE: usize = 1024;

impl Coding {
    /// All codings.
    pub const ALL: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];

    /// Returns its names in `Accept-Encoding`. The first one is its name in `Content-Encoding`.
    ///
    /// "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"." (RFC 9110, section 8.4.1.3)
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Coding::Identity => &["identity"],
            Coding::Gzip => &["gzip", "x-gzip"],
            Coding::Zstd => &["zstd"],
        }
    }

    /// Returns the value of `Content-Encoding`, or `None` for the identity, which must not appear there.
    pub fn content_encoding(self) -> Option<&'static str> {
        (self != Coding::Identity).then(|| self.names()[0])
    }
}

/// Returns the codings that this build compresses with, the cheapest first.
pub fn codings() -> Vec<Coding> {
    TABLE.iter().map(|(coding, _)| *coding).collect()
}

/// A sink that compresses each chunk at once, so that the exposition is never in memory uncompressed.
pub struct Compress {
    /// The requested coding.
    coding: Coding,
    state: CompressState,
}

enum CompressState {
    /// The chunks are the body, uncompressed.
    Plain(PooledChunks),
    /// The beginning of the body, which is not compressed if no more follows.
    Begun {
        start: Start,
        effort: Effort,
        beginning: Vec<u8>,
    },
    Compressing(Box<dyn Compressor>),
    Failed(io::Error),
}

impl Compress {
    /// Starts a body. Without a compressor for `coding` in this build, it is not compressed, and its chunks are from this
    /// pool.
    pub fn new(coding: Coding, pool: &BufferPool) -> Self {
        Self::with(coding, Effort::Often, pool)
    }

    /// Starts a body that is compressed once and sent many times, so it is smaller and takes more time.
    pub fn once(coding: Coding) -> Self {
        Self::with(coding, Effort::Once, &BufferPool::default())
    }

    fn with(coding: Coding, effort: Effort, pool: &BufferPool) -> Self {
        let state = match TABLE.iter().find(|(row, _)| *row == coding) {
            Some(&(_, start)) => CompressState::Begun { start, effort, beginning: Vec::new() },
            None => CompressState::Plain(PooledChunks::new(pool)),
        };
        Compress { coding, state }
    }

    /// Returns the body and its coding, which is the identity for a small body.
    ///
    /// # Errors
    ///
    /// Errors of the compressor, which can run out of memory.
    pub fn finish(self) -> io::Result<(Vec<Bytes>, Coding)> {
        match self.state {
            CompressState::Plain(chunks) => Ok((chunks.into_inner(), Coding::Identity)),
            CompressState::Begun { beginning: all, .. } if all.is_empty() => Ok((vec![], Coding::Identity)),
            CompressState::Begun { beginning: all, .. } => Ok((vec![all.into()], Coding::Identity)),
            CompressState::Compressing(compressor) => Ok((compressor.finish()?.into_chunks(), self.coding)),
            CompressState::Failed(error) => Err(error),
        }
    }

    /// Writes to the compressor, which is started once the body is big enough.
    fn compress(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let CompressState::Begun { start, effort, beginning } = &mut self.state {
            if beginning.len() + chunk.len() < WORTHWHILE {
                beginning.extend_from_slice(chunk);
                return Ok(());
            }
            let mut compressor = start(*effort)?;
            compressor.write_all(beginning)?;
            self.state = CompressState::Compressing(compressor);
        }
        if let CompressState::Compressing(compressor) = &mut self.state {
            compressor.write_all(chunk)?;
        }
        Ok(())
    }
}

impl Sink for Compress {
    fn buffer(&mut self) -> Vec<u8> {
        if let CompressState::Plain(chunks) = &mut self.state { chunks.buffer() } else { Vec::new() }
    }

    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        if let CompressState::Plain(chunks) = &mut self.state {
            chunks.chunk(buffer);
        } else if let Err(error) = self.compress(buffer) {
            self.state = CompressState::Failed(error);
        }
    }
}

#[cfg(test)]
mod tests;
