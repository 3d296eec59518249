//! Measures the time to the last byte: back to back on a kept connection, with pauses, and on a new
//! connection each time. `typical` has pauses of a second.

use std::thread;
use std::time::Duration;

use crate::bench::Bench;
use crate::client::Ask;
use crate::fleet::Member;
use crate::load::Load;
use crate::one_core::OneCore;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;

pub(crate) const KEY: &str = "latency";
pub(crate) const TITLE: &str = "Time to the last byte of a scrape: back to back on a kept connection, with pauses of 20 ms, \
     and on a new connection each time";

pub(crate) const KEPT: &str = "kept p50";
pub(crate) const KEPT_P99: &str = "kept p99";
pub(crate) const PAUSED: &str = "paused p50";
pub(crate) const PAUSED_P99: &str = "paused p99";
const NEW: &str = "new p50";

/// Long enough that threads sleep.
const PAUSE: Duration = Duration::from_millis(20);

/// Above this size neither a pause nor a new connection matters.
const MOST: usize = 10_000;

/// Names of p50 and p99, and the preparation of a scrape.
type Way = (&'static str, &'static str, fn(&mut Member) -> Outcome<()>);

const WAYS: [Way; 3] = [
    (KEPT, KEPT_P99, |member| member.client.connect()),
    (PAUSED, PAUSED_P99, |member| {
        member.client.connect()?;
        thread::sleep(PAUSE);
        Ok(())
    }),
    (NEW, "new p99", |member| {
        member.client.disconnect();
        Ok(())
    }),
];

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let _one_core = OneCore::keep()?;
    for load in bench.mixes() {
        eprintln!("latency: {load}");
        let (rounds, times) = rounds(load);
        let rounds = bench.rounds(rounds);
        let (fleet, results) = bench.parts();
        let mut members = fleet.spawn(KEY, load, None, results, Peer::is_server)?;
        for (p50, p99, ready) in WAYS {
            if p50 != KEPT && load.series > MOST {
                continue;
            }
            let mut waits = vec![Vec::new(); members.len()];
            fleet.rounds(&mut members, rounds, |at, member| {
                // A warm-up: the other members have used the caches.
                let kept = member.scrape(Ask::Identity)?.kept;
                if !kept && p50 != NEW {
                    return Ok(());
                }
                for _ in 0..times {
                    ready(member)?;
                    waits[at].push(member.scrape(Ask::Identity)?.took.as_secs_f64());
                }
                member.client.disconnect();
                Ok(())
            })?;
            for (member, waits) in members.iter().zip(waits) {
                for (quantity, rank) in [(p50, 0.5), (p99, 0.99)] {
                    let value = match waits[..] {
                        [] => Value::None("closes each".to_owned()),
                        _ => Value::quantile(&waits, rank),
                    };
                    results.add_of(KEY, load, &member.name, quantity, value, waits.len());
                }
            }
        }
    }
    Ok(())
}

/// Rounds, and scrapes per round.
fn rounds(load: Load) -> (usize, usize) {
    match load.series {
        ..=1_000 => (40, 25),
        1_001..=2_000 => (30, 10),
        2_001..=10_000 => (75, 4),
        10_001..=100_000 => (100, 3),
        _ => (3, 1),
    }
}
