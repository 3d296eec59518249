//! Length-delimited messages `io.prometheus.client.MetricFamily`, and the same in the text form of protobuf.
//!
//! By hand: the messages are few and simple, and the feature `prometheus/protobuf` would change the types of
//! everybody in the tree.

mod readable;
mod schema;
mod wire;

use super::{
    Format, Head, Series,
    piece::{Output, Sink},
};
use readable::Readable;
use schema::{FAMILY_METRIC, FamilyHead, Fields, Message};
use wire::{Size, Wire};

/// Writes families as messages.
pub(super) enum Messages {
    Delimited,
    Readable { separator: &'static [u8] },
}

impl Messages {
    /// `None` if the format is none of messages.
    pub(super) fn of(format: Format) -> Option<Self> {
        match format {
            Format::Protobuf => Some(Messages::Delimited),
            Format::ProtobufText => Some(Messages::Readable { separator: b"" }),
            Format::OpenMetrics100 | Format::OpenMetrics001 | Format::Text100 | Format::Text004 => None,
        }
    }

    /// The bytes that a metric takes in its family.
    pub(super) fn metric_size(&self, series: &Series<'_>) -> usize {
        match self {
            Messages::Delimited => Size::of_field(FAMILY_METRIC, series),
            Messages::Readable { .. } => 0,
        }
    }

    /// Writes a family's own fields. Its metrics follow, of so many `bytes` in all.
    pub(super) fn head(&mut self, out: &mut Output<'_, impl Sink>, head: &Head<'_>, bytes: usize) {
        let head = FamilyHead(head);
        match self {
            Messages::Delimited => {
                let size = Size::of(&head);
                out.line(|line| {
                    let mut wire = Wire(line);
                    wire.varint((size + bytes) as u64);
                    head.write(&mut wire);
                });
            }
            Messages::Readable { separator } => {
                out.line(|line| {
                    line.put(separator);
                    head.write(&mut Readable::new(line));
                });
                *separator = b"\n";
            }
        }
    }

    pub(super) fn metric(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>) {
        match self {
            Messages::Delimited => out.line(|line| Wire(line).message(FAMILY_METRIC, series)),
            Messages::Readable { .. } => {
                out.line(|line| Readable::new(line).message(FAMILY_METRIC, series));
            }
        }
    }
}
