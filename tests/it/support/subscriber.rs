//! A subscriber of the host's that panics at each of our events, one for the process.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::span;

use super::CHILD;

/// Whether it does yet.
pub(crate) static ARMED: AtomicBool = AtomicBool::new(false);

/// What it has panicked at.
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
        panic!("this panic is the test's: {}", message.0)
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

/// How often it has panicked at this.
pub(crate) fn panicked_at(message: &str) -> usize {
    EVENTS.lock().unwrap().iter().filter(|event| event.contains(message)).count()
}

/// Sets it for this process, if this is a child of a test.
pub(crate) fn set() -> bool {
    let is_child = std::env::var(CHILD).is_ok();
    if is_child {
        tracing::subscriber::set_global_default(Panics).unwrap();
    }
    is_child
}
