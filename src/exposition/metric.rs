//! Makes a metric of one value, whichever way `prometheus` was built.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricType, Untyped};

/// Makes a metric of a family of this type: a counter's, an untyped one's, else a gauge's.
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
    // Of an untyped metric, too: where `prometheus` has the feature `protobuf`, the encoder reads this.
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
