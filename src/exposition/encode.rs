//! Encodes metric families as an exposition, without I/O and without a clock.
//!
//! 1. The [plan] names each family.
//! 2. The [walk] skips metrics that would make Prometheus reject the whole scrape.
//! 3. The writer of a [format](FORMATS) writes the rest.

mod escape;
mod escaping;
mod format;
mod label;
mod line;
mod name;
mod number;
mod openmetrics;
mod output;
mod plan;
#[cfg(feature = "protobuf")]
mod protobuf;
pub(in crate::exposition) mod reading;
mod skipped;
mod text;
mod walk;
mod writer;

use std::borrow::Borrow;

use prometheus::proto::{Metric, MetricFamily, MetricType};

pub use escaping::Escaping;
pub use format::{EscapedFormat, Escapings, Format};
pub(crate) use name::{is_label_name, is_metric_name};
pub use openmetrics::{OPENMETRICS_001, OPENMETRICS_100};
#[cfg(feature = "protobuf")]
pub use protobuf::PROTOBUF;
pub use skipped::{SkipCount, SkipReason, Skipped};
pub use text::{TEXT_004, TEXT_100};

use crate::exposition::chunk::Sink;
use crate::exposition::filter::Names;
use output::Output;
use plan::Naming;
use walk::Walk;
use writer::{Head, Writer};

/// All formats. The first one wins a tie in `Accept`.
///
/// The order is that of Prometheus' `DefaultProtoFirstScrapeProtocols`. The formats before text 1.0.0 are opt-in on
/// both sides, so a client with a tie wants them. Text 0.0.4 is last because it is the fallback.
pub static FORMATS: &[&Format] = &[
    #[cfg(feature = "protobuf")]
    &PROTOBUF,
    &OPENMETRICS_100,
    &OPENMETRICS_001,
    &TEXT_100,
    &TEXT_004,
];

/// The format for clients whose `Accept` names no format of [`FORMATS`].
pub const FALLBACK: EscapedFormat = EscapedFormat::plain(&TEXT_004);

/// The number of metrics from which [`encode_consuming`] is used.
///
/// It drops each metric once it is encoded, which saves memory. Fewer metrics are dropped after the exposition is
/// delivered, so the scrape does not wait for the drops. A thousand histograms of 12 buckets take 1.5 MB of lines.
const MANY: usize = 1024;

/// Returns whether the families hold enough metrics for [`encode_consuming`], if no other encoding needs them.
pub fn are_many(families: &[MetricFamily]) -> bool {
    families.iter().map(|family| family.get_metric().len()).sum::<usize>() >= MANY
}

/// Writes the `families` that `names` selects to `sink` and leaves them unchanged.
///
/// Families and metrics that would break the scrape are skipped. The result lists them with their reasons.
/// The filter does not affect the names: a family has the same name as in the unfiltered exposition.
pub fn encode(
    format: EscapedFormat,
    names: &Names,
    families: &[MetricFamily],
    sink: &mut dyn Sink,
) -> Skipped {
    let mut encoder = Encoder::new(format, sink);
    for (family, naming) in families.iter().zip(plan::names(format, families)) {
        if wanted(names, family, &naming) {
            encoder.family(family, naming, family.get_metric());
        }
    }
    encoder.finish()
}

/// Works like [`encode`], but drops each metric once it is written.
///
/// The peak memory is about the families plus the chunks that the sink keeps.
pub fn encode_consuming(
    format: EscapedFormat,
    names: &Names,
    families: Vec<MetricFamily>,
    sink: &mut dyn Sink,
) -> Skipped {
    let mut encoder = Encoder::new(format, sink);
    let namings = plan::names(format, &families);
    for (mut family, naming) in families.into_iter().zip(namings) {
        if wanted(names, &family, &naming) {
            let metrics = family.take_metric();
            encoder.family(&family, naming, metrics);
        }
    }
    encoder.finish()
}

/// Returns whether the filter selects a family, by its name or the name of one of its samples.
///
/// Both the gathered names and the names in the exposition count.
fn wanted(names: &Names, family: &MetricFamily, naming: &Result<Naming, SkipReason>) -> bool {
    let suffixes: &[&str] = match family.get_field_type() {
        MetricType::HISTOGRAM => &["_bucket", "_sum", "_count"],
        MetricType::SUMMARY => &["_sum", "_count"],
        MetricType::COUNTER | MetricType::GAUGE | MetricType::UNTYPED => &[],
    };
    names.want(family.name(), suffixes)
        || naming.as_ref().is_ok_and(|naming| names.want(naming.name(family), suffixes))
}

/// Encodes one exposition.
struct Encoder<'s> {
    out: Output<'s>,
    writer: Box<dyn Writer>,
    walk: Walk,
    skipped: Skipped,
}

impl<'s> Encoder<'s> {
    fn new(format: EscapedFormat, sink: &'s mut dyn Sink) -> Self {
        Self {
            out: Output::new(sink),
            writer: (format.format().writer)(),
            walk: Walk::new(format),
            skipped: Skipped::default(),
        }
    }

    fn family<M>(&mut self, family: &MetricFamily, naming: Result<Naming, SkipReason>, metrics: M)
    where
        M: AsRef<[Metric]> + IntoIterator<Item: Borrow<Metric>>,
    {
        let Self { out, writer, walk, skipped } = self;
        let naming = match naming {
            Ok(naming) => naming,
            Err(SkipReason::Nameless) => return skipped.add(SkipReason::Nameless, family.help()),
            Err(reason) => return skipped.add(reason, family.name()),
        };
        let (name, is_quoted) = (naming.name(family), naming.is_quoted);
        let head = Head { name, is_quoted, kind: naming.kind, help: family.help() };
        walk.start_family(family.get_field_type(), &head, writer.lead(&head));

        // Measuring and writing use the same walk, so both skip the same metrics.
        let mut bytes = 0;
        if let Some(size) = writer.metric_size() {
            walk.metrics(metrics.as_ref(), &mut |_| {}, |series| bytes += size(series));
        }
        // The head is written with the first series, because a head without series is useless.
        let mut headed = false;
        let mut skip = |reason| skipped.add(reason, family.name());
        walk.metrics(metrics, &mut skip, |series| {
            if !headed {
                writer.head(out, &head, bytes);
                headed = true;
            }
            writer.metric(out, series);
        });
    }

    fn finish(self) -> Skipped {
        let Self { mut out, mut writer, walk: _, skipped } = self;
        writer.end(&mut out);
        out.finish();
        skipped
    }
}

#[cfg(test)]
mod tests;
