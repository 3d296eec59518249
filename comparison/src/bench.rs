//! What one run is: who, which loads, how often; and what has come of it.

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
    /// For each round that a figure would do by itself, that many.
    pub(crate) effort: f64,
    /// How long one may take in one table.
    pub(crate) patience: Duration,
    pub(crate) results: Results,
}

impl Bench {
    /// The fleet, and where its results go.
    pub(crate) fn parts(&mut self) -> (Fleet<'_>, &mut Results) {
        let Self { programs, peers, patience, results, .. } = self;
        (Fleet { peers, programs, patience: *patience }, results)
    }

    /// At least 2: what is done once may be anything.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        ((usual as f64 * self.effort) as usize).max(2)
    }

    /// How many processes to ask, where each gives one value.
    pub(crate) fn processes(&self, usual: usize) -> usize {
        ((usual as f64 * self.effort) as usize).max(1)
    }

    /// Of every shape, but for the largest, of which there is the mix.
    pub(crate) fn loads(&self) -> Vec<Load> {
        let all = self.shapes.iter().flat_map(|shape| self.sizes.iter().map(|series| (*shape, *series)));
        all.map(|(shape, series)| Load { shape, series })
            .filter(|load| load.shape == Shape::Mix || load.series <= 100_000)
            .collect()
    }

    pub(crate) fn mixes(&self) -> Vec<Load> {
        self.sizes.iter().copied().map(Load::mix).collect()
    }

    /// The mix that is nearest to that size without being larger, or the smallest.
    pub(crate) fn mix_of(&self, series: usize) -> Load {
        let fitting = self.sizes.iter().copied().filter(|size| *size <= series).max();
        Load::mix(fitting.or(self.sizes.iter().copied().min()).unwrap_or(series))
    }
}
