//! The lingering close of a connection whose client may still be sending. A reset would discard what the client has
//! not read yet: a response (RFC 9112, section 9.6), or the TLS alert with the reason for the rejection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long such a connection stays open. `MAX_BYTES` limits the input that is read meanwhile.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
const MAX_BYTES: usize = 256 * 1024;

/// Reads and discards input until the client closes, the time is over or the limit is reached.
#[derive(Debug)]
pub(crate) struct Linger {
    budget: usize,
    end: Pin<Box<Sleep>>,
}

impl Linger {
    /// Starts the time limit now.
    pub(crate) fn new() -> Self {
        Linger { budget: MAX_BYTES, end: Box::pin(sleep(LINGER)) }
    }

    /// Completes when the client has closed its side, or the time is over.
    pub(crate) fn poll<I: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, io: &mut I) -> Poll<()> {
        let mut scratch = [0; 4096];
        while self.budget > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.budget = self.budget.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        self.end.as_mut().poll(cx)
    }
}
