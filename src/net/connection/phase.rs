//! What a connection is doing: events in, phase out. No clock, no lock, no I/O.

use std::time::Duration;

use tokio::time::Instant;

/// The grace period of a new connection. The first bytes of a client that has something to say are here within a moment.
const GREETING_GRACE: Duration = Duration::from_millis(100);

/// The grace period from a complete ClientHello to the first request: some round trips and signatures. Without it,
/// handshakes in a burst would evict one another.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);

/// How far a client may be behind [`SCRAPER_RATE`] before its connection may be evicted. A client that takes exactly this
/// rate takes 64 KiB each second, because the kernel reports room in such steps.
const WRITE_GRACE: Duration = Duration::from_secs(2);

/// The bytes that a scraper takes each second, at the least. Prometheus waits 10 s by default, so at a lower rate it gets
/// less than 640 KiB in time. With gzip, 10,000 series are about 93 kB.
const SCRAPER_RATE: u64 = 64 * 1024;

/// The deadlines of a connection; [`Duration::MAX`] is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For a request's head: from its first byte, the first one's from accept.
    pub(crate) head: Duration,
    /// Between a response and the next request's first byte.
    pub(crate) idle: Duration,
    /// Without progress in writing.
    pub(crate) write: Duration,
}

/// A connection's phase, and what has been seen of its client since it was last idle.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    phase: Phase,
    pace: Pace,
    /// Whether the client may still be sending unread input once the response is written.
    lingers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No complete request head since `since`. The head timeout counts from `head_since`, the idle timeout while that is
    /// none.
    Waiting { since: Instant, head_since: Option<Instant>, awaited: Awaited },
    /// A request is being answered. `ends_with_its_client` if the response is for this client alone.
    Answering { ends_with_its_client: bool },
    /// A response is being written, and its client took some of it `at`. `handed_over` once hyper has the whole body.
    Writing { at: Instant, handed_over: bool },
    /// The last response is written. What the client still sends is read and discarded.
    Lingering { since: Instant },
    /// Closed for a newcomer; `amid_response` if its client lacks the rest of one.
    Evicted { amid_response: bool },
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The first request, or in TLS a ClientHello.
    Greeting,
    /// The rest of a TLS handshake, and the first request.
    Handshake,
    /// Another request.
    Request,
}

/// What the service and the I/O of a connection report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// In TLS, the whole ClientHello is here.
    HelloComplete,
    HandshakeComplete,
    Received,
    /// A read found nothing.
    InputAwaited,
    /// `unread` if a body follows.
    HeadComplete {
        unread: bool,
        ends_with_its_client: bool,
    },
    /// `closes` if the server ends the connection with this response, though the client has not asked for it.
    ResponseBegun {
        closes: bool,
    },
    /// So many bytes of the response.
    Taken(usize),
    HandedOver,
    /// Nothing is left to write. `head_begun` if the bytes of another head are here already.
    Flushed {
        head_begun: bool,
    },
    /// The server closes its side.
    Closing,
}

/// How a client takes its responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pace {
    /// How long responses have been written.
    writing: Duration,
    /// How far the client is behind one that takes [`SCRAPER_RATE`]. It cannot be ahead: what the kernel's buffers take at
    /// once says nothing of what the client takes later.
    behind: Duration,
}

impl Pace {
    fn after(self, time: Duration, taken: usize) -> Pace {
        let worth = Duration::from_nanos((taken as u64).saturating_mul(1_000_000_000 / SCRAPER_RATE));
        Pace {
            writing: self.writing.saturating_add(time),
            behind: self.behind.saturating_add(time).saturating_sub(worth),
        }
    }
}

/// From when on a connection may be evicted, and why. The least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evictable {
    pub(crate) reason: Reason,
    pub(crate) from: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It ends, unless its client still sends something.
    Lingers,
    /// It has no complete request head.
    Waits,
    /// Its client takes less of its responses than a scraper would.
    Slow,
    /// Its TLS handshake does not end.
    Handshakes,
    /// Its responses have been written for longer than a scraper waits.
    Long,
}

/// What connections are granted at the connection limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriods {
    /// By which all grace periods are divided, because newcomers queue.
    pub(crate) divisor: u32,
    /// How long responses may be written to a client that keeps up.
    pub(crate) write: Duration,
}

