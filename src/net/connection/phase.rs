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
    /// Whether the client may still be sending what nobody reads once the response is written.
    lingers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No complete request head since `since`. The head timeout counts from `head_since`, the idle timeout while that is
    /// none.
    Waiting { since: Instant, head_since: Option<Instant>, awaited: Awaited },
    /// A request is being answered. `ends_with_its_client` if the response is for nobody else.
    Answering { ends_with_its_client: bool },
    /// A response is being written, and its client took some of it `at`. `handed_over` once hyper has the whole body.
    Writing { at: Instant, handed_over: bool },
    /// The last response is written. What the client still sends is read and discarded.
    Lingering { since: Instant },
    /// Closed by the connection limit or the budget of unsent bytes; `amid_response` if its client lacks the rest of one.
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

/// How long connections are safe from eviction, at the connection limit and while too much is unsent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GracePeriods {
    /// Divides all grace periods. Above 1 while newcomers queue or too much is unsent.
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
mod tests {
    use super::Awaited::{Greeting, Handshake, Request};
    use super::Event::{
        Closing, Flushed, HandedOver, HandshakeComplete, HelloComplete, InputAwaited, Received, Taken,
    };
    use super::*;

    const HEAD: Event = Event::HeadComplete { unread: false, ends_with_its_client: false };
    const BODY_FOLLOWS: Event = Event::HeadComplete { unread: true, ends_with_its_client: false };
    const PROBE: Event = Event::HeadComplete { unread: false, ends_with_its_client: true };
    const BEGUN: Event = Event::ResponseBegun { closes: false };
    const BEGUN_CLOSES: Event = Event::ResponseBegun { closes: true };
    const FLUSHED: Event = Flushed { head_begun: false };
    const FLUSHED_AMID_A_HEAD: Event = Flushed { head_begun: true };

    const PERIODS: GracePeriods = GracePeriods { divisor: 1, write: Duration::from_secs(10) };
    const KIB: usize = 1024;

    /// What has happened by then, each event with its second.
    fn after(start: Instant, events: &[(f64, Event)]) -> Phases {
        let mut phases = Phases::new(start);
        for &(second, event) in events {
            phases.on(event, at(start, second));
        }
        phases
    }

    fn at(start: Instant, second: f64) -> Instant {
        start + Duration::from_secs_f64(second)
    }

