//! The phases of a connection as a state machine: events in, phase out. No clock, no lock, no I/O.

use std::time::Duration;

use tokio::time::Instant;

/// Grace period of a new connection. An honest client sends its first bytes within this time.
const GREETING_GRACE: Duration = Duration::from_millis(100);

/// Grace period from a complete ClientHello to the first request. It covers some round trips and signatures. Without
/// it, the handshakes of a burst would evict one another.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);

/// Time that a client may lag behind [`SCRAPER_RATE`] before its connection becomes evictable. A client that takes
/// exactly this rate takes 64 KiB each second, because the kernel reports free space in such steps.
const WRITE_GRACE: Duration = Duration::from_secs(2);

/// Minimum bytes that a scraper takes each second. Prometheus waits 10 s by default, so at a lower rate it gets less
/// than 640 KiB in time. With gzip, 10,000 series are about 93 kB.
const SCRAPER_RATE: u64 = 64 * 1024;

/// The deadlines of a connection. [`Duration::MAX`] means never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// From the first byte of a request's head to its end. For the first request, from accept.
    pub(crate) head: Duration,
    /// From the end of a response to the first byte of the next request.
    pub(crate) idle: Duration,
    /// Without progress while a response is written.
    pub(crate) write: Duration,
}

/// The phase of a connection, and the pace of its client since the connection was last idle.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    pub(super) phase: Phase,
    pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No complete request head has arrived since `since`. The head timeout counts from `head_since`. Without it, the
    /// idle timeout counts from `since`.
    Waiting { since: Instant, head_since: Option<Instant>, awaited: Awaited },
    /// The server makes a response. `ends_with_its_client` if the response is made for this client only.
    Answering { ends_with_its_client: bool },
    /// The server writes a response, and the client last took bytes of it `at`. `handed_over` once hyper has the
    /// whole body.
    Writing { at: Instant, handed_over: bool },
    /// The last response is written. Further input is read and discarded.
    Lingering { since: Instant },
    /// Closed for a newcomer. `amid_response` if the response was not written in full.
    Evicted { amid_response: bool },
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The first request, or in TLS a ClientHello.
    Greeting,
    /// The rest of a TLS handshake and the first request.
    Handshake,
    /// Another request.
    Request,
}

/// Events that the service and the I/O of a connection report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// In TLS: the whole ClientHello has arrived.
    HelloComplete,
    HandshakeComplete,
    Received,
    /// A read found no input.
    InputAwaited,
    HeadComplete {
        ends_with_its_client: bool,
    },
    ResponseBegun,
    /// The client took this many bytes of the response.
    Taken(usize),
    HandedOver,
    /// All output is written. `head_begun` if bytes of another head have already arrived.
    Flushed {
        head_begun: bool,
    },
    /// The server has closed its side, and the client has not.
    Closing,
}

/// How fast a client takes its responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pace {
    /// Total time for which responses have been written.
    writing: Duration,
    /// How far the client is behind a client that takes [`SCRAPER_RATE`]. It is never ahead: bytes that the kernel's
    /// buffers take at once do not show what the client reads later.
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

/// When a connection becomes evictable, and why. The smallest value is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evictable {
    pub(crate) reason: Reason,
    pub(crate) from: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The connection ends, unless its client still sends.
    Lingers,
    /// No complete request head has arrived.
    Waits,
    /// The client takes its responses more slowly than a scraper would.
    Slow,
    /// The TLS handshake does not complete.
    Handshakes,
    /// The responses have been written for longer than a scraper waits.
    Long,
}

/// Grace periods of connections at the connection limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriods {
    /// Divisor of all grace periods, which rises while newcomers queue.
    pub(crate) divisor: u32,
    /// How long responses may be written to a client that keeps up.
    pub(crate) write: Duration,
}

impl Phases {
    /// Creates the phases of a connection that has just been accepted.
    pub(super) fn new(now: Instant) -> Self {
        let phase = Phase::Waiting { since: now, head_since: Some(now), awaited: Awaited::Greeting };
        Phases { phase, pace: Pace::default() }
    }

    /// Applies an event. Returns the resulting phase.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Phase {
        use Phase::{Answering, Evicted, Lingering, Waiting, Writing};
        self.phase = match (self.phase, event) {
            (evicted @ Evicted { .. }, _) => evicted,
            (Waiting { head_since, .. }, Event::HelloComplete) => {
                Waiting { since: now, head_since, awaited: Awaited::Handshake }
            }
            // The grace period of the handshake also covers the request that follows it.
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
            (_, Event::HeadComplete { ends_with_its_client }) => Answering { ends_with_its_client },
            (_, Event::ResponseBegun) => Writing { at: now, handed_over: false },
            (Writing { at, handed_over }, Event::Taken(bytes)) => {
                self.pace = self.pace.after(now.saturating_duration_since(at), bytes);
                Writing { at: now, handed_over }
            }
            (Writing { at, .. }, Event::HandedOver) => Writing { at, handed_over: true },
            (Writing { at, handed_over: true }, Event::Flushed { head_begun }) => {
                self.pace = self.pace.after(now.saturating_duration_since(at), 0);
                Waiting { since: now, head_since: head_begun.then_some(now), awaited: Awaited::Request }
            }
            (_, Event::Closing) => Lingering { since: now },
            (phase, _) => phase,
        };
        self.phase
    }

    /// Returns when the connection becomes evictable. While the server makes a response, it is not.
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

    /// Evicts the connection if it is evictable now. Returns whether it did.
    pub(super) fn evict(&mut self, grace: GracePeriods, now: Instant) -> bool {
        let due = self.evictable(grace).iter().flatten().any(|evictable| evictable.from <= now);
        if due {
            self.phase = Phase::Evicted { amid_response: matches!(self.phase, Phase::Writing { .. }) };
        }
        due
    }

    /// Returns when the wait for a head or for the next request ends.
    pub(super) fn read_deadline(&self, deadlines: &Deadlines) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { head_since: Some(since), .. } => since.checked_add(deadlines.head),
            Phase::Waiting { since, head_since: None, .. } => since.checked_add(deadlines.idle),
            _ => None,
        }
    }
}

impl Phase {
    /// Returns whether a request needs a response. On an evicted connection it does not.
    pub(crate) fn is_answering(self) -> bool {
        matches!(self, Phase::Answering { .. })
    }

    /// Returns whether the server makes a response for this client only.
    pub(super) fn ends_with_its_client(self) -> bool {
        self == Phase::Answering { ends_with_its_client: true }
    }

    /// Returns whether a stop would truncate a response, or close before its client has read it.
    pub(super) fn is_busy(self) -> bool {
        !matches!(self, Phase::Waiting { .. } | Phase::Evicted { .. })
    }

    /// Returns whether input, including its end, stays unread until the response is written.
    pub(super) fn input_waits(self) -> bool {
        matches!(self, Phase::Answering { ends_with_its_client: false } | Phase::Writing { .. })
    }
}

fn later(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

#[cfg(test)]
mod tests;
