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

    /// Shows each metric that can be served to `each`, and each cause for leaving something out.
    pub(super) fn metrics<M: Metrics>(
        &mut self,
        mut metrics: M,
        mut each: impl FnMut(Result<&Series<'_>, Cause>),
    ) {
        let (kind, announced) = self.kinds;
        let mut previous: Option<M::Item> = None;
        loop {
            self.read_ahead.step(metrics.to_come());
            let Some(item) = metrics.next() else { break };
            let metric = item.borrow();
            let names = self.names.follow(metric.get_label());
            if names == Judgement::Unusable {
                each(Err(Cause::Labels));
                continue;
            }
            let repeats = |previous: &M::Item| label::same_values(previous.borrow(), metric);
            if names == Judgement::AsBefore && previous.as_ref().is_some_and(repeats) {
                each(Err(Cause::Repeated));
                continue;
            }
            let Some(sample) = reading::sample(kind, metric) else {
                each(Err(Cause::Unreadable));
                continue;
            };
            let ruling =
                if self.openmetrics { openmetrics::ruling(announced, &sample) } else { Ruling::Whole };
            match ruling {
                Ruling::Whole => {}
                Ruling::WithoutSum => each(Err(Cause::Sum)),
                Ruling::Forbidden => {
                    each(Err(Cause::Forbidden));
                    continue;
                }
            }
            each(Ok(&Series {
                names: &self.names,
                labels: metric.get_label(),
                timestamp: metric.timestamp_ms(),
                sample,
                sum: ruling == Ruling::Whole,
            }));
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
