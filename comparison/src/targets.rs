//! The targets of this server as ratios within one run, and whether each is met.

use std::fmt::Write;

use crate::figures::{build, concurrent, cpu, latency, memory, stall, thread, typical};
use crate::inside;
use crate::load::{Load, Shape};
use crate::peers::{Programs, peer};
use crate::results::Results;

pub(crate) struct Target {
    pub(crate) figure: String,
    /// The bound of the measured value.
    pub(crate) limit: Limit,
    pub(crate) measured: Result<f64, Missing>,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

/// The reason why there is no value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Missing {
    NotMeasured,
    /// Too few scrapes for a reliable quantile.
    Scrapes(usize),
}

impl Target {
    pub(crate) fn met(&self) -> Option<bool> {
        self.measured.ok().map(|measured| match self.limit {
            Limit::AtLeast(limit) => measured >= limit,
            Limit::AtMost(limit) => measured <= limit,
        })
    }
}

/// Results by the peers' names in the tables.
struct Named<'a> {
    results: &'a Results,
    ours: String,
    exposition: String,
    run: String,
    serve: String,
    published: String,
    gather: String,
}

/// Least number of scrapes of each server for a goal.
const SCRAPES: usize = 300;

/// A quantity of a figure, and the largest ratio to 0.2.1 for each number of series.
type Goal = (&'static str, &'static str, &'static [(usize, f64)]);

const GOALS: [Goal; 7] = [
    (cpu::KEY, cpu::IDENTITY, &[(200, 0.90), (1_000, 0.85), (10_000, 0.70), (100_000, 0.60)]),
    (latency::KEY, latency::KEPT, &[(200, 0.90), (1_000, 0.85), (10_000, 0.75), (100_000, 0.65)]),
    (latency::KEY, latency::PAUSED, &[(200, 1.00), (1_000, 0.92), (10_000, 0.85)]),
    (typical::KEY, typical::PLAIN_P50, &[(200, 1.00), (1_000, 0.92)]),
    (latency::KEY, latency::KEPT_P99, &[(200, 1.10), (1_000, 1.05)]),
    (latency::KEY, latency::PAUSED_P99, &[(200, 1.10), (1_000, 1.05)]),
    (typical::KEY, typical::PLAIN_P99, &[(200, 1.10), (1_000, 1.05)]),
];

/// With gzip, compared with 0.2.1 without.
const GZIP: f64 = 1.05;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

pub(crate) fn targets(results: &Results, programs: &Programs) -> Vec<Target> {
    let name = |key| peer(key).map(|peer| peer.name(programs)).unwrap_or_default();
    let named = Named {
        results,
        ours: name("ours"),
        exposition: name("exposition"),
        run: name("run"),
        serve: name("serve"),
        published: name("published"),
        gather: name("gather"),
    };
    let mut targets = Vec::new();
    named.beside_published(&mut targets);
    named.host(&mut targets);
    named.encode(&mut targets);
    named.exposition(&mut targets);
    named.others(&mut targets);
    targets
}

impl Named<'_> {
    fn beside_published(&self, targets: &mut Vec<Target>) {
        let mut goal = |key, quantity, of_published, series, most| {
            let case = Load::mix(series).to_string();
            let that = if quantity == of_published { "that" } else { of_published };
            targets.push(Target {
                figure: format!("{key}: {quantity} / {that} of 0.2.1, {case}"),
                limit: Limit::AtMost(most),
                measured: self
                    .quantile(key, &case, &self.ours, quantity)
                    .and_then(|ours| Ok(ours / self.quantile(key, &case, &self.published, of_published)?)),
            });
        };
        for (key, quantity, rows) in GOALS {
            for (series, most) in rows {
                goal(key, quantity, quantity, *series, *most);
            }
        }
        goal(cpu::KEY, cpu::GZIP, cpu::IDENTITY, 1_000, GZIP);
    }

    fn quantile(&self, key: &str, case: &str, row: &str, quantity: &str) -> Result<f64, Missing> {
        let entry = self.results.entry(key, case, row, quantity).ok_or(Missing::NotMeasured)?;
        match entry.scrapes {
            Some(scrapes) if scrapes < SCRAPES => Err(Missing::Scrapes(scrapes)),
            _ => entry.value.number().ok_or(Missing::NotMeasured),
        }
    }

    /// Adds the targets about the host program.
    fn host(&self, targets: &mut Vec<Target>) {
        let case = Load::mix(100_000).to_string();
        let late = |row, quantity| self.results.number(stall::KEY, &case, row, quantity);
        for (way, row) in [("start", &self.ours), ("run", &self.run), ("serve", &self.serve)] {
            targets.push(Target {
                figure: format!("stall: worst with `{way}` / worst of 0.2.1, {case}"),
                limit: Limit::AtMost(0.02),
                measured: ratio(late(row, stall::WORST), late(&self.published, stall::WORST)),
            });
        }
        let case = Load::mix(200).to_string();
        for quantity in [memory::IDLE, memory::AFTER] {
            let resident = |row| self.results.number(memory::KEY, &case, row, quantity);
            let above = resident(&self.ours).zip(resident(&self.published));
            targets.push(Target {
                figure: format!("memory: {quantity}, in MB above that of 0.2.1, {case}"),
                limit: Limit::AtMost(0.5),
                measured: known(above.map(|(ours, published)| (ours - published) / 1e6)),
            });
        }
    }

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

    /// What the same series cost whose library is another.
    fn exposition(&self, targets: &mut Vec<Target>) {
        for series in [10_000, 100_000] {
            let case = Load::mix(series).to_string();
            let of = |row| self.results.number(cpu::KEY, &case, row, cpu::IDENTITY);
            targets.push(Target {
                figure: format!("cpu: prometheus-client's registry / one of prometheus, {case}"),
                limit: Limit::AtMost(0.75),
                measured: ratio(of(&self.exposition), of(&self.ours)),
            });
        }
    }

    fn others(&self, targets: &mut Vec<Target>) {
        let case = Load::mix(100_000).to_string();
        let grown = |row| self.results.number(memory::KEY, &case, row, memory::GROWTH);
        let at_once = concurrent::case(&Load::mix(10_000).to_string(), 100);
        let built = |row, quantity| self.results.number(build::KEY, build::CASE, row, quantity);
        let rows = [
            (
                format!("gathers per wave, {at_once}"),
                2.0,
                known(self.results.number(concurrent::KEY, &at_once, &self.ours, concurrent::GATHERS)),
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
                1.15,
                ratio(built(build::BARE, build::CPU), built(&self.published, build::CPU)),
            ),
            (
                "stripped size without default features / that of 0.2.1".to_owned(),
                1.55,
                ratio(built(build::BARE, build::SIZE), built(&self.published, build::SIZE)),
            ),
        ];
        for (figure, most, measured) in rows {
            targets.push(Target { figure, limit: Limit::AtMost(most), measured });
        }
    }
}

