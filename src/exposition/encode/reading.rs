//! Reads the value of a metric, with and without the feature `prometheus/protobuf`.
//!
//! Any crate of the build may enable the feature, and this crate cannot detect it. The accessor of a counter's value
//! is `value()` with the feature and `get_value()` without. Untyped metrics have accessors only without.
//!
//! So a private trait has a fallback of each accessor. An inherent method has precedence over it. If there is none,
//! the fallback calls the accessor that exists.

use std::collections::HashSet;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, Metric, MetricType, Quantile, Summary, Untyped};

/// The value of a metric, by the type of its family.
pub(in crate::exposition) enum Sample<'m> {
    Counter(f64),
    Gauge(f64),
    Untyped(f64),
    Histogram(&'m Histogram),
    Summary(&'m Summary),
}

impl Sample<'_> {
    /// Returns whether two buckets or two quantiles have the same bound, so are the same series.
    pub(super) fn repeats_a_bound(&self) -> bool {
        match self {
            Sample::Histogram(histogram) => repeats(histogram.get_bucket(), Bucket::upper_bound),
            Sample::Summary(summary) => repeats(summary.get_quantile(), Quantile::quantile),
            Sample::Counter(_) | Sample::Gauge(_) | Sample::Untyped(_) => false,
        }
    }
}

fn repeats<T>(entries: &[T], bound: impl Fn(&T) -> f64) -> bool {
    // The usual case, which needs no list.
    if entries.is_sorted_by(|a, b| bound(a) < bound(b)) {
        return false;
    }
    // Prometheus writes all NaN alike, and -0 like 0.
    let bits = |bound: f64| if bound.is_nan() { f64::NAN } else { bound + 0.0 }.to_bits();
    let mut seen = HashSet::new();
    !entries.iter().all(|entry| seen.insert(bits(bound(entry))))
}

/// Returns the value of a metric, or `None` if it is untyped and cannot be read.
///
/// The collectors of this crate set the gauge of an untyped metric, too, so that it can always be read. With the
/// feature, the fields of a metric are of the type `MessageField`, which dereferences to the types here.
#[allow(deprecated, reason = "only without the feature, but there is no other way to an untyped value")]
pub(in crate::exposition) fn sample(kind: MetricType, metric: &Metric) -> Option<Sample<'_>> {
    Some(match kind {
        MetricType::COUNTER => Sample::Counter(Counter::value(metric.get_counter())),
        MetricType::GAUGE => Sample::Gauge(Gauge::value(metric.get_gauge())),
        MetricType::UNTYPED => Sample::Untyped(metric.get_untyped().readable()?),
        MetricType::HISTOGRAM => Sample::Histogram(metric.get_histogram()),
        MetricType::SUMMARY => Sample::Summary(metric.get_summary()),
    })
}

#[allow(dead_code, reason = "in each build one of the two is not needed")]
trait Value {
    fn value(&self) -> f64;
    fn get_value(&self) -> f64;
}

macro_rules! values {
    ($($type:ident)*) => {$(
        #[allow(deprecated, reason = "as above")]
        impl Value for $type {
            fn value(&self) -> f64 {
                self.get_value()
            }

            fn get_value(&self) -> f64 {
                self.value()
            }
        }
    )*};
}

values! { Counter Gauge Untyped }

#[allow(dead_code, reason = "not needed without the feature")]
trait WithoutUntyped {
    fn get_untyped(&self) -> &Gauge;
}

impl WithoutUntyped for Metric {
    fn get_untyped(&self) -> &Gauge {
        self.get_gauge()
    }
}

/// The value of an untyped metric, or of the gauge that is read in its place.
trait Readable {
    fn readable(&self) -> Option<f64>;
}

impl Readable for Untyped {
    fn readable(&self) -> Option<f64> {
        Some(Untyped::value(self))
    }
}

impl Readable for Gauge {
    /// With the feature, a gauge that was never set has no value, so it differs from every gauge that was set.
    fn readable(&self) -> Option<f64> {
        (*self != Gauge::default()).then(|| Gauge::value(self))
    }
}