impl Phases {
    /// A connection that has just been accepted.
    pub(super) fn new(now: Instant) -> Self {
        let phase = Phase::Waiting { since: now, head_since: Some(now), awaited: Awaited::Greeting };
        Phases { phase, pace: Pace::default(), lingers: false }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the phase that follows.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Phase {
        use Phase::{Answering, Evicted, Lingering, Waiting, Writing};
        self.phase = match (self.phase, event) {
            (evicted @ Evicted { .. }, _) => evicted,
            (Waiting { head_since, .. }, Event::HelloComplete) => {
                Waiting { since: now, head_since, awaited: Awaited::Handshake }
            }
            // The grace period of the handshake is also that of the request behind it.
            (Waiting { since, awaited, .. }, Event::HandshakeComplete) => {
                Waiting { since, head_since: Some(now), awaited }
            }
            (Waiting { since, head_since, awaited }, Event::Received) => {
                Waiting { since, head_since: head_since.or(Some(now)), awaited }
            }
            (idle @ Waiting { head_since: None, .. }, Event::InputAwaited) => {
                self.pace = Pace::default();
                idle
            }
            (_, Event::HeadComplete { unread, ends_with_its_client }) => {
                self.lingers = unread;
                Answering { ends_with_its_client }
            }
            (_, Event::ResponseBegun { closes }) => {
                self.lingers |= closes;
                Writing { at: now, handed_over: false }
            }
            (Writing { at, handed_over }, Event::Taken(bytes)) => {
                self.pace = self.pace.after(now.saturating_duration_since(at), bytes);
                Writing { at: now, handed_over }
            }
            (Writing { at, .. }, Event::HandedOver) => Writing { at, handed_over: true },
            (Writing { at, handed_over: true }, Event::Flushed { head_begun }) => {
                self.pace = self.pace.after(now.saturating_duration_since(at), 0);
                Waiting { since: now, head_since: head_begun.then_some(now), awaited: Awaited::Request }
            }
            (phase, Event::Closing) => {
                let head_begun = matches!(phase, Waiting { head_since: Some(_), .. });
                if self.lingers || head_begun { Lingering { since: now } } else { phase }
            }
            (phase, _) => phase,
        };
        self.phase
    }

    /// When it may be evicted. A request that is being answered may not.
    pub(super) fn evictable(&self, periods: GracePeriods) -> [Option<Evictable>; 2] {
        let at = |reason, from| Some(Evictable { reason, from });
        match self.phase {
            Phase::Waiting { since, awaited, .. } => {
                let (reason, grace) = match awaited {
                    Awaited::Greeting => (Reason::Waits, GREETING_GRACE),
                    Awaited::Handshake => (Reason::Handshakes, HANDSHAKE_GRACE),
                    Awaited::Request => (Reason::Waits, Duration::ZERO),
                };
                [at(reason, later(since, grace / periods.divisor)), None]
            }
            Phase::Lingering { since } => [at(Reason::Lingers, since), None],
            Phase::Writing { at: taken, .. } => {
                let Pace { writing, behind } = self.pace;
                let slow = later(taken, WRITE_GRACE / periods.divisor);
                let long = taken.checked_add(periods.write);
                [
                    at(Reason::Slow, slow.checked_sub(behind).unwrap_or(taken)),
                    long.and_then(|long| at(Reason::Long, long.checked_sub(writing).unwrap_or(taken))),
                ]
            }
            Phase::Answering { .. } | Phase::Evicted { .. } => [None, None],
        }
    }

    /// Evicts it if it may be evicted now.
    pub(super) fn evict(&mut self, grace: GracePeriods, now: Instant) -> bool {
        let due = self.evictable(grace).iter().flatten().any(|evictable| evictable.from <= now);
        if due {
            self.phase = Phase::Evicted { amid_response: matches!(self.phase, Phase::Writing { .. }) };
        }
        due
    }

    /// When the wait for a head or for the next request ends.
    pub(super) fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { head_since: Some(since), .. } => since.checked_add(deadlines.head),
            Phase::Waiting { since, head_since: None, .. } => since.checked_add(deadlines.idle),
            _ => None,
        }
    }
}

impl Phase {
    /// Whether a request is to be answered. It is not on a connection that has been evicted.
    pub(crate) fn is_answering(self) -> bool {
        matches!(self, Phase::Answering { .. })
    }

    /// Whether a response is being made that ends when the client closes its side.
    pub(super) fn ends_with_its_client(self) -> bool {
        self == Phase::Answering { ends_with_its_client: true }
    }

    /// Whether a stop would cut something off: a response, or what its client needs to read it.
    pub(super) fn is_busy(self) -> bool {
        !matches!(self, Phase::Waiting { .. } | Phase::Evicted { .. })
    }

    /// Whether input, its end included, is not read before the response is written.
    pub(super) fn input_waits(self) -> bool {
        matches!(self, Phase::Answering { ends_with_its_client: false } | Phase::Writing { .. })
    }
}

fn later(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

#[cfg(test)]
mod tests;
