//! Catches panics of foreign code: the host program's subscriber, its layers, and the values that it prints.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::Poll;

use crate::util::error::cut;

/// Returns the result of the call, or `None` if it panics.
///
/// The panic hook still runs. A program built with `panic = "abort"` still aborts.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    let payload = match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(returned) => return Some(returned),
        Err(payload) => payload,
    };
    // The payload is foreign too, and its drop may panic.
    if let Err(next) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
    None
}

/// Completes with the future's result, or with `None` if a poll panics.
pub(crate) async fn caught_in_polls<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// Returns the message of a panic, cut for the log, and drops its payload.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = cut(text.unwrap_or("panic without a message"));
    caught(|| drop(payload));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics with another value of this type when dropped.
    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic::panic_any(PanicsOnDrop);
        }
    }

    /// Such a panic ended the thread that drives the server.
    #[test]
    fn catches_a_panic_whose_payload_panics() {
        assert_eq!(caught(|| panic::panic_any(PanicsOnDrop)), None::<()>);
    }

    /// Such a panic of one collector made the scrape of all registries a 500.
    #[test]
    fn reads_the_message_of_a_panic_whose_payload_panics() {
        assert_eq!(panic_message(Box::new(PanicsOnDrop)), "panic without a message");
    }

    #[test]
    fn message_of_a_panic_has_a_maximum_length() {
        assert_eq!(panic_message(Box::new("\u{e9}".repeat(10_000))), "\u{e9}".repeat(1000));
    }
}
