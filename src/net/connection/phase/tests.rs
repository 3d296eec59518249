//! Tables of events with the resulting phases and evictions.

use super::Awaited::{Greeting, Handshake, Request};
use super::Event::{
    Closing, Flushed, HandedOver, HandshakeComplete, HelloComplete, InputAwaited, Received, Taken,
};
use super::*;

const HEAD: Event = Event::HeadComplete { ends_with_its_client: false };
const PROBE: Event = Event::HeadComplete { ends_with_its_client: true };
const BEGUN: Event = Event::ResponseBegun;
const FLUSHED: Event = Flushed { head_begun: false };
const FLUSHED_AMID_A_HEAD: Event = Flushed { head_begun: true };

const PERIODS: GracePeriods = GracePeriods { divisor: 1, write: Duration::from_secs(10) };
const KIB: usize = 1024;

/// Returns the phases after these events, each at its second.
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
fn events_change_the_phase() {
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
        // In TLS, the handshake comes first.
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
        (&[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED), (4.0, Closing)], lingering(4.0)),
        (&[(1.0, HEAD), (2.0, BEGUN), (3.0, Closing)], lingering(3.0)),
        (&[(1.0, Received), (2.0, Closing)], lingering(2.0)),
    ];
    for (events, phase) in table {
        assert_eq!(after(start, events).phase, *phase, "{events:?}");
    }
}

#[test]
fn phases_decide_when_a_connection_is_evictable() {
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
        (
            &[(1.0, HEAD), (2.0, BEGUN), (3.0, HandedOver), (4.0, FLUSHED), (5.0, InputAwaited)],
            1,
            &[(waits, 4.0)],
        ),
        (&[(1.0, HEAD), (2.0, BEGUN), (3.0, Closing)], 1, &[(Reason::Lingers, 3.0)]),
    ];
    for (events, divisor, expected) in table {
        let mut phases = after(start, events);
        let grace = GracePeriods { divisor: *divisor, ..PERIODS };
        let evictable: Vec<_> = phases.evictable(grace).into_iter().flatten().collect();
        let expected: Vec<_> =
            expected.iter().map(|&(reason, second)| Evictable { reason, from: at(start, second) }).collect();
        assert_eq!(evictable, expected, "{events:?}");
        let Some(first) = evictable.iter().map(|evictable| evictable.from).min() else {
            assert!(!phases.evict(grace, at(start, 1000.0)), "{events:?}");
            continue;
        };
        assert!(!phases.clone().evict(grace, first - Duration::from_nanos(1)), "{events:?}");
        assert!(phases.evict(grace, first), "{events:?}");
        // An evicted connection stays evicted, whatever its task reports.
        phases.on(HEAD, at(start, 1000.0));
        phases.on(BEGUN, at(start, 1000.0));
        let amid_response = evictable[0].reason == slow;
        assert_eq!(phases.phase, Phase::Evicted { amid_response }, "{events:?}");
    }
}

/// A client got a new grace period with each response.
#[test]
fn grace_period_counts_from_the_last_idle_time() {
    let start = Instant::now();
    // A response that lasts one second. Only the kernel's buffer takes bytes of it.
    let response =
        |second: f64| [(second, HEAD), (second, BEGUN), (second, Taken(100)), (second, HandedOver)];
    let pipelined: Vec<_> = (0..5)
        .flat_map(|n| [&response(f64::from(n))[..], &[(f64::from(n) + 1.0, FLUSHED)]].concat())
        .collect();
    let since = |events: &[(f64, Event)]| {
        let evictable = after(start, events).evictable(PERIODS);
        evictable.map(|evictable| evictable.map(|evictable| (evictable.from - start).as_secs_f64()))
    };
    // The sixth response, after five seconds of writing.
    let sixth = [&pipelined[..], &response(5.0)[..]].concat();
    let [Some(slow), Some(long)] = since(&sixth) else { panic!() };
    assert!((2.0..2.1).contains(&slow), "{slow}");
    assert_eq!(long, 10.0);
    // A pipelined request does not make the connection idle. A request that the server had to wait for does.
    let begun = [&pipelined[..], &[(5.0, Received), (5.0, InputAwaited)], &response(5.0)[..]].concat();
    assert_eq!(since(&begun), since(&sixth));
    let idle = [&pipelined[..], &[(5.0, InputAwaited)], &response(5.0)[..]].concat();
    assert_eq!(since(&idle), [Some(7.0), Some(15.0)]);
    // The client does not pay for the time in which the server makes a response.
    let answered_slowly = [&pipelined[..], &[(5.0, HEAD)], &response(9.0)[..]].concat();
    let [Some(slow_later), Some(long_later)] = since(&answered_slowly) else { panic!() };
    assert!((slow_later - slow - 4.0).abs() < 1e-6, "{slow_later}");
    assert_eq!(long_later, 14.0);
}

#[test]
fn evicts_clients_below_the_rate_of_a_scraper() {
    let start = Instant::now();
    // The bytes that the kernel takes at once, the bytes that the client takes per interval, and the interval. The
    // last column is when the client counts as slow within a minute.
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
