//! The work of a server's thread without a server: gathering, encoding, compressing. It measures CPU time of
//! one long-lived thread, on which the works take turns.
//!
//! Encoders and scrapes have separate processes. Once a process has freed a large buffer, as `TextEncoder`
//! does, glibc keeps more free memory (`mallopt(3)`, `M_MMAP_THRESHOLD`). A later scrape would then not pay
//! for its memory as in a real server.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use prometheus::Registry;
use prometheus::proto::MetricFamily;
use prometheus_hyper::internals::Coding;

use crate::contenders::{ours, scrape, text_encoder};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::stats::median;

/// Returns the time that it takes.
type Work = fn(&Inside) -> Outcome<Duration>;

/// A prime number, so that each work follows each other work equally often.
type Works = [(&'static str, Work); 3];

struct Inside {
    registry: Registry,
    /// Only encoders use it.
    body: Vec<u8>,
}

pub(crate) const ENCODE: &str = "encode";
pub(crate) const TEXT_ENCODER: &str = "prometheus::TextEncoder";
pub(crate) const GATHER: &str = "gather() and drop";
pub(crate) const SCRAPE: &str = "gather, encode";
pub(crate) const GZIP: &str = "gather, encode, gzip";

/// Ours first, as in all tables.
const ENCODERS: Works = [
    (ENCODE, |inside| inside.beside_families(|families| timed(|| ours(black_box(families))))),
    (TEXT_ENCODER, |inside| inside.beside_families(|families| timed(|| text_encoder(black_box(families))))),
    ("memcpy of the body", |inside| inside.beside_families(|_| timed(|| black_box(&inside.body).clone()))),
];

const SCRAPES: Works = [
    (SCRAPE, |inside| timed(|| scrape(&inside.registry, Coding::Identity))),
    (GZIP, |inside| timed(|| scrape(&inside.registry, Coding::Gzip))),
    (GATHER, |inside| timed(|| inside.registry.gather())),
];

/// Works that take turns in one process.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    works: Works,
    /// Whether they need the body. Making it takes large buffers.
    has_body: bool,
}

pub(crate) const GROUPS: [Group; 2] = [
    Group { name: "encoders", works: ENCODERS, has_body: true },
    Group { name: "scrapes", works: SCRAPES, has_body: false },
];

impl Inside {
    fn new(load: Load, has_body: bool) -> Outcome<Self> {
        let mut inside = Inside { registry: load.registry(), body: Vec::new() };
        if has_body {
            let families = inside.registry.gather();
            inside.body = text_encoder(&families);
            if ours(&families).concat() != inside.body {
                return Err(format!("the encoders differ with {load}").into());
            }
        }
        Ok(inside)
    }

    /// Runs `work` on families that have just been gathered, as in a server.
    fn beside_families(&self, work: impl FnOnce(&[MetricFamily]) -> Outcome<Duration>) -> Outcome<Duration> {
        let families = self.registry.gather();
        // The first large allocation after many small frees merges them. That cost is not the encoder's.
        drop(black_box(Vec::<u8>::with_capacity(self.body.len())));
        work(&families)
    }
}

/// Includes the drop of the result.
fn timed<T>(work: impl FnOnce() -> T) -> Outcome<Duration> {
    let start = now()?;
    drop(black_box(work()));
    Ok(now()? - start)
}

/// Runs in the child: prints the medians of that many rounds, in nanoseconds.
pub(crate) fn child(arguments: &[String]) -> Outcome<()> {
    let [group, shape, series, rounds] = arguments else {
        return Err("inside GROUP SHAPE SERIES ROUNDS".into());
    };
    let Some(Group { works, has_body, .. }) = GROUPS.into_iter().find(|row| row.name == group) else {
        return Err(format!("no group {group}").into());
    };
    let load = Load { shape: shape.parse()?, series: series.parse()? };
    let rounds: usize = rounds.parse()?;
    let worker = thread::spawn(move || -> Outcome<Vec<f64>> {
        let inside = Inside::new(load, has_body)?;
        let mut spent = works.map(|_| Vec::with_capacity(rounds));
        for round in 0..rounds {
            for at in order(round) {
                spent[at].push((works[at].1)(&inside)?.as_secs_f64());
            }
        }
        Ok(spent.iter().map(|spent| median(spent) * 1e9).collect())
    });
    let medians = worker.join().map_err(|_| "the thread has panicked")??;
    println!("{}", medians.iter().map(|median| format!("{median:.0}")).collect::<Vec<_>>().join(" "));
    Ok(())
}

/// Parses the child's output into seconds.
pub(crate) fn read(group: &Group, line: &str) -> Outcome<Vec<(&'static str, f64)>> {
    let medians: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let names = group.works.map(|(name, _)| name);
    Ok(names.into_iter().zip(medians.into_iter().map(|median| median / 1e9)).collect())
}

/// The order changes each round. Otherwise a work would always find the caches of the same predecessor.
fn order(round: usize) -> impl Iterator<Item = usize> {
    let (works, step) = (ENCODERS.len(), round % (ENCODERS.len() - 1) + 1);
    (0..works).map(move |at| (round + at * step) % works)
}

/// CPU time of this thread alone.
pub(crate) fn now() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_work_follows_each_other_one() {
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for round in 0..ENCODERS.len() - 1 {
            let order: Vec<usize> = order(round).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..ENCODERS.len()).collect::<Vec<_>>(), "round {round}: {order:?}");
            pairs.extend(order.windows(2).map(|pair| [pair[0], pair[1]]));
        }
        let all = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), all, "a pair came twice");
    }
}
