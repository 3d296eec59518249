//! What a connection is doing, which hyper does not tell: its service and its I/O report events here, and the connection
//! limit reads the phase that follows.

use std::mem::{discriminant, replace};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::phase::{Deadlines, Event, Evictable, GracePeriods, Phase, Phases};
use crate::scrape::Delivery;

/// What the connections of a server and its connection limit tell one another.
#[derive(Debug, Default)]
pub(crate) struct AtLimit {
    /// Notified when a connection may have become one to evict.
    pub(crate) changed: Notify,
    /// Whether the last newcomer found the limit reached.
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
    /// That of the response that is being written.
    delivery: Option<Delivery>,
}

impl Activity {
    /// That of a connection which has just been accepted.
    pub(crate) fn new(at_limit: Arc<AtLimit>) -> Self {
        let inner = Inner { phases: Phases::new(Instant::now()), delivery: None };
        Activity { inner: Mutex::new(inner), at_limit }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    pub(super) fn phase(&self) -> Phase {
        self.inner().phases.phase()
    }

    /// Reports an event. Returns the phase that follows.
    pub(crate) fn on(&self, event: Event) -> Phase {
        let mut inner = self.inner();
        let before = inner.phases.phase();
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

    /// A response begins. Its delivery is complete once it is written.
    pub(crate) fn response_begun(&self, delivery: Option<Delivery>, closes: bool) {
        let before = replace(&mut self.inner().delivery, delivery);
        drop(before);
        self.on(Event::ResponseBegun { closes });
    }

    /// Whether its response counts among what is unsent.
    pub(crate) fn holds_unsent(&self) -> bool {
        self.inner().delivery.is_some()
    }

    /// Whether responses are to end their connections, because newcomers want them.
    pub(super) fn limit_is_reached(&self) -> bool {
        self.at_limit.reached.load(Ordering::Relaxed)
    }

    /// When the wait for a head or for the next request ends.
    pub(super) fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        self.inner().phases.read_deadline(deadlines)
    }

    /// When it may be evicted, and why.
    pub(crate) fn evictable(&self, grace: GracePeriods) -> [Option<Evictable>; 2] {
        self.inner().phases.evictable(grace)
    }

    /// Claims it for a newcomer. False if it may not be evicted, which another thread may have changed meanwhile.
    pub(crate) fn evict(&self, grace: GracePeriods) -> bool {
        self.inner().phases.evict(grace, Instant::now())
    }
}
