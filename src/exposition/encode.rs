//! Encodes metric families: families in, the bytes of an exposition out.
//!
//! Pure: no I/O, no clock. First a [plan] gives each family its name, then a [walk] skips what would cost Prometheus
//! the whole scrape, and the writer of a [format](FORMATS) writes the rest.

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

/// Every format, the one that wins a tie first: the order of Prometheus' own `scrape_protocols` with all of them on
/// (`DefaultProtoFirstScrapeProtocols`). Both ends had to ask for those before text 1.0.0, so a tie means that they are
/// wanted; text 0.0.4 is last because it is what all others fall back to.
pub static FORMATS: &[&Format] = &[
    #[cfg(feature = "protobuf")]
    &PROTOBUF,
    &OPENMETRICS_100,
    &OPENMETRICS_001,
    &TEXT_100,
    &TEXT_004,
];

/// The format for clients that ask for nothing that is served.
pub const FALLBACK: EscapedFormat = EscapedFormat::plain(&TEXT_004);

/// Fewer metrics are dropped only after their exposition has been handed over, because nobody needs to wait for that.
/// More are dropped one by one as they are encoded, to save memory. A thousand histograms of a dozen buckets are lines of
/// 1.5 MB.
const MANY: usize = 1024;

/// Whether the families hold so many metrics that they are to be consumed where nobody else needs them.
pub fn are_many(families: &[MetricFamily]) -> bool {
    families.iter().map(|family| family.get_metric().len()).sum::<usize>() >= MANY
}

/// Writes those of the `families` that `names` wants to `sink` and leaves them unchanged.
///
/// What cannot be served without breaking the scrape is skipped; the result tells what and why. A filter
/// shows a part of the whole: what a family is called does not depend on which others are wanted.
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

/// Writes `families` to `sink` and drops each metric once it is written, so that the peak is about the
/// families plus what the sink keeps. Otherwise the same as [`encode`].
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

/// Whether the filter wants a family, by its name or by that of one of its samples: as they were gathered, and as the
/// client sees them.
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
        let head = Head { name: naming.name(family), kind: naming.kind, help: family.help() };
        walk.start_family(family.get_field_type(), &head, writer.lead(head.name));

        // Measuring walks the same way as writing, so both skip the same.
        let mut bytes = 0;
        if let Some(size) = writer.metric_size() {
            walk.metrics(metrics.as_ref(), &mut |_| {}, |series| bytes += size(series));
        }
        // A head without a series says nothing, so it waits for the first one that is served.
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
