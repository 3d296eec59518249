//! The way through the metrics of a family: which can be served, and why the others can not.

use std::{borrow::Borrow, slice, vec};

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{
    Cause, Choice, Head, Series,
    label::{self, Judgement, LabelNames, Lead},
    openmetrics::{self, Ruling},
    read_ahead::ReadAhead,
    reading,
};

/// The metrics of one family, borrowed or owned, with a view of those to come.
pub(super) trait Metrics: Iterator<Item: Borrow<Metric>> {
    fn to_come(&self) -> &[Metric];
}

impl Metrics for slice::Iter<'_, Metric> {
    fn to_come(&self) -> &[Metric] {
        self.as_slice()
    }
}

impl Metrics for vec::IntoIter<Metric> {
    fn to_come(&self) -> &[Metric] {
        self.as_slice()
    }
}

/// Walks family after family, each as often as its format needs.
pub(super) struct Walk {
    names: LabelNames,
    read_ahead: ReadAhead,
    openmetrics: bool,
    /// What the values of the family are read as, and what they are announced as.
    kinds: (MetricType, MetricType),
}

impl Walk {
    pub(super) fn new(choice: Choice, families: &[MetricFamily]) -> Self {
        Self {
            names: LabelNames::new(choice),
            read_ahead: ReadAhead::for_families(families),
            openmetrics: choice.format.is_openmetrics(),
            kinds: Default::default(),
        }
    }

    /// Goes on to a family whose values are of this kind and whose label names are written by `lead`.
    pub(super) fn start_family(&mut self, kind: MetricType, head: &Head<'_>, lead: Lead) {
        self.names.start_family(reserved_label(kind), lead);
        self.kinds = (kind, head.kind);
    }

    /// Serves each metric that can be served; for whatever is left out `omit` is told the cause.
    pub(super) fn metrics<M: Metrics>(
        &mut self,
        mut metrics: M,
        omit: &mut dyn FnMut(Cause),
        mut serve: impl FnMut(&Series<'_>),
    ) {
        let (kind, announced) = self.kinds;
        let mut previous: Option<M::Item> = None;
        loop {
            self.read_ahead.step(metrics.to_come());
            let Some(item) = metrics.next() else { break };
            let metric = item.borrow();
            let names = self.names.follow(metric.get_label());
            if names == Judgement::Unusable {
                omit(Cause::Labels);
                continue;
            }
            let repeats = |previous: &M::Item| label::same_values(previous.borrow(), metric);
            if names == Judgement::AsBefore && previous.as_ref().is_some_and(repeats) {
                omit(Cause::Repeated);
                continue;
            }
            let Some(sample) = reading::sample(kind, metric) else {
                omit(Cause::Unreadable);
                continue;
            };
            let mut sum = true;
            if self.openmetrics {
                match openmetrics::ruling(announced, &sample) {
                    Ruling::Whole => {}
                    Ruling::WithoutSum => {
                        omit(Cause::Sum);
                        sum = false;
                    }
                    Ruling::Forbidden => {
                        omit(Cause::Forbidden);
                        continue;
                    }
                }
            }
            let (labels, timestamp) = (metric.get_label(), metric.timestamp_ms());
            serve(&Series { names: &self.names, labels, timestamp, sample, sum });
            previous = Some(item);
        }
    }
}

/// The label that the format itself adds to a family's series.
fn reserved_label(kind: MetricType) -> Option<&'static str> {
    match kind {
        MetricType::HISTOGRAM => Some("le"),
        MetricType::SUMMARY => Some("quantile"),
        MetricType::COUNTER | MetricType::GAUGE | MetricType::UNTYPED => None,
    }
}
