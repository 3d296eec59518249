//! Generated families with arbitrary values, labels and help texts.

use std::collections::HashSet;

use proptest::{
    collection::{btree_set, vec},
    prelude::*,
    sample::select,
};

use super::{
    text::{ours, theirs},
    *,
};

/// Generates finite values of every magnitude. `TextEncoder` writes the others wrong.
pub(super) fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        proptest::num::f64::SUBNORMAL,
        select(vec![0.0, -0.0, 1.0, f64::MIN, f64::MAX, f64::MIN_POSITIVE, f64::EPSILON, 5e-324]),
        (-(1i64 << 20)..1 << 20).prop_map(|integer| integer as f64),
        (-1024i64..1024).prop_map(|offset| ((1i64 << 53) + offset) as f64),
        (any::<i32>(), -12..12i32).prop_map(|(digits, exponent)| f64::from(digits) * 10f64.powi(exponent)),
        (1.0..10.0, 15..300i32).prop_map(|(digits, exponent)| digits * 10f64.powi(exponent)),
    ]
}

fn observations() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..100_000u64, (1u64 << 53) - 9..(1 << 53) + 9]
}

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/]{0,12}", "[\\\\\"\n\r\0a]{0,8}", any::<String>()]
}

/// Generates a metric with a value of each type. The type of its family decides which one is used.
pub(super) fn metric() -> impl Strategy<Value = Metric> {
    let bounds = vec((finite(), observations(), finite()), 0..5);
    let timestamp = prop_oneof![Just(0), any::<i64>()];
    (finite(), observations(), bounds, timestamp).prop_map(|(value, count, mut bounds, timestamp)| {
        // Only unique ones are served. 0 equals -0.
        let mut seen = HashSet::new();
        bounds.retain(|(bound, ..)| seen.insert((bound + 0.0).to_bits()));
        let mut counter = Counter::default();
        counter.set_value(value);
        let buckets: Vec<_> = bounds.iter().map(|&(bound, count, _)| (bound, count)).collect();
        let quantiles: Vec<_> = bounds.iter().map(|&(bound, _, value)| (bound, value)).collect();

        let mut metric = gauge(&[], value);
        metric.set_counter(counter);
        metric.set_histogram(histogram(&buckets, value, count));
        metric.set_summary(summary(&quantiles, value, count));
        metric.set_timestamp_ms(timestamp);
        metric
    })
}

pub(super) fn families() -> impl Strategy<Value = Vec<MetricFamily>> {
    let kinds = vec![MetricType::COUNTER, MetricType::GAUGE, MetricType::HISTOGRAM, MetricType::SUMMARY];
    // The format itself uses "le" in histograms, so a series with that label is skipped there.
    let label_name = "[a-zA-Z_][a-zA-Z0-9_]{0,6}".prop_filter("not the format's own", |name| name != "le");
    let label_names = btree_set(label_name, 0..4);
    let series = vec((metric(), vec(text(), 4)), 1..6);
    let family = (select(kinds), text(), label_names, series).prop_map(|(kind, help, names, series)| {
        let names = Vec::from_iter(names);
        let metric = |(at, (mut metric, mut values)): (usize, (Metric, Vec<String>))| {
            // The first value makes the series unique.
            values[0].push_str(&at.to_string());
            let labels: Vec<_> =
                names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
            metric.set_label(labelled(&labels).take_label());
            metric
        };
        let series = series.into_iter().enumerate().map(metric);
        let mut family = family("", kind, series.take(if names.is_empty() { 1 } else { 6 }).collect());
        family.set_help(help);
        family
    });
    (vec(family, 0..5), "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}").prop_map(|(mut families, name)| {
        for (at, family) in families.iter_mut().enumerate() {
            family.set_name(format!("{name}{at}"));
        }
        families
    })
}

/// Makes the timestamps positive, because the text formats skip the others and `TextEncoder` does not.
fn since_1970(mut families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        metric.set_timestamp_ms(metric.timestamp_ms().saturating_abs());
    }
    families
}

proptest! {
    #[test]
    fn writes_generated_families_like_text_encoder(families in families()) {
        let families = since_1970(families);
        let (text, skipped) = ours(&families);
        prop_assert!(skipped.is_empty(), "{:?}", skipped);
        prop_assert_eq!(text, theirs(&families));
    }
}
