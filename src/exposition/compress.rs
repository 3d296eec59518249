//! Content codings: the chunks of an exposition in, those of a body out. In memory; nothing here touches a device.

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

/// A content coding (RFC 9110, section 8.4.1), whether this build has it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The body as it is.
    Identity,
    /// gzip (RFC 1952), also known as `x-gzip`.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// What this build compresses with, the cheaper first: zstd takes as long as gzip, to a sixth, and makes two thirds of
/// its bytes (`LEVELS=1 cargo bench --bench scrape --all-features`).
const TABLE: &[(Coding, Start)] = &[
    #[cfg(feature = "zstd")]
    (Coding::Zstd, zstd::start),
    #[cfg(feature = "gzip")]
    (Coding::Gzip, gzip::start),
];

/// A smaller body is sent as it is: compressed it would save no packet.
const WORTHWHILE: usize = 1024;

impl Coding {
    /// All codings.
    pub const ALL: [Coding; 3] = [Coding::Identity, Coding::Gzip, Coding::Zstd];

    /// Its names in `Accept-Encoding`, the one for `Content-Encoding` first: "A recipient SHOULD consider "x-gzip" to be
    /// equivalent to "gzip"." (RFC 9110, section 8.4.1.3)
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Coding::Identity => &["identity"],
            Coding::Gzip => &["gzip", "x-gzip"],
            Coding::Zstd => &["zstd"],
        }
    }

    /// The value of `Content-Encoding`; none for the identity, which is not to be named there.
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Zstd => Some("zstd"),
        }
    }
}

/// The codings that this build compresses with, the cheaper first.
pub fn codings() -> Vec<Coding> {
    TABLE.iter().map(|(coding, _)| *coding).collect()
}

/// Compresses the chunks of an exposition as they come, so that the whole is never in memory uncompressed.
pub struct Compress {
    /// What was asked for.
    coding: Coding,
    state: State,
}

enum State {
    /// The chunks are the body.
    Plain(PooledChunks),
    /// So far there is only a beginning, which is too small to be worth it if it is all.
    Begun {
        start: Start,
        effort: Effort,
        beginning: Vec<u8>,
    },
    Compressing(Box<dyn Compressor>),
    Failed(io::Error),
}

impl Compress {
    /// Begins a body. What this build has no compressor for is not compressed.
    pub fn new(coding: Coding) -> Self {
        Self::reusing(coding, &BufferPool::default())
    }

    /// The same, in buffers of this pool where it is not compressed.
    pub fn reusing(coding: Coding, pool: &BufferPool) -> Self {
        Self::with(coding, Effort::Often, pool)
    }

    /// Begins a body that is made once and sent to many: smaller, for more time.
    pub fn once(coding: Coding) -> Self {
        Self::with(coding, Effort::Once, &BufferPool::default())
    }

    fn with(coding: Coding, effort: Effort, pool: &BufferPool) -> Self {
        let state = match TABLE.iter().find(|(row, _)| *row == coding) {
            Some(&(_, start)) => State::Begun { start, effort, beginning: Vec::new() },
            None => State::Plain(PooledChunks::new(pool)),
        };
        Compress { coding, state }
    }

    /// Returns the body, and what it is compressed with: nothing, if it is small.
    ///
    /// # Errors
    ///
    /// Those of the compressor, which is short of memory.
    pub fn finish(self) -> io::Result<(Vec<Bytes>, Coding)> {
        match self.state {
            State::Plain(chunks) => Ok((chunks.into_inner(), Coding::Identity)),
            State::Begun { beginning: all, .. } if all.is_empty() => Ok((Vec::new(), Coding::Identity)),
            State::Begun { beginning: all, .. } => Ok((vec![all.into()], Coding::Identity)),
            State::Compressing(compressor) => Ok((compressor.finish()?.into_chunks(), self.coding)),
            State::Failed(error) => Err(error),
        }
    }

    /// Writes to the compressor; begins it if need be.
    fn compress(&mut self, chunk: &[u8]) -> io::Result<()> {
        if let State::Begun { start, effort, beginning } = &mut self.state {
            if beginning.len() + chunk.len() < WORTHWHILE {
                beginning.extend_from_slice(chunk);
                return Ok(());
            }
            let mut compressor = start(*effort)?;
            compressor.write_all(beginning)?;
            self.state = State::Compressing(compressor);
        }
        if let State::Compressing(compressor) = &mut self.state {
            compressor.write_all(chunk)?;
        }
        Ok(())
    }
}

impl Sink for Compress {
    fn buffer(&mut self) -> Vec<u8> {
        if let State::Plain(chunks) = &mut self.state { chunks.buffer() } else { Vec::new() }
    }

    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        if let State::Plain(chunks) = &mut self.state {
            chunks.chunk(buffer);
        } else if let Err(error) = self.compress(buffer) {
            self.state = State::Failed(error);
        }
    }
}

#[cfg(test)]
mod tests;
