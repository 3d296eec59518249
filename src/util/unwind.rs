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
    let payload = match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(returned) => return Some(returned),
        Err(payload) => payload,
    };
    // What was panicked with is not ours, either, and its drop may panic with the like of it.
    if let Err(next) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
    None
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

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics with another one of its kind when it is dropped.
    struct Hydra;

    impl Drop for Hydra {
        fn drop(&mut self) {
            panic::panic_any(Hydra);
        }
    }

    /// It ended the thread that drives the server.
    #[test]
    fn catches_a_panic_whose_payload_panics() {
        assert_eq!(caught(|| panic::panic_any(Hydra)), None::<()>);
    }
}
