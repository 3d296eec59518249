//! Content codings: the pieces of an exposition in, those of a body out. In memory; nothing here touches a device.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "zstd")]
mod zstd;

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;

use crate::encode::{PIECE, Sink};

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

/// What this build compresses with, the cheaper first (`cargo bench --bench scrape` measures it).
const TABLE: &[(Coding, Start)] = &[
    #[cfg(feature = "zstd")]
    (Coding::Zstd, zstd::start),
    #[cfg(feature = "gzip")]
    (Coding::Gzip, gzip::start),
];

type Start = fn() -> io::Result<Box<dyn Compressor>>;

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

/// A body in the making: compresses the pieces of an exposition as they come, so that the whole is never in memory
/// uncompressed.
pub struct Compress {
    coding: Coding,
    state: State,
}

enum State {
    /// The pieces are the body.
    Plain(Vec<Bytes>),
    /// Nothing is known yet but a beginning that is too small to be worth it, if it is all.
    Begun(Vec<u8>),
    Compressing(Box<dyn Compressor>),
    Failed(io::Error),
}

/// A stream that compresses into pieces.
trait Compressor: Write + Send {
    /// Ends the stream.
    fn finish(self: Box<Self>) -> io::Result<Cut>;
}

impl Compress {
    /// Begins a body. What this build has no compressor for is not compressed.
    pub fn new(coding: Coding) -> Self {
        let has_it = TABLE.iter().any(|(row, _)| *row == coding);
        let (coding, state) = if has_it {
            (coding, State::Begun(Vec::new()))
        } else {
            (Coding::Identity, State::Plain(Vec::new()))
        };
        Compress { coding, state }
    }

    /// The body, and what it is compressed with: nothing, if it is small.
    ///
    /// # Errors
    ///
    /// Those of the compressor, which is short of memory.
    pub fn finish(self) -> io::Result<(Vec<Bytes>, Coding)> {
        match self.state {
            State::Plain(pieces) => Ok((pieces, Coding::Identity)),
            State::Begun(all) if all.is_empty() => Ok((Vec::new(), Coding::Identity)),
            State::Begun(all) => Ok((vec![all.into()], Coding::Identity)),
            State::Compressing(compressor) => Ok((compressor.finish()?.into_pieces(), self.coding)),
            State::Failed(error) => Err(error),
        }
    }

    /// Writes to the compressor; begins it if need be.
    fn compress(&mut self, piece: &[u8]) -> io::Result<()> {
        if let State::Begun(beginning) = &mut self.state {
            if beginning.len() + piece.len() < WORTHWHILE {
                beginning.extend_from_slice(piece);
                return Ok(());
            }
            let row = TABLE.iter().find(|(row, _)| *row == self.coding);
            let (_, start) = row.ok_or(io::ErrorKind::Unsupported)?;
            let mut compressor = start()?;
            compressor.write_all(beginning)?;
            self.state = State::Compressing(compressor);
        }
        if let State::Compressing(compressor) = &mut self.state {
            compressor.write_all(piece)?;
        }
        Ok(())
    }
}

impl Sink for Compress {
    fn piece(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        if let State::Plain(pieces) = &mut self.state {
            pieces.push(piece.into());
            return Vec::new();
        }
        if let Err(error) = self.compress(&piece) {
            self.state = State::Failed(error);
        }
        piece.clear();
        piece
    }
}

/// Cuts what a compressor writes into pieces.
#[derive(Default)]
struct Cut {
    piece: Vec<u8>,
    pieces: Vec<Bytes>,
}

impl Cut {
    fn into_pieces(mut self) -> Vec<Bytes> {
        if !self.piece.is_empty() {
            self.pieces.push(self.piece.into());
        }
        self.pieces
    }
}

impl Write for Cut {
    fn write(&mut self, compressed: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.pieces.push(mem::take(&mut self.piece).into());
        }
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(PIECE);
        }
        let taken = compressed.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&compressed[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
