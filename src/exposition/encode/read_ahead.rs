//! Brings the labels and buckets of the next metrics into the cache before they are needed.
//!
//! A gathered metric is some ten allocations in no order, and encoding one takes less time than waiting for
//! its memory. Metric by metric the waits add up; reading a batch at once lets them overlap.

use std::hint::black_box;

use prometheus::proto::{Metric, MetricFamily};

/// Below this many metrics they are still in the cache from gathering, and reading ahead only costs.
const FROM: usize = 4096;

/// How many metrics to read at once.
const BATCH: usize = 32;

/// Without the feature `prometheus/protobuf`; with it buckets are bigger and some are not read ahead.
const BUCKETS_PER_CACHE_LINE: usize = 4;

/// Counts the metrics until the next batch.
pub(super) struct ReadAhead {
    on: bool,
    left: usize,
}

impl ReadAhead {
    pub(super) fn for_families(families: &[MetricFamily]) -> Self {
        Self { on: super::metrics(families) >= FROM, left: 0 }
    }

    /// To be called before each metric with those to come, of one family.
    #[inline]
    pub(super) fn step(&mut self, to_come: &[Metric]) {
        if !self.on {
            return;
        }
        if self.left == 0 {
            let batch = &to_come[..to_come.len().min(BATCH)];
            // What is read does not matter, only that the compiler cannot leave the reading out.
            black_box(batch.iter().fold(0, |read, metric| read ^ touch(metric)));
            self.left = batch.len();
        }
        self.left = self.left.saturating_sub(1);
    }
}

/// Reads something of each allocation that encoding will read.
fn touch(metric: &Metric) -> u64 {
    let first = |text: &str| u64::from(text.as_bytes().first().copied().unwrap_or_default());
    let labels =
        metric.get_label().iter().fold(0, |read, pair| read ^ first(pair.name()) ^ first(pair.value()));
    let buckets = metric.get_histogram().get_bucket().iter().step_by(BUCKETS_PER_CACHE_LINE);
    buckets.fold(labels, |read, bucket| read ^ bucket.cumulative_count())
}
