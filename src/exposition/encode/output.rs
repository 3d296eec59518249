//! Collects lines into chunks.

use std::hint::black_box;

use super::line::{self, Line};
use crate::exposition::chunk::{CHUNK_SIZE, Sink};

/// The number of bytes of a chunk that are zeroed at once.
///
/// A small exposition then does not touch a whole chunk, and zeroed bytes are still in the cache when they are written.
const STEP: usize = 8 * 1024;

/// The current chunk, and the sink for full chunks.
pub(super) struct Output<'s> {
    /// Zeroed bytes after the `filled` ones.
    chunk: Vec<u8>,
    filled: usize,
    sink: &'s mut dyn Sink,
}

impl<'s> Output<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self { chunk: Vec::new(), filled: 0, sink }
    }

    /// Writes one or more lines into one chunk. If they do not fit, `write` is called again with more space.
    #[inline(always)]
    pub(super) fn line(&mut self, write: impl Fn(&mut Line<'_>)) {
        loop {
            let unfilled = self.chunk.get_mut(self.filled..).unwrap_or_default();
            // Without `black_box` the compiler hoists the formatting of numbers out of the loop.
            match line::within(unfilled, black_box(&write)) {
                Ok(bytes) => return self.filled += bytes,
                Err(missing) => self.grow(missing),
            }
        }
    }

    pub(super) fn finish(mut self) {
        self.hand_on();
    }

    #[cold]
    fn grow(&mut self, missing: usize) {
        let needed = self.chunk.len() - self.filled + missing;
        if self.filled > 0 && self.filled + needed > CHUNK_SIZE {
            self.hand_on();
        }
        if self.chunk.capacity() == 0 {
            self.chunk = self.sink.buffer();
        }
        // A line may be longer than a chunk.
        let most = (self.filled + needed).max(CHUNK_SIZE);
        let ready = (self.filled + needed).max(self.chunk.len() + STEP).min(most);
        self.chunk.truncate(most);
        self.chunk.reserve_exact(most - self.chunk.len());
        self.chunk.resize(ready, 0);
    }

    fn hand_on(&mut self) {
        self.chunk.truncate(self.filled);
        if !self.chunk.is_empty() {
            self.sink.chunk(&mut self.chunk);
        }
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk's length and its capacity.
    type Cut = (usize, usize);

    /// A sink that does not take the buffers, as a compressor.
    #[derive(Default)]
    struct Cuts(Vec<Cut>);

    impl Sink for Cuts {
        fn chunk(&mut self, buffer: &mut Vec<u8>) {
            self.0.push((buffer.len(), buffer.capacity()));
        }
    }

    #[test]
    fn sends_a_chunk_before_it_grows() {
        let big = 4 * CHUNK_SIZE;
        let rows: [(&[usize], &[Cut]); 6] = [
            (&[], &[]),
            (&[0, 1], &[(1, CHUNK_SIZE)]),
            (&[CHUNK_SIZE], &[(CHUNK_SIZE, CHUNK_SIZE)]),
            (&[CHUNK_SIZE, 1], &[(CHUNK_SIZE, CHUNK_SIZE), (1, CHUNK_SIZE)]),
            (&[CHUNK_SIZE - 1, 2], &[(CHUNK_SIZE - 1, CHUNK_SIZE), (2, CHUNK_SIZE)]),
            // After a line longer than a chunk, the bigger buffer is filled up to CHUNK_SIZE only.
            (&[1, big, CHUNK_SIZE, 1], &[(1, CHUNK_SIZE), (big, big), (CHUNK_SIZE, big), (1, big)]),
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
}
