//! What is done on the thread of a server, without one: gathering, encoding, compressing. A process of its own, in which
//! all take turns on one long-lived thread; what it tells is CPU time of that thread.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use prometheus::Registry;
use prometheus_hyper::internals::Coding;

use crate::contenders::{ours, scrape, text_encoder};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::stats::median;

/// Gives the time that it takes.
type Work = fn(&Registry, &[u8]) -> Outcome<Duration>;

pub(crate) const ENCODE: &str = "encode";
pub(crate) const TEXT_ENCODER: &str = "prometheus::TextEncoder";
pub(crate) const GATHER: &str = "gather() and drop";
pub(crate) const SCRAPE: &str = "gather, encode";
pub(crate) const GZIP: &str = "gather, encode, gzip";

/// Ours first, as everywhere. What is encoded has just been gathered, as it is in a server.
const WORKS: [(&str, Work); 7] = [
    (ENCODE, |registry, _| {
        let families = registry.gather();
        timed(|| ours(black_box(&families)))
    }),
    (TEXT_ENCODER, |registry, _| {
        let families = registry.gather();
        timed(|| text_encoder(black_box(&families)))
    }),
    ("memcpy of the body", |_, body| timed(|| black_box(body).to_vec())),
    (GATHER, |registry, _| timed(|| registry.gather())),
    (SCRAPE, |registry, _| timed(|| scrape(registry, Coding::Identity))),
    (GZIP, |registry, _| timed(|| scrape(registry, Coding::Gzip))),
    ("gather, prometheus::TextEncoder", |registry, _| timed(|| text_encoder(&registry.gather()))),
];

/// With the drop of what it makes.
fn timed<T>(work: impl FnOnce() -> T) -> Outcome<Duration> {
    let start = now()?;
    drop(black_box(work()));
    Ok(now()? - start)
}

/// The child's side: prints the medians of so many rounds, in nanoseconds.
pub(crate) fn child(arguments: &[String]) -> Outcome<()> {
    let [shape, series, rounds] = arguments else { return Err("inside SHAPE SERIES ROUNDS".into()) };
    let load = Load { shape: shape.parse()?, series: series.parse()? };
    let rounds: usize = rounds.parse()?;
    let worker = thread::spawn(move || -> Outcome<Vec<f64>> {
        let registry = load.registry();
        let families = registry.gather();
        let body = text_encoder(&families);
        if ours(&families).concat() != body {
            return Err(format!("the encoders differ with {load}").into());
        }
        drop(families);
        let mut spent = WORKS.map(|_| Vec::with_capacity(rounds));
        for round in 0..rounds {
            for at in order(round) {
                spent[at].push((WORKS[at].1)(&registry, &body)?.as_secs_f64());
            }
        }
        Ok(spent.iter().map(|spent| median(spent) * 1e9).collect())
    });
    let medians = worker.join().map_err(|_| "the thread has panicked")??;
    println!("{}", medians.iter().map(|median| format!("{median:.0}")).collect::<Vec<_>>().join(" "));
    Ok(())
}

/// What each takes, in seconds, as the child has told.
pub(crate) fn read(line: &str) -> Outcome<Vec<(&'static str, f64)>> {
    let medians: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    Ok(WORKS.iter().map(|(name, _)| *name).zip(medians.into_iter().map(|median| median / 1e9)).collect())
}

/// Another each round, in which each comes as often behind each other one: who always came behind a gather would have its
/// series in the cache.
fn order(round: usize) -> impl Iterator<Item = usize> {
    let step = round % (WORKS.len() - 1) + 1;
    (0..WORKS.len()).map(move |at| (round + at * step) % WORKS.len())
}

/// Of this thread alone.
pub(crate) fn now() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_behind_each() {
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for round in 0..WORKS.len() - 1 {
            let order: Vec<usize> = order(round).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..WORKS.len()).collect::<Vec<_>>(), "round {round}: {order:?}");
            pairs.extend(order.windows(2).map(|pair| [pair[0], pair[1]]));
        }
        let all = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), all, "a pair came twice");
    }
}
