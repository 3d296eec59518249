//! What a format writes: the head of each family, and its metrics one by one.

use prometheus::proto::{LabelPair, MetricType};

use super::label::{self, LabelNames, Lead};
use super::output::Output;
use super::reading::Sample;

/// Writes an exposition in one format.
pub(super) trait Writer {
    /// Returns what the label names of a family are written with.
    fn lead(&self, _family: &str) -> Lead {
        label::bare
    }

    /// Returns the bytes that a metric takes in its family, if the format needs to know before it writes the family.
    fn metric_size(&self) -> Option<fn(&Series<'_>) -> usize> {
        None
    }

    /// Writes what comes before the metrics of a family, which take `bytes` in all.
    fn head(&mut self, out: &mut Output<'_>, head: &Head<'_>, bytes: usize);

    /// Writes one metric.
    fn metric(&mut self, out: &mut Output<'_>, series: &Series<'_>);

    /// Writes what comes after the last family.
    fn end(&mut self, _out: &mut Output<'_>) {}
}

/// The head of a family.
pub(super) struct Head<'f> {
    /// As it is written.
    pub(super) name: &'f str,
    /// As it is announced, which is not always what its values are read as.
    pub(super) kind: MetricType,
    pub(super) help: &'f str,
}

/// One metric, checked and ready to be written.
pub(super) struct Series<'m> {
    pub(super) names: &'m LabelNames,
    pub(super) labels: &'m [LabelPair],
    /// Milliseconds since the epoch, or zero for none.
    pub(super) timestamp: i64,
    pub(super) sample: Sample<'m>,
    /// Whether a histogram's or a summary's sum is written.
    pub(super) sum: bool,
}
