//! What is measured, one figure a file.

pub(crate) mod cpu;
pub(crate) mod latency;
pub(crate) mod same;

use crate::bench::Bench;
use crate::outcome::Outcome;

pub(crate) struct Figure {
    pub(crate) key: &'static str,
    /// What it is, above its tables.
    pub(crate) title: &'static str,
    pub(crate) measure: fn(&mut Bench) -> Outcome<()>,
}

pub(crate) const FIGURES: [Figure; 3] = [
    Figure { key: same::KEY, title: same::TITLE, measure: same::measure },
    Figure { key: latency::KEY, title: latency::TITLE, measure: latency::measure },
    Figure { key: cpu::KEY, title: cpu::TITLE, measure: cpu::measure },
];
