//! I/O with deadlines and a write budget.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use super::head_end::HeadEnd;
use super::phase::{Deadlines, Event, Phase};
use crate::net::lingering_close::Linger;
use crate::net::stream::Io;

/// Maximum number of bytes that a connection writes in one poll. A client on the same machine takes megabytes as fast
/// as they are copied. Without this budget, a hundred such clients would delay all other tasks and timers of the
/// thread.
const BUDGET: usize = 64 * 1024;

/// Bytes that a connection has written in the current poll of its task. No other task writes to the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteBudget(Arc<AtomicUsize>);

impl WriteBudget {
    /// Resets the budget at the start of a poll. Returns whether the previous poll spent all of it.
    pub(super) fn renew(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) >= BUDGET
    }

    fn spend(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= BUDGET
    }
}

/// I/O that fails with [`io::ErrorKind::TimedOut`] when the client misses a deadline.
#[derive(Debug)]
pub(super) struct DeadlineIo<I: Io> {
    io: I,
    activity: Arc<Activity>,
    deadlines: Deadlines,
    budget: WriteBudget,
    head_end: HeadEnd,
    /// Two timers, because hyper answers a rejected head while it still reads.
    reading: Timer,
    writing: Timer,
    /// When the client stopped taking bytes of the response that is ready for it.
    write_blocked_since: Option<Instant>,
    /// Whether the client has closed its side, or missed the read deadline.
    input_is_over: bool,
    linger: Option<Linger>,
    /// Waker of a read that waits until the response is written.
    waiting_to_read: Option<Waker>,
}

/// A timer, created by the first wait.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Completes at the deadline. Never completes without one.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl<I: Io> DeadlineIo<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>, deadlines: Deadlines, budget: WriteBudget) -> Self {
        DeadlineIo {
            io,
            activity,
            deadlines,
            budget,
            head_end: HeadEnd::default(),
            reading: Timer::default(),
            writing: Timer::default(),
            write_blocked_since: None,
            input_is_over: false,
            linger: None,
            waiting_to_read: None,
        }
    }

    /// Returns pending if the budget is spent, until the next poll of the task. This must hold for a
    /// whole poll, in which hyper tries to write up to five times.
    fn poll_budget(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.budget.is_spent() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does what [`poll_written`](Self::poll_written) does, and counts the bytes.
    fn poll_counted(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.budget.spend(*bytes);
            self.activity.on(Event::Taken(*bytes));
        }
        self.poll_written(cx, written)
    }

    /// Turns a write that waits too long into an error, and resets the deadline on progress. Also used for flush and
    /// shutdown, because TLS buffers bytes that it has not written yet.
    fn poll_written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_blocked_since = None;
            return written;
        }
        let since = *self.write_blocked_since.get_or_insert_with(Instant::now);
        ready!(self.writing.poll_until(cx, since.checked_add(self.deadlines.write)));
        self.io.reset_on_drop();
        Poll::Ready(Err(timed_out("the client takes nothing of its response")))
    }
}

/// Resets the connection if its client had stopped reading before the eviction: that client will not read what the
/// kernel has buffered either.
impl<I: Io> Drop for DeadlineIo<I> {
    fn drop(&mut self) {
        if self.activity.phase() == (Phase::Evicted { amid_response: true }) {
            self.io.reset_on_drop();
        }
    }
}

impl<I: Io> AsyncRead for DeadlineIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.phase().input_waits() {
            self.waiting_to_read = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            // A TLS client may close without the closing alert. Requests and responses carry their own length, so
            // truncation cannot go unnoticed.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.input_is_over = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(result) => {
                match &buffer.filled()[before..] {
                    [] => self.input_is_over = true,
                    received => {
                        self.head_end.read(received);
                        self.activity.on(Event::Received);
                    }
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.activity.on(Event::InputAwaited);
                let deadline = self.activity.read_deadline(&self.deadlines);
                ready!(self.reading.poll_until(cx, deadline));
                self.input_is_over = true;
                Poll::Ready(Err(timed_out("the client sends no complete request")))
            }
        }
    }
}

