//! Collects the samples of a histogram or a summary, which are separate lines.

use prometheus::proto::{Bucket, LabelPair, Metric, MetricType, Quantile};

use super::fault::{Fault, Faults};
use super::labels::{self, Label};
use crate::exposition::metric;
use crate::util::error::ensure;

/// The most buckets that memory is reserved for, if the metric before has as many.
const MOST_FORESEEN: usize = 64;

/// One sample of a distribution.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// An upper bound and the count up to it.
    Bucket(f64, u64),
    Quantile(f64, f64),
    Sum(f64),
    Count(u64),
}

/// A histogram or a summary with the samples so far.
#[derive(Default)]
pub(super) struct Distribution {
    labels: Vec<LabelPair>,
    buckets: Vec<Bucket>,
    quantiles: Vec<Quantile>,
    /// The count of the bucket `+Inf`.
    all: Option<u64>,
    sum: Option<f64>,
    count: Option<u64>,
    timestamp: i64,
    /// Whether the bounds are not ascending, which is rare.
    is_unsorted: bool,
    /// The number of its first line.
    pub(super) line: u64,
}

impl Distribution {
    /// Returns an empty distribution with memory for as many buckets as `like`, the one before it.
    pub(super) fn new(labels: &[Label<'_>], like: Option<&Self>, line: u64) -> Self {
        let buckets = like.map_or(0, |like| like.buckets.len().min(MOST_FORESEEN));
        let quantiles = like.map_or(0, |like| like.quantiles.len().min(MOST_FORESEEN));
        Distribution {
            labels: labels::pairs(labels),
            buckets: Vec::with_capacity(buckets),
            quantiles: Vec::with_capacity(quantiles),
            line,
            ..Distribution::default()
        }
    }

    pub(super) fn has(&self, labels: &[Label<'_>]) -> bool {
        let same = |(pair, label): (&LabelPair, &Label<'_>)| {
            pair.name() == label.name && pair.value() == label.value
        };
        self.labels.len() == labels.len() && self.labels.iter().zip(labels).all(same)
    }

    #[inline]
    pub(super) fn add(&mut self, part: Part, timestamp: i64) -> Result<(), Fault> {
        match part {
            Part::Bucket(f64::INFINITY, all) => once(&mut self.all, all)?,
            Part::Bucket(bound, count) => {
                self.is_unsorted |= self.buckets.last().is_some_and(|last| last.upper_bound() >= bound);
                self.buckets.push(metric::bucket(bound, count));
            }
            Part::Quantile(bound, value) => {
                self.is_unsorted |= self.quantiles.last().is_some_and(|last| last.quantile() >= bound);
                self.quantiles.push(metric::quantile(bound, value));
            }
            Part::Sum(sum) => once(&mut self.sum, sum)?,
            Part::Count(count) => once(&mut self.count, count)?,
        }
        // A metric has one timestamp. The first one in its samples is used.
        if self.timestamp == 0 {
            self.timestamp = timestamp;
        }
        Ok(())
    }

    /// Returns whether there are only quantiles. OpenMetrics requires no other samples in a summary.
    pub(super) fn is_of_quantiles(&self) -> bool {
        self.sum.is_none() && self.count.is_none()
    }

    /// Returns a gauge for each quantile.
    pub(super) fn into_gauges(self) -> impl Iterator<Item = Metric> {
        let Distribution { labels, quantiles, timestamp, .. } = self;
        quantiles.into_iter().map(move |quantile| {
            // With a decimal point, as in OpenMetrics and Prometheus.
            let bound = metric::label("quantile", &format!("{:?}", quantile.quantile()));
            let mut labels = labels.clone();
            labels.insert(labels.partition_point(|label| label.name() < "quantile"), bound);
            let mut gauge = metric::of_value(MetricType::GAUGE, labels, quantile.value());
            set_timestamp(&mut gauge, timestamp);
            gauge
        })
    }

    /// Returns the metric. An absent sum becomes NaN, because zero is a valid sum.
    pub(super) fn finish(mut self, is_summary: bool, faults: &mut Faults) -> Result<Metric, Fault> {
        let count = self.count.or(self.all).ok_or(Fault::Uncounted)?;
        if self.is_unsorted {
            self.sort(faults);
        }
        let sum = self.sum.unwrap_or(f64::NAN);
        let mut made = if is_summary {
            metric::of_quantiles(self.labels, self.quantiles, sum, count)
        } else {
            // In `prometheus` the encoder adds the bucket `+Inf`. One that contradicts the count is served unchanged.
            let contradicting = self.all.filter(|all| *all != count);
            self.buckets.extend(contradicting.map(|all| metric::bucket(f64::INFINITY, all)));
            metric::of_buckets(self.labels, self.buckets, sum, count)
        };
        set_timestamp(&mut made, self.timestamp);
        Ok(made)
    }

    /// Sorts buckets and quantiles by bound. If two have the same bound, the first is kept.
    fn sort(&mut self, faults: &mut Faults) {
        let all = self.buckets.len() + self.quantiles.len();
        self.buckets.sort_by(|a, b| a.upper_bound().total_cmp(&b.upper_bound()));
        self.buckets.dedup_by(|later, first| later.upper_bound() == first.upper_bound());
        self.quantiles.sort_by(|a, b| a.quantile().total_cmp(&b.quantile()));
        self.quantiles.dedup_by(|later, first| later.quantile() == first.quantile());
        for _ in self.buckets.len() + self.quantiles.len()..all {
            faults.add(Fault::Repeated, self.line);
        }
    }
}

fn once<V>(field: &mut Option<V>, value: V) -> Result<(), Fault> {
    ensure(field.is_none(), Fault::Repeated)?;
    *field = Some(value);
    Ok(())
}

/// Sets the timestamp of a metric, unless it is zero.
///
/// In `prometheus` zero means no timestamp. With its feature `protobuf`, a timestamp that is set to zero is one.
pub(super) fn set_timestamp(metric: &mut Metric, timestamp: i64) {
    if timestamp != 0 {
        metric.set_timestamp_ms(timestamp);
    }
}
