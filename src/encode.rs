//! Families in, the bytes of an exposition out.
//!
//! Pure: no I/O, no clock. This file walks the families, keeps out what would cost Prometheus the whole
//! scrape and counts it; a format's file writes what is left. The output leaves in [pieces](Sink), so it is
//! never in memory twice.

use std::{borrow::Borrow, collections::HashSet, slice, vec};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

mod escape;
mod label;
mod name;
mod number;
mod omission;
mod piece;
mod read_ahead;
mod reading;
#[cfg(test)]
mod tests;
mod text;

pub use omission::{Cause, Omission, Omissions};
pub use piece::{PIECE, Pieces, Sink};

use label::{LabelNames, Names};
use piece::Output;
use read_ahead::ReadAhead;
use reading::Sample;

/// How an exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text exposition format 0.0.4.
    Text,
}

impl Format {
    /// The `Content-Type` that announces this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => text::CONTENT_TYPE,
        }
    }
}

/// Writes `families` to `sink` and leaves them as they are.
///
/// What cannot be served without breaking the scrape is left out; the result tells what and why.
pub fn encode(format: Format, families: &[MetricFamily], sink: &mut impl Sink) -> Omissions {
    let mut encoding = Encoding::new(format, families, sink);
    for family in families {
        encoding.family(family, family.get_metric().iter());
    }
    encoding.finish()
}

/// Writes `families` to `sink` and drops each metric once it is written, so that the peak is about the
/// families plus what the sink keeps. Otherwise the same as [`encode`].
pub fn encode_consuming(format: Format, families: Vec<MetricFamily>, sink: &mut impl Sink) -> Omissions {
    let mut encoding = Encoding::new(format, &families, sink);
    for mut family in families {
        let metrics = family.take_metric().into_iter();
        encoding.family(&family, metrics);
    }
    encoding.finish()
}

/// The metrics of one family, borrowed or owned, with a view of those to come.
trait Metrics: Iterator<Item: Borrow<Metric>> {
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

/// One metric, checked and ready to be written.
struct Series<'m> {
    /// The name of its family, as it is to be written.
    name: &'m str,
    names: &'m LabelNames,
    labels: &'m [LabelPair],
    /// Milliseconds since the epoch, or zero for none.
    timestamp: i64,
    sample: Sample<'m>,
}

/// One exposition in the making.
struct Encoding<'s, S: Sink> {
    out: Output<'s, S>,
    format: Format,
    lines: text::Lines,
    names: LabelNames,
    taken: HashSet<String>,
    read_ahead: ReadAhead,
    omissions: Omissions,
}

impl<'s, S: Sink> Encoding<'s, S> {
    fn new(format: Format, families: &[MetricFamily], sink: &'s mut S) -> Self {
        Self {
            out: Output::new(sink),
            format,
            lines: text::Lines::new(),
            names: LabelNames::default(),
            taken: HashSet::with_capacity(families.len()),
            read_ahead: ReadAhead::for_families(families),
            omissions: Omissions::default(),
        }
    }

    fn family<M: Metrics>(&mut self, family: &MetricFamily, mut metrics: M) {
        if family.name().is_empty() {
            return self.omissions.add(Cause::Nameless, family.help());
        }
        if metrics.to_come().is_empty() {
            return self.omissions.add(Cause::Empty, family.name());
        }
        // The text format: "Only one HELP line may exist for any given metric name", and the same for TYPE.
        let name = name::metric_name(family.name());
        if !self.taken.insert(name.to_string()) {
            return self.omissions.add(Cause::NameTaken, family.name());
        }

        let kind = family.get_field_type();
        self.names.start_family(reserved_label(kind));
        // A head without a series says nothing, so it waits for the first one that is served.
        let mut headed = false;
        let mut previous: Option<M::Item> = None;
        loop {
            self.read_ahead.step(metrics.to_come());
            let Some(item) = metrics.next() else { break };
            let metric = item.borrow();
            let names = self.names.follow(metric.get_label());
            if names == Names::Unusable {
                self.omissions.add(Cause::Labels, family.name());
                continue;
            }
            let repeats = |previous: &M::Item| label::same_values(previous.borrow(), metric);
            if names == Names::AsBefore && previous.as_ref().is_some_and(repeats) {
                self.omissions.add(Cause::Repeated, family.name());
                continue;
            }
            let Some(sample) = reading::sample(kind, metric) else {
                self.omissions.add(Cause::Unreadable, family.name());
                continue;
            };
            let series = Series {
                name: &name,
                names: &self.names,
                labels: metric.get_label(),
                timestamp: metric.timestamp_ms(),
                sample,
            };
            match self.format {
                Format::Text => {
                    if !headed {
                        text::head(&mut self.out, &name, family.help(), kind);
                        headed = true;
                    }
                    self.lines.metric(&mut self.out, &series);
                }
            }
            previous = Some(item);
        }
    }

    fn finish(self) -> Omissions {
        self.out.finish();
        self.omissions
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