impl<I: Io> AsyncWrite for DeadlineIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_budget(cx));
        let written = Pin::new(&mut self.io).poll_write(cx, &bytes[..bytes.len().min(BUDGET)]);
        self.poll_counted(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_budget(cx));
        let io = Pin::new(&mut self.io);
        let written = match within_budget(slices) {
            // A line with a label of 20 MB is one slice.
            [one] if one.len() > BUDGET => io.poll_write(cx, &one[..BUDGET]),
            some => io.poll_write_vectored(cx, some),
        };
        self.poll_counted(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.poll_written(cx, flushed))?;
        // hyper flushes its I/O only when it has nothing left to write.
        let head_begun = self.head_end.head_begun();
        self.activity.on(Event::Flushed { head_begun });
        if self.waiting_to_read.is_some() && !self.activity.phase().input_waits() {
            if let Some(reader) = self.waiting_to_read.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.poll_written(cx, shut))?;
            if self.input_is_over || !matches!(self.activity.on(Event::Closing), Phase::Lingering { .. }) {
                return Poll::Ready(Ok(()));
            }
        }
        let DeadlineIo { io, linger, .. } = &mut *self;
        linger.get_or_insert_with(Linger::new).poll(cx, io).map(Ok)
    }
}

/// Returns the leading slices that fit the budget, at least one. A head and the slice after it stay together.
fn within_budget<'s, 'b>(slices: &'s [io::IoSlice<'b>]) -> &'s [io::IoSlice<'b>] {
    let mut bytes = 0_usize;
    let more = slices.iter().enumerate().take_while(|(at, slice)| {
        let fits = *at == 0 || bytes < BUDGET && slice.len() <= BUDGET;
        bytes = bytes.saturating_add(slice.len());
        fits
    });
    &slices[..more.count()]
}

fn timed_out(sentence: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, sentence)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A hundred responses of 4 MB, sent by `serve`, delayed the timers of the host's runtime by 0.3 s.
    #[tokio::test]
    async fn yields_to_other_tasks_while_writing_a_large_response() {
        const SIZE: usize = 4 * 1024 * 1024;
        let deadline = Duration::from_secs(360);
        let deadlines = Deadlines { head: deadline, idle: deadline, write: deadline };
        // The last row is one line with a label of 20 MB.
        for (vectored, piece) in [(true, BUDGET), (true, 1000), (false, BUDGET), (true, SIZE)] {
            // The pipe can hold the whole response.
            let (mut client, server) = tokio::io::duplex(2 * SIZE);
            let activity = Arc::new(Activity::new(Arc::default()));
            let budget = WriteBudget::default();
            let mut io = DeadlineIo::new(server, activity, deadlines, budget.clone());
            let mut write = pin!(async {
                let bytes = vec![7; SIZE];
                let mut left = SIZE;
                while left > 0 {
                    left -= if vectored {
                        let slices: Vec<_> = bytes[..left].chunks(piece).map(io::IoSlice::new).collect();
                        io.write_vectored(&slices).await.unwrap()
                    } else {
                        io.write(&bytes[..left]).await.unwrap()
                    };
                }
            });
            let mut turns = 0;
            std::future::poll_fn(|cx| {
                turns += 1;
                budget.renew();
                write.as_mut().poll(cx)
            })
            .await;
            // A write may exceed the budget by up to one slice.
            assert!(turns >= SIZE / BUDGET / 2, "{turns} turns, vectored: {vectored}, in pieces of {piece}");
            let mut read = vec![0; SIZE];
            client.read_exact(&mut read).await.unwrap();
        }
    }

    /// hyper answers a rejected head while its client still sends.
    #[tokio::test(start_paused = true)]
    async fn write_deadline_ends_a_blocked_write_while_a_read_waits() {
        let (_client, server) = tokio::io::duplex(64);
        let activity = Arc::new(Activity::new(Arc::default()));
        let deadlines = Deadlines {
            head: Duration::from_secs(360),
            idle: Duration::from_secs(360),
            write: Duration::from_secs(30),
        };
        let (mut reader, mut writer) =
            tokio::io::split(DeadlineIo::new(server, activity, deadlines, WriteBudget::default()));
        let start = Instant::now();
        let write = async { (writer.write_all(&[0; 1024]).await, start.elapsed()) };
        let read = async { (reader.read(&mut [0; 8]).await, start.elapsed()) };
        let ((written, write), (heard, read)) = tokio::join!(write, read);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!((write, read), (deadlines.write, deadlines.head));
    }
}
