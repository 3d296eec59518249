//! What this server wants to be, as ratios within one run, and whether it is.

use std::fmt::Write;

use crate::figures::{build, cpu, crowd, latency, memory, stall, thread};
use crate::inside;
use crate::load::{Load, Shape};
use crate::peers::{Programs, peer};
use crate::results::Results;

pub(crate) struct Target {
    pub(crate) figure: String,
    /// What is to be on that side of it.
    pub(crate) limit: Limit,
    /// None if what it takes was not measured.
    pub(crate) measured: Option<f64>,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    pub(crate) fn met(&self) -> Option<bool> {
        self.measured.map(|measured| match self.limit {
            Limit::AtLeast(limit) => measured >= limit,
            Limit::AtMost(limit) => measured <= limit,
        })
    }
}

/// By the names that the tables have.
struct Named<'a> {
    results: &'a Results,
    ours: String,
    published: String,
    gather: String,
}

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

pub(crate) fn targets(results: &Results, programs: &Programs) -> Vec<Target> {
    let name = |key| peer(key).map(|peer| peer.name(programs)).unwrap_or_default();
    let named = Named { results, ours: name("ours"), published: name("published"), gather: name("gather") };
    let mut targets = Vec::new();
    named.encode(&mut targets);
    named.beside_gather(&mut targets);
    named.kept_and_paused(&mut targets);
    named.others(&mut targets);
    targets
}

impl Named<'_> {
    fn encode(&self, targets: &mut Vec<Target>) {
        for (shape, least) in [(Shape::Mix, 5.0), (Shape::Histograms, 12.0), (Shape::Counters, 3.2)] {
            for series in SIZES {
                let case = Load { shape, series }.to_string();
                let of = |work| self.results.number(thread::KEY, &case, work, thread::CPU);
                targets.push(Target {
                    figure: format!("times as fast as `TextEncoder`, {case}"),
                    limit: Limit::AtLeast(least),
                    measured: ratio(of(inside::TEXT_ENCODER), of(inside::ENCODE)),
                });
            }
        }
    }

    /// On one thread, and as a server with its sockets, each against its gather.
    fn beside_gather(&self, targets: &mut Vec<Target>) {
        let rows = [
            (Shape::Mix, 1_000, false, 1.15),
            (Shape::Mix, 10_000, false, 1.09),
            (Shape::Mix, 100_000, false, 1.03),
            (Shape::Histograms, 10_000, false, 1.30),
            (Shape::Histograms, 100_000, false, 1.30),
            (Shape::Mix, 10_000, true, 1.45),
            (Shape::Mix, 100_000, true, 1.20),
        ];
        for (shape, series, gzip, most) in rows {
            let case = Load { shape, series }.to_string();
            let (work, quantity) =
                if gzip { (inside::GZIP, cpu::GZIP) } else { (inside::SCRAPE, cpu::IDENTITY) };
            let of = |work| self.results.number(thread::KEY, &case, work, thread::CPU);
            targets.push(Target {
                figure: format!("{work} / gather, on the thread, {case}"),
                limit: Limit::AtMost(most),
                measured: ratio(of(work), of(inside::GATHER)),
            });
            let of = |row, quantity| self.results.number(cpu::KEY, &case, row, quantity);
            targets.push(Target {
                figure: format!("CPU of a scrape over HTTP / gather, {quantity}, {case}"),
                limit: Limit::AtMost(most),
                measured: ratio(of(&self.ours, quantity), of(&self.gather, cpu::IDENTITY)),
            });
        }
    }

    fn kept_and_paused(&self, targets: &mut Vec<Target>) {
        let case = Load::mix(200).to_string();
        for (quantity, most) in [(latency::KEPT, 0.85), (latency::PAUSED, 1.0)] {
            let of = |row| self.results.number(latency::KEY, &case, row, quantity);
            targets.push(Target {
                figure: format!("{quantity} / that of 0.2.1, {case}"),
                limit: Limit::AtMost(most),
                measured: ratio(of(&self.ours), of(&self.published)),
            });
        }
    }

    fn others(&self, targets: &mut Vec<Target>) {
        let case = Load::mix(100_000).to_string();
        let late = |row, quantity| self.results.number(stall::KEY, &case, row, quantity);
        let grown = |row| self.results.number(memory::KEY, &case, row, memory::GROWTH);
        let crowd = crowd::case(&Load::mix(10_000).to_string(), 100);
        let built = |row, quantity| self.results.number(build::KEY, build::CASE, row, quantity);
        let rows = [
            (
                format!("host's stall, p99.9 in ms, {case}"),
                3.0,
                late(&self.ours, stall::P999).map(|seconds| seconds * 1e3),
            ),
            (
                format!("host's worst stall / that of 0.2.1, {case}"),
                0.05,
                ratio(late(&self.ours, stall::WORST), late(&self.published, stall::WORST)),
            ),
            (
                format!("gathers per wave, {crowd}"),
                2.0,
                self.results.number(crowd::KEY, &crowd, &self.ours, crowd::GATHERS),
            ),
            (
                format!("growth at the peak / that of gather, {case}"),
                1.02,
                ratio(grown(&self.ours), grown(&self.gather)),
            ),
            (
                format!("growth at the peak / that of 0.2.1, {case}"),
                0.87,
                ratio(grown(&self.ours), grown(&self.published)),
            ),
            (
                "CPU of a clean build without default features / that of 0.2.1".to_owned(),
                1.20,
                ratio(built(build::BARE, build::CPU), built(&self.published, build::CPU)),
            ),
            (
                "stripped size without default features / that of 0.2.1".to_owned(),
                1.25,
                ratio(built(build::BARE, build::SIZE), built(&self.published, build::SIZE)),
            ),
        ];
        for (figure, most, measured) in rows {
            targets.push(Target { figure, limit: Limit::AtMost(most), measured });
        }
    }
}

fn ratio(value: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(value? / to?)
}

pub(crate) fn table(targets: &[Target]) -> String {
    let mut text = "\n## Targets\n\n| figure | target | measured | |\n| --- | --- | --- | --- |\n".to_owned();
    for target in targets {
        let limit = match target.limit {
            Limit::AtLeast(limit) => format!("≥ {limit}"),
            Limit::AtMost(limit) => format!("≤ {limit}"),
        };
        let (measured, met) = match (target.measured, target.met()) {
            (Some(measured), Some(true)) => (format!("{measured:.3}"), "met"),
            (Some(measured), Some(false)) => (format!("{measured:.3}"), "**not met**"),
            _ => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(text, "| {} | {limit} | {measured} | {met} |", target.figure);
    }
    let unmet = targets.iter().filter(|target| target.met() == Some(false)).count();
    let unmeasured = targets.iter().filter(|target| target.met().is_none()).count();
    let met = targets.len() - unmet - unmeasured;
    let _ = writeln!(text, "\n{} met, {} not met, {} not measured.", met, unmet, unmeasured);
    text
}
