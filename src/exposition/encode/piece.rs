//! The output, cut into pieces.
//!
//! One growing buffer would be copied at each doubling and peak at three times its size; pieces of one size
//! are never copied, and those of one exposition serve the next.

use std::hint::black_box;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::line::{self, Line};

/// The capacity of a piece, in bytes. Only lines that are written together, or one of them, make a longer piece.
pub const PIECE: usize = 64 * 1024;

/// Takes an exposition piece by piece.
pub trait Sink {
    /// A buffer to begin with, whatever is in it.
    fn begin(&mut self) -> Vec<u8>;

    /// Takes the next piece, never an empty one, and gives back a buffer to go on with, whatever is in it: the same
    /// one, as it is, if the sink is done with it, or another, which may be without capacity, if it keeps the piece.
    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8>;

    /// Takes back the buffer that is left.
    fn end(&mut self, buffer: Vec<u8>);
}

/// Keeps the pieces, as they are, to be sent.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Vec<u8>>,
    spares: Spares,
}

impl Pieces {
    /// Of buffers from among the spares, to which they return when they have been sent.
    pub fn reusing(spares: &Spares) -> Self {
        Self { pieces: Vec::new(), spares: spares.clone() }
    }

    /// The pieces in their order; the exposition is their concatenation.
    pub fn into_inner(self) -> Vec<Bytes> {
        let Self { pieces, spares } = self;
        if pieces.len() > Spares::MOST {
            return pieces.into_iter().map(Bytes::from).collect();
        }
        let owned = |buffer| Bytes::from_owner(Lent { buffer, spares: spares.clone() });
        pieces.into_iter().map(owned).collect()
    }
}

impl Sink for Pieces {
    fn begin(&mut self) -> Vec<u8> {
        self.spares.take()
    }

    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
        self.pieces.push(piece);
        self.spares.take()
    }

    fn end(&mut self, buffer: Vec<u8>) {
        self.spares.give_back(buffer);
    }
}

/// Buffers of pieces that have been sent, for the next exposition: the allocator would give their memory back to the
/// system, and fetching it anew, page by page, takes half as long as encoding histograms.
///
/// They are few, and none is kept of an exposition that takes more: its pieces are to lie where its families were.
#[derive(Clone, Debug, Default)]
pub struct Spares(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spares {
    /// Two mebibytes: some 20,000 series.
    const MOST: usize = 32;

    /// One of them, or one without capacity.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.buffers().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers();
        if buffers.len() < Self::MOST && buffer.capacity() == PIECE {
            buffers.push(buffer);
        }
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock()
    }
}

/// A piece on its way.
struct Lent {
    buffer: Vec<u8>,
    spares: Spares,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spares.give_back(mem::take(&mut self.buffer));
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
        Self { piece: sink.begin(), filled: 0, sink }
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
        self.sink.end(self.piece);
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
        fn begin(&mut self) -> Vec<u8> {
            Vec::new()
        }
        fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
            self.0.push((piece.len(), piece.capacity()));
            piece
        }
        fn end(&mut self, _: Vec<u8>) {}
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

    fn exposition(spares: &Spares, pieces: usize) -> Vec<Bytes> {
        let mut sink = Pieces::reusing(spares);
        let mut output = Output::new(&mut sink);
        for at in 0..pieces {
            output.line(|line| line.put(&[b'a' + at as u8 % 26; PIECE]));
        }
        output.finish();
        sink.into_inner()
    }

    fn addresses(pieces: &[Bytes]) -> Vec<*const u8> {
        let mut addresses: Vec<_> = pieces.iter().map(|piece| piece.as_ptr()).collect();
        addresses.sort_unstable();
        addresses
    }

    #[test]
    fn the_buffers_of_what_has_been_sent_serve_the_next_exposition() {
        let spares = Spares::default();
        let first = exposition(&spares, Spares::MOST);
        let (before, sent) = (addresses(&first), first.clone());
        drop(first);
        // Somebody reads them still.
        assert_eq!(spares.buffers().len(), 0);
        drop(sent);
        assert_eq!(spares.buffers().len(), Spares::MOST);
        let second = exposition(&spares, Spares::MOST);
        assert_eq!(addresses(&second), before);
        // Nothing is left of what was in them.
        let short = exposition(&spares, 0);
        assert!(short.is_empty());
        let mut sink = Pieces::reusing(&spares);
        drop(second);
        let mut output = Output::new(&mut sink);
        output.line(|line| line.put(b"up 1\n"));
        output.finish();
        assert_eq!(sink.into_inner(), ["up 1\n"]);
        assert_eq!(spares.buffers().len(), Spares::MOST);
    }

    #[test]
    fn spares_are_few_and_of_one_size() {
        let spares = Spares::default();
        let [one, other] = [(); 2].map(|()| exposition(&spares, Spares::MOST));
        drop((one, other));
        assert_eq!(spares.buffers().len(), Spares::MOST);
        // Takes the spares, and gives none back.
        drop(exposition(&spares, Spares::MOST + 1));
        assert_eq!(spares.buffers().len(), 0);
        let mut sink = Pieces::reusing(&spares);
        let mut output = Output::new(&mut sink);
        output.line(|line| line.put(&[0; PIECE + 1]));
        output.finish();
        drop(sink.into_inner());
        assert_eq!(spares.buffers().len(), 0);
    }
}
