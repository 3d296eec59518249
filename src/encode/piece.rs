//! The output, cut into pieces.
//!
//! One growing buffer would be copied at each doubling and peak at three times its size; pieces of one size
//! are never copied, and the allocator has the next one at hand.

use std::hint::black_box;
use std::mem;

use bytes::Bytes;

use super::line::{self, Line};

/// The capacity of a piece, in bytes. Only lines that are written together, or one of them, make a longer piece.
pub const PIECE: usize = 64 * 1024;

/// Takes an exposition piece by piece.
pub trait Sink {
    /// Takes the next piece, never an empty one, and gives back a buffer to go on with, whatever is in it: the same
    /// one, as it is, if the sink is done with it, or a new one without capacity if it keeps the piece.
    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8>;
}

/// Keeps the pieces, as they are, to be sent.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    pieces: Vec<Bytes>,
}

impl Pieces {
    /// The pieces in their order; the exposition is their concatenation.
    pub fn into_inner(self) -> Vec<Bytes> {
        self.pieces
    }
}

impl Sink for Pieces {
    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
        self.pieces.push(Bytes::from(piece));
        Vec::new()
    }
}

/// So many bytes of a piece are made ready to be written to at once: a small exposition does not touch a whole piece, and
/// they are still in the cache when they are written to.
const STEP: usize = 8 * 1024;

/// The piece that is being filled, and where it goes when it is full.
pub(super) struct Output<'s, S> {
    /// Ready to be written to; what is written are the first `filled` bytes.
    piece: Vec<u8>,
    filled: usize,
    sink: &'s mut S,
}

impl<'s, S: Sink> Output<'s, S> {
    pub(super) fn new(sink: &'s mut S) -> Self {
        Self { piece: Vec::new(), filled: 0, sink }
    }

    /// Writes a line, or some, between which no piece ends. If there is too little room, it is written again.
    #[inline(always)]
    pub(super) fn line(&mut self, write: impl Fn(&mut Line<'_>)) {
        loop {
            let room = self.piece.get_mut(self.filled..).unwrap_or_default();
            // Otherwise the compiler takes the making of numbers, for any magnitude, out of what may be repeated.
            match line::within(room, black_box(&write)) {
                Ok(bytes) => return self.filled += bytes,
                Err(missing) => self.make_room(missing),
            }
        }
    }

    pub(super) fn finish(mut self) {
        self.hand_on();
    }

    #[cold]
    fn make_room(&mut self, missing: usize) {
        let room = self.piece.len() - self.filled + missing;
        if self.filled > 0 && self.filled + room > PIECE {
            self.hand_on();
        }
        // A line may take more than a piece.
        let most = (self.filled + room).max(PIECE);
        let ready = (self.filled + room).max(self.piece.len() + STEP).min(most);
        self.piece.truncate(most);
        self.piece.reserve_exact(most - self.piece.len());
        self.piece.resize(ready, 0);
    }

    fn hand_on(&mut self) {
        self.piece.truncate(self.filled);
        if !self.piece.is_empty() {
            self.piece = self.sink.piece(mem::take(&mut self.piece));
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece's length and its capacity.
    type Cut = (usize, usize);

    /// Gives each buffer back, as a compressor does.
    #[derive(Default)]
    struct Cuts(Vec<Cut>);

    impl Sink for Cuts {
        fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
            self.0.push((piece.len(), piece.capacity()));
            piece
        }
    }

    #[test]
    fn a_piece_is_handed_on_before_it_would_grow() {
        let big = 4 * PIECE;
        let rows: [(&[usize], &[Cut]); 6] = [
            (&[], &[]),
            (&[0, 1], &[(1, PIECE)]),
            (&[PIECE], &[(PIECE, PIECE)]),
            (&[PIECE, 1], &[(PIECE, PIECE), (1, PIECE)]),
            (&[PIECE - 1, 2], &[(PIECE - 1, PIECE), (2, PIECE)]),
            // A buffer that had to be bigger once may come back; it is not filled beyond PIECE again.
            (&[1, big, PIECE, 1], &[(1, PIECE), (big, big), (PIECE, big), (1, big)]),
        ];
        for (writes, expected) in rows {
            let mut cuts = Cuts::default();
            let mut output = Output::new(&mut cuts);
            for &bytes in writes {
                output.line(|line| line.put(&vec![0; bytes]));
            }
            output.finish();
            assert_eq!(cuts.0, expected, "{writes:?}");
        }
    }

    #[test]
    fn pieces_are_kept_without_a_copy() {
        let piece = b"up 1\n".to_vec();
        let address = piece.as_ptr();
        let mut pieces = Pieces::default();
        assert_eq!(pieces.piece(piece).capacity(), 0);
        let pieces = pieces.into_inner();
        assert_eq!(pieces, ["up 1\n"]);
        assert_eq!(pieces[0].as_ptr(), address);
    }
}
