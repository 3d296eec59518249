//! The output, cut into pieces.
//!
//! One growing buffer would be copied at each doubling and peak at three times its size; pieces of one size
//! are never copied, and the allocator has the next one at hand.

use std::mem;

use bytes::Bytes;

/// The capacity of a piece, in bytes. Only a single line that is longer makes a longer piece.
pub const PIECE: usize = 64 * 1024;

/// Takes an exposition piece by piece.
pub trait Sink {
    /// Takes the next piece, never an empty one, and gives back an empty buffer to go on with: the same one,
    /// cleared, if the sink is done with it, or a new one without capacity if it keeps the piece.
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

/// The piece that is being filled, and where it goes when it is full.
pub(super) struct Output<'s, S> {
    piece: Vec<u8>,
    sink: &'s mut S,
}

impl<'s, S: Sink> Output<'s, S> {
    pub(super) fn new(sink: &'s mut S) -> Self {
        Self { piece: Vec::with_capacity(PIECE), sink }
    }

    /// A buffer that takes `bytes` more without growing.
    #[inline]
    pub(super) fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        if PIECE.saturating_sub(self.piece.len()) < bytes {
            self.turn(bytes);
        }
        &mut self.piece
    }

    pub(super) fn finish(self) {
        if !self.piece.is_empty() {
            self.sink.piece(self.piece);
        }
    }

    #[cold]
    fn turn(&mut self, bytes: usize) {
        if !self.piece.is_empty() {
            self.piece = self.sink.piece(mem::take(&mut self.piece));
        }
        // The buffer is empty, so this is an allocation and not a copy.
        self.piece.reserve_exact(bytes.max(PIECE));
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
        fn piece(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
            self.0.push((piece.len(), piece.capacity()));
            piece.clear();
            piece
        }
    }

    #[test]
    fn a_piece_is_handed_on_before_it_would_grow() {
        let big = 3 * PIECE;
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
                let piece = output.room(bytes);
                piece.resize(piece.len() + bytes, 0);
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
