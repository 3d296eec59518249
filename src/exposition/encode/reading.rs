//! Reads a metric's value, whichever way `prometheus` was built.
//!
//! Any crate in the tree may switch on the feature `prometheus/protobuf`, and we cannot see it. With it a
//! counter's value is `value()`, without it `get_value()`, and untyped metrics have accessors only without.
//! So each name gets a fallback in a private trait: an inherent method always wins, and where there is none
//! the fallback goes on to the name that exists.

use prometheus::proto::{Counter, Gauge, Histogram, Metric, MetricType, Summary, Untyped};

/// What a metric holds, by the type of its family.
pub(in crate::exposition) enum Sample<'m> {
    Counter(f64),
    Gauge(f64),
    Untyped(f64),
    Histogram(&'m Histogram),
    Summary(&'m Summary),
}

/// `None` for an untyped metric that cannot be read. The collectors of this crate set a gauge in it, too.
pub(in crate::exposition) fn sample(kind: MetricType, metric: &Metric) -> Option<Sample<'_>> {
    Some(match kind {
        MetricType::COUNTER => Sample::Counter(Value::value(counter(metric))),
        MetricType::GAUGE => Sample::Gauge(Value::value(gauge(metric))),
        MetricType::UNTYPED => Sample::Untyped(untyped(metric).or_else(|| set_gauge(metric))?),
        MetricType::HISTOGRAM => Sample::Histogram(metric.get_histogram()),
        MetricType::SUMMARY => Sample::Summary(metric.get_summary()),
    })
}

/// With the feature this is a `MessageField<Counter>`, which becomes a `Counter` by returning it as one.
fn counter(metric: &Metric) -> &Counter {
    metric.get_counter()
}

fn gauge(metric: &Metric) -> &Gauge {
    metric.get_gauge()
}

/// With the feature a gauge that was never set has no value, and so differs from every gauge that was.
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
