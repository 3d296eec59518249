//! The loads: number and kinds of series. `families` defines their values for all peers.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use prometheus::Registry;

use crate::check::{Exposition, bound};
use crate::outcome::{Failure, Outcome};
use crate::workload::families::{BUCKETS, Family, Kind, LABELS, Metric, families};
use crate::workload::registry;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) series: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Shape {
    Mix,
    Counters,
    Histograms,
}

pub(crate) const SHAPES: [(Shape, &str); 3] =
    [(Shape::Mix, "mix"), (Shape::Counters, "counters"), (Shape::Histograms, "histograms")];

impl Load {
    pub(crate) const fn mix(series: usize) -> Self {
        Self { shape: Shape::Mix, series }
    }

    pub(crate) fn families(self) -> impl Iterator<Item = Family> {
        let (counters, histograms) = self.shares();
        families(self.series, counters, histograms)
    }

    /// Registers the load in `prometheus` 0.14.
    pub(crate) fn registry(self) -> Registry {
        let (counters, histograms) = self.shares();
        registry(self.series, counters, histograms)
    }

    fn shares(self) -> (usize, usize) {
        match self.shape {
            Shape::Mix => (1, 1),
            Shape::Counters => (1, 0),
            Shape::Histograms => (0, 1),
        }
    }

    /// Writes the load for programs in other languages: a line per metric, fields separated by tabs, and an
    /// empty line at the end.
    pub(crate) fn describe(self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "labels\t{}", LABELS.join("\t"))?;
        writeln!(out, "buckets\t{}", BUCKETS.map(|bucket| bucket.to_string()).join("\t"))?;
        for family in self.families() {
            match family.kind {
                Kind::Counter => writeln!(out, "counter\t{}\t{}", family.name, family.help)?,
                Kind::Histogram => writeln!(out, "histogram\t{}\t{}", family.name, family.help)?,
            }
            for metric in family.metrics() {
                write!(out, "metric\t{}", metric.labels.join("\t"))?;
                match family.kind {
                    Kind::Counter => write!(out, "\t{}", metric.count())?,
                    Kind::Histogram => {
                        for observation in metric.observations() {
                            write!(out, "\t{observation}")?;
                        }
                    }
                }
                writeln!(out)?;
            }
        }
        writeln!(out)?;
        out.flush()
    }

    /// The values that every server must return.
    pub(crate) fn expected(self) -> Exposition {
        let mut exposition = Exposition::default();
        for family in self.families() {
            for metric in family.metrics() {
                match family.kind {
                    Kind::Counter => {
                        exposition.insert(&family.name, &pairs(&metric), metric.count() as f64);
                    }
                    Kind::Histogram => histogram(&mut exposition, &family.name, &metric),
                }
            }
        }
        exposition
    }
}

fn histogram(exposition: &mut Exposition, name: &str, metric: &Metric) {
    let observations: Vec<f64> = metric.observations().collect();
    for bucket in BUCKETS.into_iter().chain([f64::INFINITY]) {
        let below = observations.iter().filter(|observation| **observation <= bucket).count();
        let le = bound(bucket);
        let mut labels = pairs(metric);
        labels.push(("le", &le));
        exposition.insert(&format!("{name}_bucket"), &labels, below as f64);
    }
    exposition.insert(&format!("{name}_sum"), &pairs(metric), observations.iter().sum());
    exposition.insert(&format!("{name}_count"), &pairs(metric), observations.len() as f64);
}

fn pairs(metric: &Metric) -> Vec<(&str, &str)> {
    LABELS.into_iter().zip(metric.labels.iter().map(String::as_str)).collect()
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = SHAPES.iter().find(|(shape, _)| shape == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Shape {
    type Err = Failure;

    fn from_str(text: &str) -> Outcome<Self> {
        let named = SHAPES.iter().find(|(_, name)| *name == text);
        named.map(|(shape, _)| *shape).ok_or_else(|| format!("unknown shape {text}").into())
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} series", self.shape, thousands(self.series))
    }
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut parted = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_thousands() {
        for (number, parted) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_000_000, "1,000,000")] {
            assert_eq!(thousands(number), parted);
        }
    }
}
