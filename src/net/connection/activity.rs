//! The activity of a connection, which hyper does not expose. The connection's service and I/O report events, and the
//! connection limit reads the resulting phase.

use std::mem::{discriminant, replace};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::phase::{Deadlines, Event, Evictable, GracePeriods, Phase, Phases};
use crate::scrape::Delivery;

/// State that a server's connections share with its connection limit.
#[derive(Debug, Default)]
pub(crate) struct AtLimit {
    /// Notified when a connection may have become evictable.
    pub(crate) changed: Notify,
    /// Whether the limit was reached when the last newcomer arrived.
    pub(crate) reached: AtomicBool,
}

/// The phases of one connection, shared between its task and the connection limit.
#[derive(Debug)]
pub(crate) struct Activity {
    inner: Mutex<Inner>,
    at_limit: Arc<AtLimit>,
}

#[derive(Debug)]
struct Inner {
    phases: Phases,
    /// The delivery of the response in progress.
    delivery: Option<Delivery>,
}

impl Activity {
    /// Creates the activity of a connection that has just been accepted.
    pub(crate) fn new(at_limit: Arc<AtLimit>) -> Self {
        let inner = Inner { phases: Phases::new(Instant::now()), delivery: None };
        Activity { inner: Mutex::new(inner), at_limit }
    }

    pub(super) fn phase(&self) -> Phase {
        self.inner.lock().phases.phase
    }

    /// Reports an event. Returns the resulting phase.
    pub(crate) fn on(&self, event: Event) -> Phase {
        let mut inner = self.inner.lock();
        let before = inner.phases.phase;
        let after = inner.phases.on(event, Instant::now());
        let is_written = matches!((before, after), (Phase::Writing { .. }, Phase::Waiting { .. }));
        let delivery = if is_written { inner.delivery.take() } else { None };
        drop(inner);
        if discriminant(&before) != discriminant(&after) && !matches!(after, Phase::Answering { .. }) {
            self.at_limit.changed.notify_one();
        }
        if let Some(delivery) = delivery {
            delivery.complete();
        }
        after
    }

    /// Reports that a response begins. Its delivery completes when the response is written.
    pub(crate) fn response_begun(&self, delivery: Option<Delivery>) {
        let before = replace(&mut self.inner.lock().delivery, delivery);
        drop(before);
        self.on(Event::ResponseBegun);
    }

    /// Returns whether this connection's response counts against the budget of unsent bytes.
    pub(crate) fn holds_unsent(&self) -> bool {
        self.inner.lock().delivery.is_some()
    }

    /// Returns whether responses must close their connections, because newcomers wait.
    pub(super) fn limit_is_reached(&self) -> bool {
        self.at_limit.reached.load(Ordering::Relaxed)
    }

    /// Returns when the wait for a head or for the next request ends.
    pub(super) fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        self.inner.lock().phases.read_deadline(deadlines)
    }

    /// Returns when this connection may be evicted, and why.
    pub(crate) fn evictable(&self, grace: GracePeriods) -> [Option<Evictable>; 2] {
        self.inner.lock().phases.evictable(grace)
    }

    /// Evicts this connection for a newcomer. Returns false if it is no longer evictable, because another thread may
    /// have changed its phase meanwhile.
    pub(crate) fn evict(&self, grace: GracePeriods) -> bool {
        self.inner.lock().phases.evict(grace, Instant::now())
    }
}
