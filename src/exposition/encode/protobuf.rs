//! Length-delimited messages `io.prometheus.client.MetricFamily`.
//!
//! Written by hand: the messages are few and simple, and the feature `prometheus/protobuf` would change the types of
//! every crate in the tree.

mod schema;
mod wire;

use super::{
    Format, Head, Series,
    piece::{Output, Sink},
};
use schema::{FAMILY_METRIC, FamilyHead, Fields, Message};
use wire::{Size, Wire};

/// Writes families as messages.
pub(super) struct Messages;

impl Messages {
    /// `None` if the format is none of messages.
    pub(super) fn of(format: Format) -> Option<Self> {
        (format == Format::Protobuf).then_some(Messages)
    }

    /// The bytes that a metric takes in its family.
    pub(super) fn metric_size(&self, series: &Series<'_>) -> usize {
        Size::of_field(FAMILY_METRIC, series)
    }

    /// Writes a family's own fields. Its metrics follow, of so many `bytes` in all.
    pub(super) fn head(&mut self, out: &mut Output<'_, impl Sink>, head: &Head<'_>, bytes: usize) {
        let head = FamilyHead(head);
        let size = Size::of(&head);
        out.line(|line| {
            let mut wire = Wire(line);
            wire.varint((size + bytes) as u64);
            head.write(&mut wire);
        });
    }

    pub(super) fn metric(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>) {
        out.line(|line| Wire(line).message(FAMILY_METRIC, series));
    }
}
