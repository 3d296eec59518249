//! A global subscriber that panics at each of our events.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::span;

use super::CHILD;

/// Whether the subscriber panics.
pub(crate) static ARMED: AtomicBool = AtomicBool::new(false);

/// The messages at which it has panicked.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("prometheus_hyper")
    }
    fn event(&self, event: &tracing::Event<'_>) {
        if !ARMED.load(Ordering::SeqCst) {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        EVENTS.lock().unwrap().push(message.0.clone());
        panic!("expected panic of this test: {}", message.0)
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Returns how often the subscriber has panicked at this message.
pub(crate) fn panicked_at(message: &str) -> usize {
    EVENTS.lock().unwrap().iter().filter(|event| event.contains(message)).count()
}

/// Sets the subscriber in a child process of a test. Returns whether this is one.
pub(crate) fn set() -> bool {
    let is_child = std::env::var(CHILD).is_ok();
    if is_child {
        tracing::subscriber::set_global_default(Panics).unwrap();
    }
    is_child
}
