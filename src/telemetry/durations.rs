//! A histogram of durations.

use std::time::Duration;

use prometheus::proto::{LabelPair, Metric};

use crate::exposition::metric;

/// Observed durations in seconds, by upper bound.
#[derive(Debug)]
pub(super) struct Durations {
    bounds: &'static [f64],
    /// The observations above the bound before and up to this one. Those above the last bound are in `count` only.
    buckets: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Durations {
    /// Creates a histogram with these upper bounds, which ascend.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Durations { bounds, buckets: vec![0; bounds.len()], sum: 0.0, count: 0 }
    }

    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket += 1;
        }
        self.sum += seconds;
        self.count += 1;
    }

    /// Returns the histogram with these labels.
    pub(super) fn metric(&self, labels: Vec<LabelPair>) -> Metric {
        let mut cumulative = 0;
        let buckets = self.bounds.iter().zip(&self.buckets).map(|(bound, count)| {
            cumulative += count;
            metric::bucket(*bound, cumulative)
        });
        metric::of_buckets(labels, buckets.collect(), self.sum, self.count)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::{Histogram, HistogramOpts};

    use super::*;

    #[test]
    fn counts_like_the_histogram_of_prometheus() {
        const BOUNDS: &[f64] = &[0.25, 0.5, 1.0];
        let opts = HistogramOpts::new("name", "help").buckets(BOUNDS.to_vec());
        let (oracle, mut durations) = (Histogram::with_opts(opts).unwrap(), Durations::new(BOUNDS));
        // Zero, bounds, values between them, and above the last one.
        for milliseconds in [0, 1, 250, 251, 500, 750, 1000, 1001, 60_000] {
            let duration = Duration::from_millis(milliseconds);
            oracle.observe(duration.as_secs_f64());
            durations.observe(duration);
            assert_eq!(durations.metric(Vec::new()), oracle.collect()[0].get_metric()[0], "{milliseconds}");
        }
    }
}
