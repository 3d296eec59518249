//! Keeps a panic in foreign code from ending what must go on: in the host program's subscriber, its layers, and what they print.

use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;

/// Returns what the call returns, or none if it panics.
///
/// The panic hook is called nevertheless, and a program that is built with `panic = "abort"` ends.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    let payload = match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(returned) => return Some(returned),
        Err(payload) => payload,
    };
    // The payload is foreign, too, and its drop may panic with another one.
    if let Err(next) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
    None
}

/// The same for a future: it completes with none if it panics while it is polled.
pub(crate) async fn caught_in_polls<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// The message of a panic.
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
    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic::panic_any(PanicsOnDrop);
        }
    }

    /// It ended the thread that drives the server.
    #[test]
    fn catches_a_panic_whose_payload_panics() {
        assert_eq!(caught(|| panic::panic_any(PanicsOnDrop)), None::<()>);
    }
}
