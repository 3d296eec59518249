//! Families in, the bytes of an exposition out.
//!
//! Pure: no I/O, no clock. First a [plan] gives each family its name, then a [walk] keeps out what would cost
//! Prometheus the whole scrape, and a format's file writes what is left. The output leaves in [pieces](Sink), so
//! it is never in memory twice.

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

mod escape;
mod format;
mod label;
mod line;
mod name;
mod number;
mod omission;
mod openmetrics;
mod piece;
mod plan;
#[cfg_attr(not(feature = "protobuf"), path = "encode/protobuf/disabled.rs")]
mod protobuf;
mod read_ahead;
mod reading;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub use format::{Choice, Escaping, Format};
pub use omission::{Cause, Omission, Omissions};
pub use piece::{PIECE, Pieces, Sink, Spares};

use crate::exposition::filter::Names;
use label::LabelNames;
use piece::Output;
use plan::Naming;
use protobuf::Messages;
use reading::Sample;
use text::Lines;
use walk::{Metrics, Walk};

/// Fewer metrics are dropped once their exposition has been handed over, for nobody need wait for that. Where they are
/// more, memory counts, and each goes as it is encoded. A thousand histograms of a dozen buckets are lines of 1.5 MB.
const MANY: usize = 1024;

/// Whether the families hold so many metrics that they are to be consumed where nobody else needs them.
pub fn are_many(families: &[MetricFamily]) -> bool {
    metrics(families) >= MANY
}

fn metrics(families: &[MetricFamily]) -> usize {
    families.iter().map(|family| family.get_metric().len()).sum()
}

/// Writes those of the `families` that `names` wants to `sink` and leaves them as they are.
///
/// What cannot be served without breaking the scrape is left out; the result tells what and why. A filter
/// shows a part of the whole: what a family is called does not depend on which others are wanted.
pub fn encode(choice: Choice, names: &Names, families: &[MetricFamily], sink: &mut impl Sink) -> Omissions {
    let choice = Choice::escaped(choice.format, choice.escaping);
    let mut encoding = Encoding::new(choice, families, sink);
    for (family, naming) in families.iter().zip(plan::names(choice, families)) {
        if wanted(names, family, &naming) {
            encoding.family(family, naming, family.get_metric().iter());
        }
    }
    encoding.finish()
}

/// Writes `families` to `sink` and drops each metric once it is written, so that the peak is about the
/// families plus what the sink keeps. Otherwise the same as [`encode`].
pub fn encode_consuming(
    choice: Choice,
    names: &Names,
    families: Vec<MetricFamily>,
    sink: &mut impl Sink,
) -> Omissions {
    let choice = Choice::escaped(choice.format, choice.escaping);
    let mut encoding = Encoding::new(choice, &families, sink);
    let namings = plan::names(choice, &families);
    for (mut family, naming) in families.into_iter().zip(namings) {
        if wanted(names, &family, &naming) {
            let metrics = family.take_metric().into_iter();
            encoding.family(&family, naming, metrics);
        }
    }
    encoding.finish()
}

/// Whether the filter wants a family, by its name or by that of one of its samples: as they were gathered, and as the
/// client sees them.
fn wanted(names: &Names, family: &MetricFamily, naming: &Result<Naming, Cause>) -> bool {
    let suffixes: &[&str] = match family.get_field_type() {
        MetricType::HISTOGRAM => &["_bucket", "_sum", "_count"],
        MetricType::SUMMARY => &["_sum", "_count"],
        MetricType::COUNTER | MetricType::GAUGE | MetricType::UNTYPED => &[],
    };
    names.want(family.name(), suffixes)
        || naming.as_ref().is_ok_and(|naming| names.want(naming.name(family), suffixes))
}

/// What stands at the head of a family.
struct Head<'f> {
    /// As it is written.
    name: &'f str,
    /// As it is announced, which is not always what its values are read as.
    kind: MetricType,
    help: &'f str,
}

/// One metric, checked and ready to be written.
struct Series<'m> {
    names: &'m LabelNames,
    labels: &'m [LabelPair],
    /// Milliseconds since the epoch, or zero for none.
    timestamp: i64,
    sample: Sample<'m>,
    /// Whether a histogram's or a summary's sum is written.
    sum: bool,
}

/// What writes the families.
#[allow(clippy::large_enum_variant, reason = "there is one, and it stays where it is")]
enum Form {
    Lines(Lines),
    Messages(Messages),
}

impl Form {
    fn new(format: Format) -> Self {
        match Messages::of(format) {
            Some(messages) => Form::Messages(messages),
            None if format.is_openmetrics() => Form::Lines(Lines::new(&openmetrics::DIALECT)),
            None => Form::Lines(Lines::new(&text::DIALECT)),
        }
    }

    /// Writes what comes before the metrics of a family, whose messages take `bytes` in all.
    fn head(&mut self, out: &mut Output<'_, impl Sink>, head: &Head<'_>, bytes: usize) {
        match self {
            Form::Lines(lines) => lines.head(out, head),
            Form::Messages(messages) => messages.head(out, head, bytes),
        }
    }

    fn metric(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>) {
        match self {
            Form::Lines(lines) => lines.metric(out, series),
            Form::Messages(messages) => messages.metric(out, series),
        }
    }

    fn end(self, out: &mut Output<'_, impl Sink>) {
        match self {
            Form::Lines(lines) => lines.end(out),
            Form::Messages(_) => {}
        }
    }
}

/// One exposition in the making.
struct Encoding<'s, S: Sink> {
    out: Output<'s, S>,
    form: Form,
    walk: Walk,
    omissions: Omissions,
}

impl<'s, S: Sink> Encoding<'s, S> {
    fn new(choice: Choice, families: &[MetricFamily], sink: &'s mut S) -> Self {
        Self {
            out: Output::new(sink),
            form: Form::new(choice.format),
            walk: Walk::new(choice, families),
            omissions: Omissions::default(),
        }
    }

    fn family<M: Metrics>(&mut self, family: &MetricFamily, naming: Result<Naming, Cause>, metrics: M) {
        let Self { out, form, walk, omissions } = self;
        let naming = match naming {
            Ok(naming) => naming,
            Err(Cause::Nameless) => return omissions.add(Cause::Nameless, family.help()),
            Err(cause) => return omissions.add(cause, family.name()),
        };
        let head = Head { name: naming.name(family), kind: naming.kind, help: family.help() };
        let lead = match form {
            Form::Lines(_) => text::lead(head.name),
            Form::Messages(_) => label::bare,
        };
        walk.start_family(family.get_field_type(), &head, lead);

        // A message begins with its length. Measuring walks the same way as writing, so both leave out the same.
        let mut bytes = 0;
        if let Form::Messages(messages) = form {
            walk.metrics(metrics.to_come().iter(), &mut |_| {}, |series| {
                bytes += messages.metric_size(series)
            });
        }
        // A head without a series says nothing, so it waits for the first one that is served.
        let mut headed = false;
        let mut omit = |cause| omissions.add(cause, family.name());
        walk.metrics(metrics, &mut omit, |series| {
            if !headed {
                form.head(out, &head, bytes);
                headed = true;
            }
            form.metric(out, series);
        });
    }

    fn finish(self) -> Omissions {
        let Self { mut out, form, walk: _, omissions } = self;
        form.end(&mut out);
        out.finish();
        omissions
    }
}
