//! Keeps a panic of code that is not ours from ending what must go on: the host's subscriber, its layers, and what they
//! print.

use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;

/// Returns what the call returns, or nothing if it panics.
///
/// The host's panic hook is called all the same, and a program that is built with `panic = "abort"` ends.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(call)).ok()
}

/// The same for a future: it completes with nothing if it panics while it is polled.
pub(crate) async fn caught_in_polls<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}
