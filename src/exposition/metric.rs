//! Builds metrics, with and without the feature `prometheus/protobuf`.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
    Untyped,
};

pub(crate) fn family(
    name: impl Into<String>,
    help: impl Into<String>,
    kind: MetricType,
    metrics: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

#[inline]
pub(crate) fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

/// Returns the label that the formats add to the series of a family of this type.
pub(in crate::exposition) fn reserved_label(kind: MetricType) -> Option<&'static str> {
    match kind {
        MetricType::HISTOGRAM => Some("le"),
        MetricType::SUMMARY => Some("quantile"),
        MetricType::COUNTER | MetricType::GAUGE | MetricType::UNTYPED => None,
    }
}

/// Sorts labels by their names, with one instance of the sort for all callers.
pub(crate) fn sort_labels(labels: &mut [LabelPair]) {
    labels.sort_by(|a, b| a.name().cmp(b.name()));
}

#[inline]
pub(crate) fn bucket(upper_bound: f64, cumulative_count: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(upper_bound);
    bucket.set_cumulative_count(cumulative_count);
    bucket
}

#[inline]
pub(crate) fn quantile(quantile: f64, value: f64) -> Quantile {
    let mut made = Quantile::default();
    made.set_quantile(quantile);
    made.set_value(value);
    made
}

/// Returns a histogram. `count` is the total.
pub(crate) fn of_buckets(labels: Vec<LabelPair>, buckets: Vec<Bucket>, sum: f64, count: u64) -> Metric {
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_sum(sum);
    histogram.set_sample_count(count);
    let mut metric = Metric::from_label(labels);
    metric.set_histogram(histogram);
    metric
}

/// Returns a summary.
pub(crate) fn of_quantiles(labels: Vec<LabelPair>, quantiles: Vec<Quantile>, sum: f64, count: u64) -> Metric {
    let mut summary = Summary::default();
    summary.set_quantile(quantiles);
    summary.set_sample_sum(sum);
    summary.set_sample_count(count);
    let mut metric = Metric::from_label(labels);
    metric.set_summary(summary);
    metric
}

/// Returns a metric with one value. Types other than counter and untyped become a gauge.
#[inline]
#[allow(deprecated, reason = "the only setters of an untyped value")]
pub(crate) fn of_value(kind: MetricType, labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut metric = Metric::from_label(labels);
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
        return metric;
    }
    // An untyped metric has a gauge, too, because the encoder reads it with the feature `prometheus/protobuf`.
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    metric.set_gauge(gauge);
    if kind == MetricType::UNTYPED {
        let mut untyped = Untyped::default();
        untyped.set_value(value);
        metric.set_untyped(untyped);
    }
    metric
}

/// A fallback for the method that exists only without the feature `protobuf`.
#[allow(dead_code, reason = "not needed without the feature")]
trait WithoutUntyped {
    fn set_untyped(&mut self, _: Untyped) {}
}

impl WithoutUntyped for Metric {}
