//! What is in which message: metrics.proto of prometheus/client_model, as far as `prometheus` fills it
//! (`proto/proto_model.proto` of the crate).
//!
//! Said once, for what measures, writes and shows it. Fields are written although they hold a default, as
//! Prometheus' own client does, for in proto2 that is not the same as leaving them out. But a help that is empty
//! and a timestamp that is zero are, to `prometheus`, none.

use prometheus::proto::{Bucket, Histogram, LabelPair, MetricType, Quantile, Summary};

use super::super::{Head, Series, reading::Sample};

/// A field, by its number and its name.
#[derive(Clone, Copy)]
pub(super) struct Field(pub(super) u32, pub(super) &'static str);

/// Takes the fields of a message.
pub(super) trait Fields {
    fn string(&mut self, field: Field, value: &str);
    fn double(&mut self, field: Field, value: f64);
    fn uint64(&mut self, field: Field, value: u64);

    /// As it goes over the wire, ten bytes if it is negative: "the two's complement ... as an unsigned 64-bit".
    fn int64(&mut self, field: Field, value: i64) {
        self.uint64(field, value as u64);
    }

    /// A value of an enum, as it goes over the wire.
    fn constant(&mut self, field: Field, number: u64, _name: &str) {
        self.uint64(field, number);
    }

    fn message(&mut self, field: Field, message: &impl Message);
}

/// Something with fields.
pub(super) trait Message {
    fn write(&self, fields: &mut impl Fields);
}

/// The field that a [`Series`] is of its family.
pub(super) const FAMILY_METRIC: Field = Field(4, "metric");

/// `MetricFamily` without its metrics.
pub(super) struct FamilyHead<'h>(pub(super) &'h Head<'h>);

impl Message for FamilyHead<'_> {
    fn write(&self, fields: &mut impl Fields) {
        let Head { name, kind, help } = *self.0;
        fields.string(Field(1, "name"), name);
        if !help.is_empty() {
            fields.string(Field(2, "help"), help);
        }
        let (number, constant) = match kind {
            MetricType::COUNTER => (0, "COUNTER"),
            MetricType::GAUGE => (1, "GAUGE"),
            MetricType::SUMMARY => (2, "SUMMARY"),
            MetricType::UNTYPED => (3, "UNTYPED"),
            MetricType::HISTOGRAM => (4, "HISTOGRAM"),
        };
        fields.constant(Field(3, "type"), number, constant);
    }
}

/// `Metric`.
impl Message for Series<'_> {
    fn write(&self, fields: &mut impl Fields) {
        for (name, label) in self.names.leads.iter().zip(self.labels) {
            fields.message(Field(1, "label"), &Label(name, label));
        }
        match self.sample {
            Sample::Gauge(value) => fields.message(Field(2, "gauge"), &Single(value)),
            Sample::Counter(value) => fields.message(Field(3, "counter"), &Single(value)),
            Sample::Summary(summary) => fields.message(Field(4, "summary"), summary),
            Sample::Untyped(value) => fields.message(Field(5, "untyped"), &Single(value)),
            Sample::Histogram(histogram) => fields.message(Field(7, "histogram"), histogram),
        }
        if self.timestamp != 0 {
            fields.int64(Field(6, "timestamp_ms"), self.timestamp);
        }
    }
}

/// `LabelPair`, its name as it is written.
struct Label<'l>(&'l str, &'l LabelPair);

impl Message for Label<'_> {
    fn write(&self, fields: &mut impl Fields) {
        fields.string(Field(1, "name"), self.0);
        fields.string(Field(2, "value"), self.1.value());
    }
}

/// `Gauge`, `Counter` and `Untyped`.
struct Single(f64);

impl Message for Single {
    fn write(&self, fields: &mut impl Fields) {
        fields.double(Field(1, "value"), self.0);
    }
}

impl Message for Summary {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(Field(1, "sample_count"), self.sample_count());
        fields.double(Field(2, "sample_sum"), self.sample_sum());
        for quantile in self.get_quantile() {
            fields.message(Field(3, "quantile"), quantile);
        }
    }
}

impl Message for Quantile {
    fn write(&self, fields: &mut impl Fields) {
        fields.double(Field(1, "quantile"), self.quantile());
        fields.double(Field(2, "value"), self.value());
    }
}

/// "+Inf bucket is optional" (metrics.proto): Prometheus makes one of the count where it is not there
/// (`getMagicLabel`, model/textparse/protobufparse.go), and its own client sends it for an exemplar only.
impl Message for Histogram {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(Field(1, "sample_count"), self.get_sample_count());
        fields.double(Field(2, "sample_sum"), self.get_sample_sum());
        for bucket in self.get_bucket() {
            fields.message(Field(3, "bucket"), bucket);
        }
    }
}

impl Message for Bucket {
    fn write(&self, fields: &mut impl Fields) {
        fields.uint64(Field(1, "cumulative_count"), self.cumulative_count());
        fields.double(Field(2, "upper_bound"), self.upper_bound());
    }
}
