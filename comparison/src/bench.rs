//! One run: its peers, loads and rounds, and the results.

use std::time::Duration;

use crate::fleet::Fleet;
use crate::load::{Load, Shape};
use crate::peers::{Peer, Programs};
use crate::results::Results;

pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) peers: Vec<&'static Peer>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) sizes: Vec<usize>,
    /// Factor on the rounds that a figure takes by default.
    pub(crate) effort: f64,
    /// Time limit of a peer in one table.
    pub(crate) patience: Duration,
    pub(crate) results: Results,
}

impl Bench {
    /// Returns the fleet, and the results to which it adds.
    pub(crate) fn parts(&mut self) -> (Fleet<'_>, &mut Results) {
        let Self { programs, peers, patience, results, .. } = self;
        (Fleet { peers, programs, patience: *patience }, results)
    }

    /// At least 2, because a single round may be an outlier.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        ((usual as f64 * self.effort) as usize).max(2)
    }

    /// Number of processes for a figure that takes one value from each.
    pub(crate) fn processes(&self, usual: usize) -> usize {
        ((usual as f64 * self.effort) as usize).max(1)
    }

    /// All shapes, except that the largest size is measured with the mix only.
    pub(crate) fn loads(&self) -> Vec<Load> {
        let all = self.shapes.iter().flat_map(|shape| self.sizes.iter().map(|series| (*shape, *series)));
        all.map(|(shape, series)| Load { shape, series })
            .filter(|load| load.shape == Shape::Mix || load.series <= 100_000)
            .collect()
    }

    pub(crate) fn mixes(&self) -> Vec<Load> {
        self.sizes.iter().copied().map(Load::mix).collect()
    }

    /// The largest mix of at most that size, or else the smallest mix.
    pub(crate) fn mix_of(&self, series: usize) -> Load {
        let fitting = self.sizes.iter().copied().filter(|size| *size <= series).max();
        Load::mix(fitting.or(self.sizes.iter().copied().min()).unwrap_or(series))
    }
}
