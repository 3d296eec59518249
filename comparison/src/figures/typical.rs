//! Measures a typical server: few series, and pauses between scrapes. At each scrape threads sleep, and
//! caches hold other data.

use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::client::Ask;
use crate::fleet::Member;
use crate::load::Load;
use crate::one_core::OneCore;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;
use crate::stats::median;

pub(crate) const KEY: &str = "typical";
pub(crate) const TITLE: &str = "One scrape a second on a kept connection, with Prometheus' headers (gzip) and plain (text, \
     identity): time to the last byte, CPU time of the server's process per second";

pub(crate) const PLAIN_P50: &str = "plain p50";
pub(crate) const PLAIN_P99: &str = "plain p99";

/// Names of p50, p99 and CPU time.
const WAYS: [(Ask, [&str; 3]); 2] =
    [(Ask::Prometheus, ["p50", "p99", "CPU"]), (Ask::Identity, [PLAIN_P50, PLAIN_P99, "plain CPU"])];

/// A larger server is not typical.
const MOST: usize = 1_000;

/// Interval between two scrapes of a process.
const PERIOD: Duration = Duration::from_secs(1);

/// The CPU time is the median of means over this many scrapes, so that it includes garbage collections.
const SCRAPES: usize = 10;

/// A process with one kind of scrape, and its measurements.
struct Turn {
    load: Load,
    ask: Ask,
    quantities: [&'static str; 3],
    member: Member,
    waits: Vec<f64>,
    cpu: Vec<f64>,
    /// CPU time at the last note, and the scrapes before it.
    last: Option<(Duration, usize)>,
}

/// Scrapes all of them within each second, one after the other, at equal intervals.
pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let _one_core = OneCore::keep()?;
    let rounds = bench.rounds(300);
    let loads: Vec<Load> = bench.mixes().into_iter().filter(|load| load.series <= MOST).collect();
    let (fleet, results) = bench.parts();
    let mut turns = Vec::new();
    for load in loads {
        eprintln!("typical: {load}, {rounds} seconds for all peers");
        for (peer, _) in fleet.present(KEY, load, results, Peer::is_server) {
            for (ask, quantities) in WAYS {
                let member = fleet.member(peer, load, None)?;
                let (waits, cpu, last) = (Vec::new(), Vec::new(), None);
                turns.push(Turn { load, ask, quantities, member, waits, cpu, last });
            }
        }
    }
    let apart = PERIOD / u32::try_from(turns.len().max(1))?;
    let mut next = Instant::now();
    // The first round is a warm-up. The last takes only the CPU time.
    for round in 0..rounds + 2 {
        for turn in &mut turns {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            match round {
                0 => turn.member.work(turn.ask)?,
                _ if round > rounds => turn.note()?,
                _ => turn.scrape()?,
            }
            // A slow scrape delays the next ones, and shortens no pause.
            next = (next + apart).max(Instant::now());
        }
    }
    for Turn { load, quantities, member, waits, cpu, .. } in turns {
        let values =
            [Value::quantile(&waits, 0.5), Value::quantile(&waits, 0.99), Value::Seconds(median(&cpu))];
        for (quantity, value) in quantities.into_iter().zip(values) {
            results.add_of(KEY, load, &member.name, quantity, value, waits.len());
        }
    }
    Ok(())
}

impl Turn {
    fn scrape(&mut self) -> Outcome<()> {
        if self.waits.len() % SCRAPES == 0 {
            self.note()?;
        }
        self.waits.push(self.member.scrape(self.ask)?.took.as_secs_f64());
        Ok(())
    }

    /// Notes the CPU time per scrape since the last note, including the work between scrapes.
    fn note(&mut self) -> Outcome<()> {
        let (now, scrapes) = (self.member.cpu()?, self.waits.len());
        if let Some((before, since)) = self.last {
            self.cpu.push((now - before).as_secs_f64() / (scrapes - since) as f64);
        }
        self.last = Some((now, scrapes));
        Ok(())
    }
}
