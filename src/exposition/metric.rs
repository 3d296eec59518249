//! Builds a metric with one value, with and without the feature `prometheus/protobuf`.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricType, Untyped};

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
