//! The `protobuf` crate decodes our messages to the original families.

use std::collections::HashSet;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
    Untyped,
};
use prometheus_hyper::internals::{EscapedFormat, Escaping, Names, PROTOBUF, encode, encode_consuming};
use proptest::{collection::vec, prelude::*, sample::select};
use protobuf::CodedInputStream;

/// Decodes the output of both encoders.
fn decoded(families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    let (mut chunks, mut consuming_chunks) = (Vec::new(), Vec::new());
    let format = EscapedFormat::new(&PROTOBUF, Escaping::AllowUtf8);
    let skipped = encode(format, &Names::default(), &families, &mut chunks);
    let consuming_skipped = encode_consuming(format, &Names::default(), families, &mut consuming_chunks);
    assert_eq!(skipped, consuming_skipped);
    let bytes = chunks.concat();
    assert_eq!(bytes, consuming_chunks.concat());

    let mut input = CodedInputStream::from_bytes(&bytes);
    let mut families = Vec::new();
    while !input.eof().unwrap() {
        families.push(input.read_message().unwrap());
    }
    families
}

fn family() -> impl Strategy<Value = MetricFamily> {
    let kinds = vec![MetricType::COUNTER, MetricType::GAUGE, MetricType::HISTOGRAM, MetricType::SUMMARY];
    let labels = vec(any::<String>(), 0..3);
    (select(kinds), any::<String>(), labels).prop_flat_map(|(kind, help, names)| {
        vec((metric(kind), vec(any::<String>(), names.len())), 1..20).prop_map(move |metrics| {
            let mut family = MetricFamily::default();
            family.set_field_type(kind);
            if !help.is_empty() {
                family.set_help(help.clone());
            }
            for (at, (mut metric, values)) in metrics.into_iter().enumerate() {
                let at = at.to_string();
                let pairs = names.iter().zip(&values).enumerate();
                let pairs = pairs.map(|(place, (name, value))| (format!("{place}{name}"), value));
                for (name, value) in pairs.chain([("at".to_owned(), &at)]) {
                    let mut pair = LabelPair::default();
                    pair.set_name(name);
                    pair.set_value(value.clone());
                    metric.label.push(pair);
                }
                family.metric.push(metric);
            }
            family
        })
    })
}

/// Without NaN, which equals nothing.
fn value() -> impl Strategy<Value = f64> {
    any::<f64>().prop_map(|value| if value.is_nan() { f64::INFINITY } else { value })
}

fn metric(kind: MetricType) -> impl Strategy<Value = Metric> {
    let bounds = vec((value(), any::<u64>(), value()), 0..20);
    let timestamp = prop_oneof![Just(0), any::<i64>()];
    (value(), any::<u64>(), bounds, timestamp).prop_map(move |(value, count, mut bounds, timestamp)| {
        // Only unique ones are served. 0 equals -0.
        let mut seen = HashSet::new();
        bounds.retain(|(bound, ..)| seen.insert((bound + 0.0).to_bits()));
        let mut metric = Metric::default();
        match kind {
            MetricType::COUNTER => metric.counter = Some(counter(value)).into(),
            MetricType::GAUGE => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.gauge = Some(gauge).into();
            }
            MetricType::HISTOGRAM => {
                let mut histogram = Histogram::default();
                histogram.set_sample_count(count);
                histogram.set_sample_sum(value);
                for (bound, count, _) in bounds {
                    let mut bucket = Bucket::default();
                    bucket.set_upper_bound(bound);
                    bucket.set_cumulative_count(count);
                    histogram.bucket.push(bucket);
                }
                metric.histogram = Some(histogram).into();
            }
            _ => {
                let mut summary = Summary::default();
                summary.set_sample_count(count);
                summary.set_sample_sum(value);
                for (bound, _, value) in bounds {
                    let mut quantile = Quantile::default();
                    quantile.set_quantile(bound);
                    quantile.set_value(value);
                    summary.quantile.push(quantile);
                }
                metric.summary = Some(summary).into();
            }
        }
        if timestamp != 0 {
            metric.set_timestamp_ms(timestamp);
        }
        metric
    })
}

fn counter(value: f64) -> Counter {
    let mut counter = Counter::default();
    counter.set_value(value);
    counter
}

proptest! {
    #[test]
    fn every_family_decodes_to_the_original(families in vec((any::<String>(), family()), 0..8)) {
        let named = |(at, (name, mut family)): (usize, (String, MetricFamily))| {
            family.set_name(format!("{name}{at}"));
            family
        };
        let families: Vec<_> = families.into_iter().enumerate().map(named).collect();
        prop_assert_eq!(decoded(families.clone()), families);
    }
}

#[test]
fn family_of_many_chunks_decodes_to_the_original() {
    let mut family = MetricFamily::default();
    family.set_name("many_total".to_owned());
    family.set_field_type(MetricType::COUNTER);
    for at in 0..100_000 {
        let mut pair = LabelPair::default();
        pair.set_name("at".to_owned());
        pair.set_value(at.to_string());
        let mut metric = Metric::default();
        metric.label.push(pair);
        metric.counter = Some(counter(f64::from(at))).into();
        family.metric.push(metric);
    }
    let families = vec![family];
    assert!(decoded(families.clone()) == families);
}

/// With the feature `prometheus/protobuf` an untyped value is not readable.
#[test]
fn untyped_is_skipped() {
    let metric = Metric { untyped: Some(Untyped::default()).into(), ..Metric::default() };
    let mut family = MetricFamily::default();
    family.set_name("u".to_owned());
    family.set_field_type(MetricType::UNTYPED);
    family.metric.push(metric);
    assert!(decoded(vec![family]).is_empty());
}
