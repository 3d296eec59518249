//! The figures, one a file.

pub(crate) mod build;
pub(crate) mod concurrent;
pub(crate) mod cpu;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod lifetime;
pub(crate) mod memory;
pub(crate) mod same;
pub(crate) mod stall;
pub(crate) mod thread;
pub(crate) mod typical;

use crate::bench::Bench;
use crate::outcome::Outcome;

pub(crate) struct Figure {
    pub(crate) key: &'static str,
    /// Heading of its tables.
    pub(crate) title: &'static str,
    pub(crate) measure: fn(&mut Bench) -> Outcome<()>,
}

/// In the order of the tables. `same` is measured first.
pub(crate) const FIGURES: [Figure; 11] = [
    Figure { key: typical::KEY, title: typical::TITLE, measure: typical::measure },
    Figure { key: same::KEY, title: same::TITLE, measure: same::measure },
    Figure { key: thread::KEY, title: thread::TITLE, measure: thread::measure },
    Figure { key: latency::KEY, title: latency::TITLE, measure: latency::measure },
    Figure { key: cpu::KEY, title: cpu::TITLE, measure: cpu::measure },
    Figure { key: memory::KEY, title: memory::TITLE, measure: memory::measure },
    Figure { key: stall::KEY, title: stall::TITLE, measure: stall::measure },
    Figure { key: concurrent::KEY, title: concurrent::TITLE, measure: concurrent::measure },
    Figure { key: idle::KEY, title: idle::TITLE, measure: idle::measure },
    Figure { key: lifetime::KEY, title: lifetime::TITLE, measure: lifetime::measure },
    Figure { key: build::KEY, title: build::TITLE, measure: build::measure },
];
