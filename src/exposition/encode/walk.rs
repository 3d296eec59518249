//! Selects the metrics of a family that can be served, with a reason for each skipped one.

use std::borrow::Borrow;
use std::collections::HashSet;

use prometheus::proto::{Metric, MetricType};

use super::format::{EscapedFormat, Format};
use super::label::{self, LabelNames, Lead, NameCheck};
use super::openmetrics::{self, Validity};
use super::reading;
use super::skipped::SkipReason;
use super::writer::{Head, Series};
use crate::exposition::metric::reserved_label;

/// Iterates over the metrics of each family, once or twice as the format needs.
pub(super) struct Walk {
    names: LabelNames,
    format: &'static Format,
    /// The type by which the values are read, and the type in the exposition.
    kinds: (MetricType, MetricType),
}

impl Walk {
    pub(super) fn new(format: EscapedFormat) -> Self {
        let (escaping, format) = (format.escaping(), format.format());
        let names = LabelNames::new(escaping, format.is_openmetrics);
        Self { names, format, kinds: Default::default() }
    }

    /// Starts a family with values of this type and label names written by `lead`.
    pub(super) fn start_family(&mut self, kind: MetricType, head: &Head<'_>, lead: Lead) {
        self.names.start_family(reserved_label(kind), lead);
        self.kinds = (kind, head.kind);
    }

    /// Calls `serve` with each metric that can be served, and `skip` with the reason for each of the others.
    pub(super) fn metrics<M: Borrow<Metric>>(
        &mut self,
        metrics: impl IntoIterator<Item = M>,
        skip: &mut dyn FnMut(SkipReason),
        mut serve: impl FnMut(&Series<'_>),
    ) {
        let (kind, announced) = self.kinds;
        let mut previous: Option<M> = None;
        // A registry sorts the metrics of a family by their values, so equal series have only metrics with the same
        // values between them. These differ in their names, if the names are not uniform. An escape that changes the
        // order of the names is not considered, nor is a collector that changes it.
        let (mut uniform, mut of_same_values) = (true, HashSet::new());
        for item in metrics {
            let metric = item.borrow();
            let (labels, timestamp) = (metric.get_label(), metric.timestamp_ms());
            if timestamp < 0 && !self.format.has_negative_timestamps {
                skip(SkipReason::Timestamp);
                continue;
            }
            let names = self.names.follow(labels);
            if names == NameCheck::Unusable {
                skip(SkipReason::Labels);
                continue;
            }
            uniform &= names == NameCheck::AsBefore || previous.is_none();
            match previous.as_ref().map(Borrow::borrow) {
                Some(previous) if label::same_values(previous, metric) => {
                    if uniform || self.is_repeated(&mut of_same_values, previous, metric) {
                        skip(SkipReason::Repeated);
                        continue;
                    }
                }
                _ => of_same_values.clear(),
            }
            let Some(sample) = reading::sample(kind, metric) else {
                skip(SkipReason::Unreadable);
                continue;
            };
            if sample.repeats_a_bound() {
                skip(SkipReason::Repeated);
                continue;
            }
            let mut sum = true;
            if self.format.is_openmetrics {
                match openmetrics::validity(announced, &sample) {
                    Validity::Whole => {}
                    Validity::WithoutSum => {
                        skip(SkipReason::Sum);
                        sum = false;
                    }
                    Validity::Forbidden => {
                        skip(SkipReason::Forbidden);
                        continue;
                    }
                }
            }
            serve(&Series { names: &self.names, labels, timestamp, sample, sum });
            previous = Some(item);
        }
    }

    /// Returns whether a metric has the labels of an earlier one with the same values.
    #[cold]
    fn is_repeated(
        &self,
        of_same_values: &mut HashSet<Vec<(String, String)>>,
        previous: &Metric,
        metric: &Metric,
    ) -> bool {
        if of_same_values.is_empty() {
            of_same_values.insert(self.names.written(previous.get_label()));
        }
        !of_same_values.insert(self.names.written(metric.get_label()))
    }
}