fn known(value: Option<f64>) -> Result<f64, Missing> {
    value.ok_or(Missing::NotMeasured)
}

fn ratio(value: Option<f64>, to: Option<f64>) -> Result<f64, Missing> {
    known(value.zip(to).map(|(value, to)| value / to))
}

pub(crate) fn table(targets: &[Target]) -> String {
    let mut text = "\n## Targets\n\n| figure | target | measured | |\n| --- | --- | --- | --- |\n".to_owned();
    for target in targets {
        let limit = match target.limit {
            Limit::AtLeast(limit) => format!("≥ {limit}"),
            Limit::AtMost(limit) => format!("≤ {limit}"),
        };
        let (measured, met) = match (target.measured, target.met()) {
            (Ok(measured), Some(true)) => (format!("{measured:.3}"), "met"),
            (Ok(measured), _) => (format!("{measured:.3}"), "**not met**"),
            (Err(Missing::Scrapes(scrapes)), _) => (format!("only {scrapes} scrapes"), "not measured"),
            (Err(Missing::NotMeasured), _) => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(text, "| {} | {limit} | {measured} | {met} |", target.figure);
    }
    let unmet = targets.iter().filter(|target| target.met() == Some(false)).count();
    let unmeasured = targets.iter().filter(|target| target.met().is_none()).count();
    let met = targets.len() - unmet - unmeasured;
    let _ = writeln!(text, "\n{} met, {} not met, {} not measured.", met, unmet, unmeasured);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Value;

    #[test]
    fn goals_need_enough_scrapes_of_both() {
        let programs = Programs::find();
        let name = |key| peer(key).unwrap().name(&programs);
        let case = Load::mix(200).to_string();
        for (ours, published, measured) in [
            (SCRAPES, SCRAPES, Ok(0.5)),
            (SCRAPES - 1, SCRAPES, Err(Missing::Scrapes(SCRAPES - 1))),
            (SCRAPES, 11, Err(Missing::Scrapes(11))),
        ] {
            let mut results = Results::default();
            for (key, seconds, scrapes) in [("ours", 1.0, ours), ("published", 2.0, published)] {
                let value = Value::Seconds(seconds);
                results.add_of(cpu::KEY, &case, &name(key), cpu::IDENTITY, value, scrapes);
            }
            let targets = targets(&results, &programs);
            assert_eq!(targets[0].measured, measured, "{}", targets[0].figure);
            assert_eq!(targets[0].met(), measured.ok().map(|_| true));
            assert!(targets[1..].iter().all(|target| target.measured == Err(Missing::NotMeasured)));
        }
    }
}
