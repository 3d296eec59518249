//! The interface of the formats: a writer of family heads and metrics.

use prometheus::proto::{LabelPair, MetricType};

use super::label::{self, LabelNames, Lead};
use super::output::Output;
use super::reading::Sample;

/// Writes an exposition in one format.
pub(super) trait Writer {
    /// Returns the function that writes the label names of a family.
    fn lead(&self, _head: &Head<'_>) -> Lead {
        label::bare
    }

    /// Returns a function that measures a metric in bytes, if the head of a family contains the family's size.
    fn metric_size(&self) -> Option<fn(&Series<'_>) -> usize> {
        None
    }

    /// Writes the part before the metrics of a family, which take `bytes` in total.
    fn head(&mut self, out: &mut Output<'_>, head: &Head<'_>, bytes: usize);

    /// Writes one metric.
    fn metric(&mut self, out: &mut Output<'_>, series: &Series<'_>);

    /// Writes the part after the last family.
    fn end(&mut self, _out: &mut Output<'_>) {}
}

/// The head of a family.
pub(super) struct Head<'f> {
    /// The escaped name.
    pub(super) name: &'f str,
    /// Whether the name needs quotes in a text format.
    pub(super) is_quoted: bool,
    /// The type in the exposition. Values may be read by another type.
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
