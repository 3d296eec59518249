//! The fields of the messages of metrics.proto (prometheus/client_model) that `prometheus` has
//! (`proto/proto_model.proto` of the crate).
//!
//! The same code measures and writes them. Fields with default values are written, as by client_golang, because in
//! proto2 an absent field differs from one with the default. In `prometheus` an empty help and a zero timestamp
//! mean that there is none, so these are omitted.

use prometheus::proto::{Bucket, Histogram, LabelPair, MetricType, Quantile, Summary};

use super::super::reading::Sample;
use super::super::writer::{Head, Series};

/// Receives the fields of a message, each with its number.
pub(super) trait Fields {
    fn string(&mut self, field: u32, value: &str);
    fn double(&mut self, field: u32, value: f64);
    fn uint64(&mut self, field: u32, value: u64);
    fn message(&mut self, field: u32, message: &impl Message);
}

/// Passes its fields to a [`Fields`].
pub(super) trait Message {
    fn write(&self, fields: &mut impl Fields);
}

/// The field number of a [`Series`] in its family.
pub(super) const FAMILY_METRIC: u32 = 4;

/// The message `MetricFamily` without its metrics.
impl Message for Head<'_> {
    fn write(&self, fields: &mut impl Fields) {
        let Head { name, is_quoted: _, kind, help } = *self;
        fields.string(1, name);
        if !help.is_empty() {
            fields.string(2, help);
        }
        let constant = match kind {
            MetricType::COUNTER => 0,
            MetricType::GAUGE => 1,
            MetricType::SUMMARY => 2,
            MetricType::UNTYPED => 3,
            MetricType::HISTOGRAM => 4,
        };
        fields.uint64(3, constant);
    }
}

/// The message `Metric`.
impl Message for Series<'_> {
    fn write(&self, fields: &mut impl Fields) {
        for (name, label) in self.names.leads.iter().zip(self.labels) {
            fields.message(1, &Label(name, label));
        }
        match self.sample {
            Sample::Gauge(value) => fields.message(2, &Single(value)),
            Sample::Counter(value) => fields.message(3, &Single(value)),
            Sample::Summary(summary) => fields.message(4, summary),
            Sample::Untyped(value) => fields.message(5, &Single(value)),
            Sample::Histogram(histogram) => fields.message(7, histogram),
        }
        if self.timestamp != 0 {
            // The encoding of a negative int64 is "the two's complement ... as an unsigned 64-bit", in ten bytes.
            fields.uint64(6, self.timestamp as u64);
        }
    }
}

/// The message `LabelPair`, with the escaped name.
struct Label<'l>(&'l str, &'l LabelPair);

impl Message for Label<'_> {
    fn write(&self, fields: &mut impl Fields) {
        fields.string(1, self.0);
        fields.string(2, self.1.value());
    }
}

/// The messages `Gauge`, `Counter` and `Untyped`.
struct Single(f64);

impl Message for Single {
    fn write(&self, fields: &mut impl Fields) {
        fields.double(1, self.0);
    }
}

impl Message for Summary {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(1, self.sample_count());
        fields.double(2, self.sample_sum());
        for quantile in self.get_quantile() {
            fields.message(3, quantile);
        }
    }
}

impl Message for Quantile {
    fn write(&self, fields: &mut impl Fields) {
        fields.double(1, self.quantile());
        fields.double(2, self.value());
    }
}

/// The message `Histogram`.
///
/// "+Inf bucket is optional" (metrics.proto). If it is absent, Prometheus derives it from the count
/// (`getMagicLabel`, model/textparse/protobufparse.go). client_golang sends it only with an exemplar.
impl Message for Histogram {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(1, self.get_sample_count());
        fields.double(2, self.get_sample_sum());
        for bucket in self.get_bucket() {
            fields.message(3, bucket);
        }
    }
}

impl Message for Bucket {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(1, self.cumulative_count());
        fields.double(2, self.upper_bound());
    }
}
