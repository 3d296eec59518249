//! What a connection is doing, which hyper tells nobody: its service and its I/O do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Deadlines;
use crate::scrape::Receipt;

/// How long a connection keeps its place from when its TLS handshake begins, and before that from accept: silence is
/// cheaper. Otherwise a burst of connects makes handshakes evict one another, for they take more than one read.
pub(crate) const HANDSHAKE_SHIELD: Duration = Duration::from_secs(1);
pub(super) const SILENT_SHIELD: Duration = Duration::from_millis(100);

/// So much is written in one turn, for the runtime may be the host's: a client on the same machine takes megabytes as fast as
/// they are copied, and a hundred of them one after the other, before a timer is looked at.
pub(super) const TURN: usize = 64 * 1024;

/// What a connection is doing: told by its service and its I/O, asked by the server that must choose whom to evict.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Told each time that a connection begins to wait or to write, for a server that waits for one it may evict.
    began_to_wait: Arc<Notify>,
    /// By its task since that was polled.
    written_in_turn: AtomicUsize,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether the client has sent what nobody will read: a request's body.
    unread: bool,
    /// Whether what is being answered is to end when the client closes its side.
    ends_with_its_client: bool,
    /// Whether what was read last ended with the blank line that ends a head; if not, another head has begun.
    at_blank_line: bool,
    /// The last bytes read, newest last: where reads part may be amid the blank line.
    tail: [u8; 3],
    /// To be handed in once the response is written.
    receipt: Option<Receipt>,
    /// Until when the TLS handshake, and the first request behind it, keep the place.
    shielded_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No complete request head since `since`; `head_since` is the time from which the head's limit counts, none
    /// before its first byte.
    Waiting { since: Instant, head_since: Option<Instant> },
    /// A request is being answered; there is no response yet.
    Answering,
    /// A response is on its way since `since`; `handed_over` once hyper has all of its body.
    Writing { since: Instant, handed_over: bool },
    /// The last answer is written, and what the client may still be sending is read and forgotten, since `since`.
    Lingering { since: Instant },
    /// Its place is another's.
    Evicted,
}

impl State {
    fn shield(&self) -> Option<Instant> {
        let waits = matches!(self.phase, Phase::Waiting { .. });
        self.shielded_until.filter(|until| waits && *until > Instant::now())
    }
}

impl Activity {
    /// That of a connection which has just been accepted.
    pub(crate) fn new(began_to_wait: Arc<Notify>) -> Self {
        let now = Instant::now();
        let phase = Phase::Waiting { since: now, head_since: Some(now) };
        Activity {
            state: Mutex::new(State {
                phase,
                unread: false,
                ends_with_its_client: false,
                at_blank_line: true,
                tail: [0; 3],
                receipt: None,
                shielded_until: None,
            }),
            began_to_wait,
            written_in_turn: AtomicUsize::new(0),
        }
    }

    /// Its task is polled. Whether a whole turn was written when it was polled before.
    pub(super) fn begin_turn(&self) -> bool {
        self.written_in_turn.swap(0, Ordering::Relaxed) >= TURN
    }

