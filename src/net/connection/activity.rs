//! What a connection is doing, which hyper tells nobody: its service and its I/O report it here, and the connection limit
//! reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Deadlines;
use super::phase::{Event, Evictable, GracePeriods, Phase, Phases};
use crate::scrape::{Receipt, Unsent};

/// What the connections of a server and its connection limit tell one another.
#[derive(Debug, Default)]
pub(crate) struct AtLimit {
    /// Notified when a connection may have become one to evict.
    pub(crate) changed: Notify,
    /// Whether the last newcomer found the limit reached.
    pub(crate) reached: AtomicBool,
}

/// The phases of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    at_limit: Arc<AtLimit>,
}

#[derive(Debug)]
struct State {
    phases: Phases,
    /// Of the response that is being written.
    receipt: Option<Receipt>,
    /// Counts it among what is unsent.
    unsent: Option<Unsent>,
}

impl Activity {
    /// That of a connection which has just been accepted.
    pub(crate) fn new(at_limit: Arc<AtLimit>) -> Self {
        let state = State { phases: Phases::new(Instant::now()), receipt: None, unsent: None };
        Activity { state: Mutex::new(state), at_limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn on(&self, event: Event) -> Phase {
        let mut state = self.state();
        state.phases.on(event, Instant::now());
        state.phases.phase()
    }

    /// When it may be evicted, and why.
    pub(crate) fn evictable(&self, grace: GracePeriods) -> [Option<Evictable>; 2] {
        self.state().phases.evictable(grace)
    }

    /// Claims it for a newcomer. False if it may not be evicted, which another thread may have changed meanwhile.
    pub(crate) fn evict(&self, grace: GracePeriods) -> bool {
        self.state().phases.evict(grace, Instant::now())
    }

    /// Whether a stop would cut something off: a response, or what its client needs to read it.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state().phases.phase(), Phase::Waiting { .. } | Phase::Evicted { .. })
    }

    /// Whether responses are to end their connections, because newcomers want them.
    pub(super) fn limit_is_reached(&self) -> bool {
        self.at_limit.reached.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn limit_reached(&self, reached: bool) {
        self.at_limit.reached.store(reached, Ordering::Relaxed);
    }

    /// Whether the client was cut off amid a response.
    pub(super) fn was_evicted_amid_a_response(&self) -> bool {
        matches!(self.state().phases.phase(), Phase::Evicted { amid_response: true })
    }

    pub(crate) fn hello_complete(&self) {
        self.on(Event::HelloComplete);
    }

    pub(crate) fn handshake_complete(&self) {
        self.on(Event::HandshakeComplete);
    }

    /// A request's head is here; `unread` if something follows that nobody reads. `ends_with_its_client` if the response is
    /// for nobody else. Returns whether it is to be answered: false if the connection is evicted.
    pub(crate) fn head_complete(&self, unread: bool, ends_with_its_client: bool) -> bool {
        let phase = self.on(Event::HeadComplete { unread, ends_with_its_client });
        matches!(phase, Phase::Answering { .. })
    }

    /// There is a response to write. Its receipt is handed in once it is written, and until then it is unsent. `closes` if the server ends the
    /// connection with it, though the client has not asked for it.
    pub(crate) fn response_begun(&self, receipt: Option<Receipt>, unsent: Option<Unsent>, closes: bool) {
        let mut state = self.state();
        state.phases.on(Event::ResponseBegun { closes }, Instant::now());
        state.receipt = receipt;
        let before = std::mem::replace(&mut state.unsent, unsent);
        drop(state);
        drop(before);
        self.at_limit.changed.notify_one();
    }

    /// The client's side has taken so many bytes of the response.
    pub(crate) fn taken(&self, bytes: usize) {
        self.on(Event::Taken(bytes));
    }

    /// hyper has the whole body.
    pub(crate) fn handed_over(&self) {
        self.on(Event::HandedOver);
    }

    /// Everything that hyper had to write is written. `head_begun` if the bytes of another head are here.
    pub(crate) fn flushed(&self, head_begun: bool) {
        let mut state = self.state();
        let before = state.phases.phase();
        state.phases.on(Event::Flushed { head_begun }, Instant::now());
        if before == state.phases.phase() {
            return;
        }
        let (receipt, unsent) = (state.receipt.take(), state.unsent.take());
        drop(state);
        drop(unsent);
        self.at_limit.changed.notify_one();
        if let Some(receipt) = receipt {
            receipt.delivered();
        }
    }

    /// Whether a response is being made that ends when the client closes its side.
    pub(super) fn ends_with_its_client(&self) -> bool {
        self.state().phases.phase() == Phase::Answering { ends_with_its_client: true }
    }

    /// Whether what the client sends, its end included, is not read before the response is written.
    pub(super) fn input_waits(&self) -> bool {
        matches!(
            self.state().phases.phase(),
            Phase::Answering { ends_with_its_client: false } | Phase::Writing { .. }
        )
    }

    pub(super) fn received(&self) {
        self.on(Event::Received);
    }

    /// A read has found nothing. Returns when the wait for a head or for the next request ends.
    pub(super) fn input_awaited(&self, deadlines: &Deadlines) -> Option<Instant> {
        let mut state = self.state();
        state.phases.on(Event::InputAwaited, Instant::now());
        state.phases.read_deadline(deadlines)
    }

    /// The server closes its side. Returns whether it lingers, because the client may still be sending: a body, a refused
    /// head, another request.
    pub(super) fn closing(&self) -> bool {
        matches!(self.on(Event::Closing), Phase::Lingering { .. })
    }
}
