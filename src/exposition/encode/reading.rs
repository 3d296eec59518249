//! Reads the value of a metric, with and without the feature `prometheus/protobuf`.
//!
//! Any crate of the build may enable the feature, and this crate cannot detect it. The accessor of a counter's value
//! is `value()` with the feature and `get_value()` without. Untyped metrics have accessors only without.
//!
//! So a private trait has a fallback of each accessor. An inherent method has precedence over it. If there is none,
//! the fallback calls the accessor that exists.

use prometheus::proto::{Counter, Gauge, Histogram, Metric, MetricType, Summary, Untyped};

/// The value of a metric, by the type of its family.
pub(in crate::exposition) enum Sample<'m> {
    Counter(f64),
    Gauge(f64),
    Untyped(f64),
    Histogram(&'m Histogram),
    Summary(&'m Summary),
}

/// Returns the value of a metric, or `None` if it is untyped and cannot be read.
///
/// The collectors of this crate set the gauge of an untyped metric, too, so that it can always be read.
pub(in crate::exposition) fn sample(kind: MetricType, metric: &Metric) -> Option<Sample<'_>> {
    Some(match kind {
        MetricType::COUNTER => Sample::Counter(Value::value(counter(metric))),
        MetricType::GAUGE => Sample::Gauge(Value::value(gauge(metric))),
        MetricType::UNTYPED => Sample::Untyped(untyped(metric).or_else(|| set_gauge(metric))?),
        MetricType::HISTOGRAM => Sample::Histogram(metric.get_histogram()),
        MetricType::SUMMARY => Sample::Summary(metric.get_summary()),
    })
}

/// Returns the counter of a metric. With the feature, the return type dereferences a `MessageField<Counter>`.
fn counter(metric: &Metric) -> &Counter {
    metric.get_counter()
}

fn gauge(metric: &Metric) -> &Gauge {
    metric.get_gauge()
}

/// Returns the value of the gauge, if it was set.
///
/// With the feature, a gauge that was never set has no value, so it differs from every gauge that was set.
fn set_gauge(metric: &Metric) -> Option<f64> {
    let gauge = gauge(metric);
    (*gauge != Gauge::default()).then(|| Value::value(gauge))
}

#[allow(deprecated, reason = "only without the feature, but there is no other way to the value")]
fn untyped(metric: &Metric) -> Option<f64> {
    metric.get_untyped().readable()
}

#[allow(dead_code, reason = "in each build one of the two is not needed")]
trait Value {
    fn value(&self) -> f64;
    fn get_value(&self) -> f64;
}

impl Value for Counter {
    fn value(&self) -> f64 {
        self.get_value()
    }

    fn get_value(&self) -> f64 {
        self.value()
    }
}

impl Value for Gauge {
    fn value(&self) -> f64 {
        self.get_value()
    }

    fn get_value(&self) -> f64 {
        self.value()
    }
}

impl Value for Untyped {
    #[allow(deprecated, reason = "as above")]
    fn value(&self) -> f64 {
        self.get_value()
    }

    fn get_value(&self) -> f64 {
        self.value()
    }
}

#[allow(dead_code, reason = "not needed without the feature")]
trait WithoutUntyped {
    fn get_untyped(&self) -> &Unreadable {
        &Unreadable
    }
}

impl WithoutUntyped for Metric {}

struct Unreadable;

trait Readable {
    fn readable(&self) -> Option<f64>;
}

impl Readable for Untyped {
    fn readable(&self) -> Option<f64> {
        Some(Value::value(self))
    }
}

impl Readable for Unreadable {
    fn readable(&self) -> Option<f64> {
        None
    }
}
