//! Keeps the buffers of sent chunks to reuse them in the next exposition.
//!
//! Without the pool the allocator returns their memory to the system. The page faults of new memory take 6 % of the CPU
//! time of a gather and its encoding with 10,000 series.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::exposition::chunk::{CHUNK_SIZE, Sink};

/// A pool of a few buffers of one size.
///
/// The buffers of a bigger exposition are not kept, because its chunks reuse the memory of its dropped families.
#[derive(Clone, Debug, Default)]
pub struct BufferPool(Arc<Mutex<Vec<Vec<u8>>>>);

impl BufferPool {
    /// The number of buffers, which is 2 MiB or some 20,000 series.
    const MOST: usize = 32;
}

/// A sink that keeps the chunks in buffers of a pool. The buffers return to the pool once they are sent.
#[derive(Debug, Default)]
pub struct PooledChunks {
    chunks: Vec<Vec<u8>>,
    pool: BufferPool,
}

impl PooledChunks {
    /// Returns an empty sink that takes its buffers from this pool.
    pub fn new(pool: &BufferPool) -> Self {
        Self { chunks: Vec::new(), pool: pool.clone() }
    }

    /// Returns the chunks in order. Their concatenation is the exposition.
    pub fn into_inner(self) -> Vec<Bytes> {
        let Self { chunks, pool } = self;
        if chunks.len() > BufferPool::MOST {
            return chunks.into_iter().map(Bytes::from).collect();
        }
        let lent = |buffer| Bytes::from_owner(Lent { buffer, pool: pool.clone() });
        chunks.into_iter().map(lent).collect()
    }
}

impl Sink for PooledChunks {
    fn buffer(&mut self) -> Vec<u8> {
        self.pool.0.lock().pop().unwrap_or_default()
    }

    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        self.chunks.push(mem::take(buffer));
    }
}

/// A chunk that is being sent.
struct Lent {
    buffer: Vec<u8>,
    pool: BufferPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffers = self.pool.0.lock();
        if buffers.len() < BufferPool::MOST && self.buffer.capacity() == CHUNK_SIZE {
            buffers.push(mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills chunks like the encoder. Returns them with the number of reused buffers.
    fn exposition(pool: &BufferPool, chunks: usize) -> (Vec<Bytes>, usize) {
        let (mut sink, mut reused) = (PooledChunks::new(pool), 0);
        for at in 0..chunks {
            let mut buffer = sink.buffer();
            reused += usize::from(buffer.capacity() > 0);
            buffer.clear();
            buffer.reserve_exact(CHUNK_SIZE);
            buffer.resize(CHUNK_SIZE, b'a' + at as u8 % 26);
            sink.chunk(&mut buffer);
        }
        (sink.into_inner(), reused)
    }

    #[test]
    fn reuses_buffers_once_they_are_sent() {
        let pool = BufferPool::default();
        let (first, reused) = exposition(&pool, BufferPool::MOST);
        assert_eq!(reused, 0);
        let sent = first.clone();
        drop(first);
        assert_eq!(exposition(&pool, 1).1, 0, "a clone still holds the buffers");
        let expected = sent.concat();
        drop(sent);
        let (second, reused) = exposition(&pool, BufferPool::MOST);
        assert_eq!(reused, BufferPool::MOST);
        assert_eq!(second.concat(), expected);
    }

    #[test]
    fn pool_is_small_and_its_buffers_have_one_size() {
        let pool = BufferPool::default();
        let both = [(); 2].map(|()| exposition(&pool, BufferPool::MOST));
        drop(both);
        // This exposition takes the buffers and returns none.
        assert_eq!(exposition(&pool, BufferPool::MOST + 1).1, BufferPool::MOST);
        assert_eq!(exposition(&pool, 1).1, 0);
        let mut sink = PooledChunks::new(&pool);
        // The buffer of the line before.
        assert_eq!(sink.buffer().capacity(), CHUNK_SIZE);
        sink.chunk(&mut vec![0; CHUNK_SIZE + 1]);
        drop(sink.into_inner());
        assert_eq!(exposition(&pool, 1).1, 0);
    }
}
