//! Collects the metrics of a family and converts them.

use std::borrow::Cow;

use prometheus::proto::{LabelPair, Metric, MetricFamily};

use super::distribution::{Distribution, set_timestamp};
use super::family_type::FamilyType;
use super::fault::Faults;
use crate::exposition::metric::{family, of_value};

/// Returns a metric with one value.
#[inline]
pub(super) fn metric(kind: FamilyType, labels: Vec<LabelPair>, value: f64, timestamp: i64) -> Metric {
    let mut metric = of_value(kind.metric_type(), labels, value);
    set_timestamp(&mut metric, timestamp);
    metric
}

/// A family and its metrics.
pub(super) struct Family<'t> {
    /// The name in its metadata.
    pub(super) name: Cow<'t, str>,
    pub(super) help: Option<Cow<'t, str>>,
    pub(super) kind: Option<FamilyType>,
    /// The metrics with one value.
    pub(super) metrics: Vec<Metric>,
    pub(super) distributions: Vec<Distribution>,
    /// The number of the line with its first sample.
    pub(super) line: u64,
}

impl<'t> Family<'t> {
    pub(super) fn new(name: Cow<'t, str>) -> Self {
        Family { name, help: None, kind: None, metrics: Vec::new(), distributions: Vec::new(), line: 0 }
    }

    pub(super) fn kind(&self) -> FamilyType {
        self.kind.unwrap_or(FamilyType::Untyped)
    }

    pub(super) fn is_sampled(&self) -> bool {
        !self.metrics.is_empty() || !self.distributions.is_empty()
    }

    /// Returns the family with the new `name`, if there is one. Returns `None` if it has no metrics.
    pub(super) fn finish(self, name: Option<String>, faults: &mut Faults) -> Option<MetricFamily> {
        let mut kind = self.kind();
        let Family { name: own, help, mut metrics, distributions, .. } = self;
        // A summary needs a count, and there is none.
        if kind == FamilyType::Summary && distributions.iter().all(Distribution::is_of_quantiles) {
            kind = FamilyType::Gauge;
            metrics.extend(distributions.into_iter().flat_map(Distribution::into_gauges));
        } else {
            metrics.reserve_exact(distributions.len());
            for distribution in distributions {
                let line = distribution.line;
                match distribution.finish(kind == FamilyType::Summary, faults) {
                    Ok(metric) => metrics.push(metric),
                    Err(fault) => faults.add(fault, line),
                }
            }
        }
        if metrics.is_empty() {
            return None;
        }
        let name = name.unwrap_or_else(|| own.into_owned());
        Some(family(name, help.unwrap_or_default(), kind.metric_type(), metrics))
    }
}
