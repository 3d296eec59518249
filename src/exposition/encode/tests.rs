//! Tests of whole expositions by format, with helpers that build families.

mod decoded;
mod gathered;
mod generated;
mod openmetrics;
#[cfg(feature = "protobuf")]
mod protobuf;
mod python;
mod quoted;
mod text;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
};

use super::*;
use crate::exposition::chunk::CHUNK_SIZE;

/// Encodes with both functions and asserts that they write and skip the same.
fn written(format: EscapedFormat, names: &[&str], families: &[MetricFamily]) -> (Vec<u8>, Skipped) {
    let names = Names::new(names.iter().map(|name| (*name).to_owned()).collect());
    let (mut chunks, mut consuming_chunks) = (Vec::new(), Vec::new());
    let skipped = encode(format, &names, families, &mut chunks);
    let consuming_skipped = encode_consuming(format, &names, families.to_vec(), &mut consuming_chunks);
    let (chunks, consuming_chunks) = (chunks, consuming_chunks);
    assert_eq!(chunks, consuming_chunks);
    assert_eq!(skipped, consuming_skipped);
    (chunks.concat(), skipped)
}

/// Works like [`written`] without a filter, and returns a text.
fn as_text(format: EscapedFormat, families: &[MetricFamily]) -> (String, Skipped) {
    let (bytes, skipped) = written(format, &[], families);
    (String::from_utf8(bytes).unwrap(), skipped)
}

fn counted(skipped: &Skipped) -> Vec<(SkipReason, u64)> {
    skipped.iter().map(|entry| (entry.reason, entry.count)).collect()
}

fn family(name: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

fn histogram(buckets: &[(f64, u64)], sum: f64, count: u64) -> Histogram {
    let bucket = |&(upper_bound, count): &(f64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(upper_bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.iter().map(bucket).collect());
    histogram.set_sample_sum(sum);
    histogram.set_sample_count(count);
    histogram
}

fn summary(quantiles: &[(f64, f64)], sum: f64, count: u64) -> Summary {
    let quantile = |&(quantile, value): &(f64, f64)| {
        let mut entry = Quantile::default();
        entry.set_quantile(quantile);
        entry.set_value(value);
        entry
    };
    let mut summary = Summary::default();
    summary.set_quantile(quantiles.iter().map(quantile).collect());
    summary.set_sample_sum(sum);
    summary.set_sample_count(count);
    summary
}