    #[test]
    fn phases_follow_from_events() {
        let start = Instant::now();
        let s = |second| at(start, second);
        let waiting = |since, head_since: Option<f64>, awaited| Phase::Waiting {
            since: s(since),
            head_since: head_since.map(s),
            awaited,
        };
        let answering = Phase::Answering { ends_with_its_client: false };
        let writing = |second, handed_over| Phase::Writing { at: s(second), handed_over };
        let lingering = |second| Phase::Lingering { since: s(second) };
        type Row<'a> = (&'a [(f64, Event)], Phase);
        let table: &[Row<'_>] = &[
            // The first head counts from accept.
            (&[], waiting(0.0, Some(0.0), Greeting)),
            (&[(1.0, Received)], waiting(0.0, Some(0.0), Greeting)),
            (&[(1.0, InputAwaited)], waiting(0.0, Some(0.0), Greeting)),
            // TLS comes before it.
            (&[(1.0, HelloComplete)], waiting(1.0, Some(0.0), Handshake)),
            (&[(1.0, HelloComplete), (2.0, HandshakeComplete)], waiting(1.0, Some(2.0), Handshake)),
            (&[(1.0, HelloComplete), (2.0, HandshakeComplete), (3.0, HEAD)], answering),
            // A request and its response.
            (&[(1.0, Received), (1.0, HEAD)], answering),
            (&[(1.0, PROBE)], Phase::Answering { ends_with_its_client: true }),
            (&[(1.0, HEAD), (2.0, FLUSHED)], answering),
            (&[(1.0, HEAD), (2.0, InputAwaited)], answering),
            (&[(1.0, HEAD), (2.0, BEGUN)], writing(2.0, false)),
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, Taken(7))], writing(3.0, false)),
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver)], writing(2.0, true)),
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, FLUSHED)], writing(2.0, false)),
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED)], waiting(4.0, None, Request)),
            (
                &[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED), (5.0, Received)],
                waiting(4.0, Some(5.0), Request),
            ),
            (
                &[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED_AMID_A_HEAD)],
                waiting(4.0, Some(4.0), Request),
            ),
            // The server closes its side.
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED), (4.0, Closing)], {
                waiting(4.0, None, Request)
            }),
            (&[(1.0, Received), (2.0, Closing)], lingering(2.0)),
            (&[(1.0, BODY_FOLLOWS), (2.0, BEGUN), (3.0, Closing)], lingering(3.0)),
            (
                &[(1.0, HEAD), (2.0, BEGUN_CLOSES), (3.0, HandedOver), (4.0, FLUSHED), (4.0, Closing)],
                lingering(4.0),
            ),
        ];
        for (events, phase) in table {
            assert_eq!(after(start, events).phase(), *phase, "{events:?}");
        }
    }

    #[test]
    fn evictions_follow_from_phases() {
        let start = Instant::now();
        let (waits, slow, long) = (Reason::Waits, Reason::Slow, Reason::Long);
        let handshakes = Reason::Handshakes;
        type Row<'a> = (&'a [(f64, Event)], u32, &'a [(Reason, f64)]);
        let table: &[Row<'_>] = &[
            (&[], 1, &[(waits, 0.1)]),
            (&[], 10, &[(waits, 0.01)]),
            (&[(3.0, HelloComplete)], 1, &[(handshakes, 4.0)]),
            (&[(3.0, HelloComplete)], 10, &[(handshakes, 3.1)]),
            (&[(3.0, HelloComplete), (4.0, HandshakeComplete)], 1, &[(handshakes, 4.0)]),
            (&[(1.0, HEAD)], 1, &[]),
            (&[(1.0, HEAD), (2.0, BEGUN)], 1, &[(slow, 4.0), (long, 12.0)]),
            (&[(1.0, HEAD), (2.0, BEGUN)], 10, &[(slow, 2.2), (long, 12.0)]),
            (&[(1.0, HEAD), (2.0, BEGUN), (3.0, Closing)], 1, &[(slow, 4.0), (long, 12.0)]),
            (
                &[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED), (5.0, InputAwaited)],
                1,
                &[(waits, 4.0)],
            ),
            (&[(1.0, BODY_FOLLOWS), (2.0, BEGUN), (3.0, Closing)], 1, &[(Reason::Lingers, 3.0)]),
        ];
        for (events, divisor, expected) in table {
            let mut phases = after(start, events);
            let grace = GracePeriods { divisor: *divisor, ..PERIODS };
            let evictable: Vec<_> = phases.evictable(grace).into_iter().flatten().collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|&(reason, second)| Evictable { reason, from: at(start, second) })
                .collect();
            assert_eq!(evictable, expected, "{events:?}");
            let Some(first) = evictable.iter().map(|evictable| evictable.from).min() else {
                assert!(!phases.evict(grace, at(start, 1000.0)), "{events:?}");
                continue;
            };
            assert!(!phases.clone().evict(grace, first - Duration::from_nanos(1)), "{events:?}");
            assert!(phases.evict(grace, first), "{events:?}");
            // It stays so, whatever its task still reports.
            phases.on(HEAD, at(start, 1000.0));
            phases.on(BEGUN, at(start, 1000.0));
            let amid_response = evictable[0].reason == slow;
            assert_eq!(phases.phase(), Phase::Evicted { amid_response }, "{events:?}");
        }
    }

    /// A client renewed its time with each response.
    #[test]
    fn time_counts_from_when_a_connection_was_idle() {
        let start = Instant::now();
        // From the second of a table's row on: a response of one second, of which nothing is taken but what the kernel takes.
        let response =
            |second: f64| [(second, HEAD), (second, BEGUN), (second, Taken(100)), (second, HandedOver)];
        let pipelined: Vec<_> = (0..5)
            .flat_map(|n| [&response(f64::from(n))[..], &[(f64::from(n) + 1.0, FLUSHED)]].concat())
            .collect();
        let since = |events: &[(f64, Event)]| {
            let evictable = after(start, events).evictable(PERIODS);
            evictable.map(|evictable| evictable.map(|evictable| (evictable.from - start).as_secs_f64()))
        };
        // The sixth, after five seconds of writing.
        let sixth = [&pipelined[..], &response(5.0)[..]].concat();
        let [Some(slow), Some(long)] = since(&sixth) else { panic!() };
        assert!((2.0..2.1).contains(&slow), "{slow}");
        assert_eq!(long, 10.0);
        // A request that is there already does not make it idle; one that has been waited for does.
        let begun = [&pipelined[..], &[(5.0, Received), (5.0, InputAwaited)], &response(5.0)[..]].concat();
        assert_eq!(since(&begun), since(&sixth));
        let idle = [&pipelined[..], &[(5.0, InputAwaited)], &response(5.0)[..]].concat();
        assert_eq!(since(&idle), [Some(7.0), Some(15.0)]);
        // The time in which a request is answered is not the client's.
        let answered_slowly = [&pipelined[..], &[(5.0, HEAD)], &response(9.0)[..]].concat();
        let [Some(slow_later), Some(long_later)] = since(&answered_slowly) else { panic!() };
        assert!((slow_later - slow - 4.0).abs() < 1e-6, "{slow_later}");
        assert_eq!(long_later, 14.0);
    }

    #[test]
    fn clients_are_slow_below_the_rate_of_a_scraper() {
        let start = Instant::now();
        // How much the kernel takes at once, how much the client takes how often, and when it is found to be slow within a
        // minute.
        let table = [
            (300 * KIB, 0, 1.0, Some(2.0)),
            (4096 * KIB, 0, 1.0, Some(2.0)),
            (300 * KIB, 64 * KIB, 1.0, None),
            (300 * KIB, 64 * KIB, 0.1, None),
            (300 * KIB, 128 * KIB, 1.9, None),
            (300 * KIB, 64 * KIB, 1.25, Some(5.0)),
            (300 * KIB, 64 * KIB, 10.0, Some(2.0)),
            (300 * KIB, 1, 0.01, Some(2.0)),
        ];
        for (at_once, taken, every, slow) in table {
            let mut phases = after(start, &[(0.0, HEAD), (0.0, BEGUN), (0.0, Taken(at_once))]);
            let mut found = None;
            for n in 1..=(60.0 / every) as u32 {
                let now = f64::from(n) * every;
                let from = phases.evictable(PERIODS)[0].unwrap().from;
                if from < at(start, now) {
                    found = Some((from - start).as_secs_f64());
                    break;
                }
                if taken > 0 {
                    phases.on(Taken(taken), at(start, now));
                }
            }
            let near = |a: f64, b: f64| (a - b).abs() < 0.02;
            let same = match (found, slow) {
                (Some(found), Some(slow)) => near(found, slow),
                (found, slow) => found == slow,
            };
            assert!(same, "{taken} bytes each {every} s: {found:?}, not {slow:?}");
        }
    }
}
