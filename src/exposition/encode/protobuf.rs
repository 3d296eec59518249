//! Writes length-delimited messages `io.prometheus.client.MetricFamily`.
//!
//! The encoding is written by hand because the messages are few and simple. The feature `prometheus/protobuf` changes
//! the types of `prometheus` in every crate of the build.

mod schema;
mod wire;

use super::format::{Escapings, Format};
use super::output::Output;
use super::writer::{Head, Series, Writer};
use schema::{FAMILY_METRIC, Fields, Message};
use wire::{Size, Wire};

/// The protobuf format.
pub static PROTOBUF: Format = Format {
    title: "Protobuf",
    query_name: None,
    media_type: "application/vnd.google.protobuf",
    parameters: &[("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")],
    is_default_version: false,
    content_type: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    escapings: Escapings::Silent,
    has_comments: false,
    has_negative_timestamps: true,
    is_openmetrics: false,
    writer: || Box::new(Messages),
};

/// Writes families as messages.
struct Messages;

impl Writer for Messages {
    /// Returns the size, because a message begins with its length.
    fn metric_size(&self) -> Option<fn(&Series<'_>) -> usize> {
        Some(|series| Size::of_field(FAMILY_METRIC, series))
    }

    fn head(&mut self, out: &mut Output<'_>, head: &Head<'_>, bytes: usize) {
        let size = Size::of(head);
        out.line(|line| {
            let mut wire = Wire(line);
            wire.varint((size + bytes) as u64);
            head.write(&mut wire);
        });
    }

    fn metric(&mut self, out: &mut Output<'_>, series: &Series<'_>) {
        out.line(|line| Wire(line).message(FAMILY_METRIC, series));
    }
}