    /// In this turn; no other task writes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written_in_turn.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn turn_is_over(&self) -> bool {
        self.written_in_turn.load(Ordering::Relaxed) >= TURN
    }

    /// Since when the connection has waited without a complete request head, if it does.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Waiting { since, .. } | Phase::Lingering { since } => Some(since),
            Phase::Answering | Phase::Writing { .. } | Phase::Evicted => None,
        }
    }

    /// Until when its place is kept, though it waits, if it is.
    pub(crate) fn shielded_until(&self) -> Option<Instant> {
        self.state().shield()
    }

    /// Since when a response has been on its way, if one is.
    pub(crate) fn writing_since(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Writing { since, .. } => Some(since),
            Phase::Waiting { .. } | Phase::Answering | Phase::Lingering { .. } | Phase::Evicted => None,
        }
    }

    /// Takes its place away, unless it is being answered now and has not been for longer than a response may keep a
    /// place from others.
    pub(crate) fn evict(&self, write_timeout: Duration) -> bool {
        let mut state = self.state();
        let evictable = match state.phase {
            Phase::Waiting { .. } | Phase::Lingering { .. } => state.shield().is_none(),
            Phase::Writing { since, .. } => since.elapsed() >= write_timeout,
            Phase::Answering | Phase::Evicted => false,
        };
        if evictable {
            state.phase = Phase::Evicted;
        }
        evictable
    }

    /// Whether a stop would cut something off: an answer, or what its client needs to read it.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state().phase, Phase::Waiting { .. } | Phase::Evicted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its place is kept for so long from now, until its first request at the most.
    pub(crate) fn shield(&self, time: Duration) {
        self.state().shielded_until = Some(Instant::now() + time);
    }

    /// TLS is agreed upon: the first head's limit counts from here.
    pub(crate) fn secured(&self) {
        let mut state = self.state();
        if let Phase::Waiting { since, head_since } = &mut state.phase {
            let now = Instant::now();
            (*since, *head_since) = (now, Some(now));
        }
    }

    /// A request's head is here; `unread` if something follows that nobody will read. Whether it is to be answered.
    /// `ends_with_its_client` if the answer is for nobody else.
    pub(crate) fn head_complete(&self, unread: bool, ends_with_its_client: bool) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Evicted {
            return false;
        }
        state.phase = Phase::Answering;
        state.shielded_until = None;
        state.unread = unread;
        state.ends_with_its_client = ends_with_its_client;
        true
    }

    /// There is a response to write.
    pub(crate) fn response_begun(&self, receipt: Option<Receipt>) {
        let mut state = self.state();
        state.phase = Phase::Writing { since: Instant::now(), handed_over: false };
        state.receipt = receipt;
        drop(state);
        self.began_to_wait.notify_one();
    }

    /// hyper has the whole body.
    pub(crate) fn handed_over(&self) {
        if let Phase::Writing { handed_over, .. } = &mut self.state().phase {
            *handed_over = true;
        }
    }

    /// Everything that hyper had to write is written.
    pub(crate) fn flushed(&self) {
        let mut state = self.state();
        if let Phase::Writing { handed_over: true, .. } = state.phase {
            let now = Instant::now();
            // What came behind the last head and is no complete head is the beginning of the next.
            let head_since = (!state.at_blank_line).then_some(now);
            state.phase = Phase::Waiting { since: now, head_since };
            let receipt = state.receipt.take();
            drop(state);
            self.began_to_wait.notify_one();
            if let Some(receipt) = receipt {
                receipt.delivered();
            }
        }
    }

    /// Whether an answer is being made that ends when the client closes its side.
    pub(super) fn ends_with_its_client(&self) -> bool {
        let state = self.state();
        state.phase == Phase::Answering && state.ends_with_its_client
    }

    /// Whether what the client sends, its end among it, is to wait until the answer is written.
    pub(super) fn input_waits(&self) -> bool {
        let state = self.state();
        match state.phase {
            Phase::Answering => !state.ends_with_its_client,
            Phase::Writing { .. } => true,
            Phase::Waiting { .. } | Phase::Lingering { .. } | Phase::Evicted => false,
        }
    }

    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.state();
        for &byte in &bytes[bytes.len().saturating_sub(3)..] {
            state.tail.rotate_left(1);
            state.tail[2] = byte;
        }
        // httparse takes a bare LF for a line's end, too.
        state.at_blank_line = matches!(state.tail, [b'\n', b'\r', b'\n'] | [_, b'\n', b'\n']);
        if let Phase::Waiting { head_since: head_since @ None, .. } = &mut state.phase {
            *head_since = Some(Instant::now());
        }
    }

    /// When the wait for a head or for the next request is over, if it is one and it ends.
    pub(super) fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        match self.state().phase {
            Phase::Waiting { head_since: Some(since), .. } => since.checked_add(deadlines.head),
            Phase::Waiting { since, head_since: None } => since.checked_add(deadlines.idle),
            Phase::Answering | Phase::Writing { .. } | Phase::Lingering { .. } | Phase::Evicted => None,
        }
    }

    /// Begins to linger, if the client may still be sending what nobody reads: a body, or a head that hyper has refused.
    pub(super) fn linger(&self) -> bool {
        let mut state = self.state();
        let lingers = state.unread || matches!(state.phase, Phase::Waiting { head_since: Some(_), .. });
        if lingers {
            state.phase = Phase::Lingering { since: Instant::now() };
        }
        lingers
    }
}
