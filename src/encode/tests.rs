//! The exposition as a whole: the same as `prometheus::TextEncoder` writes where that is right, and what is
//! right where it is not.

use std::collections::HashMap;

use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder,
    proto::{
        Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
        Untyped,
    },
};
use proptest::{
    collection::{btree_set, hash_map, vec},
    prelude::*,
    sample::select,
};

use super::*;

/// Both ways to encode must write the same and leave out the same.
fn ours(families: &[MetricFamily]) -> (String, Omissions) {
    let (mut pieces, mut consuming_pieces) = (Pieces::default(), Pieces::default());
    let omissions = encode(Format::Text, families, &mut pieces);
    let consuming_omissions = encode_consuming(Format::Text, families.to_vec(), &mut consuming_pieces);
    let (pieces, consuming_pieces) = (pieces.into_inner(), consuming_pieces.into_inner());
    assert_eq!(pieces, consuming_pieces);
    assert_eq!(omissions, consuming_omissions);
    (String::from_utf8(pieces.concat()).unwrap(), omissions)
}

fn theirs(families: &[MetricFamily]) -> String {
    let mut out = Vec::new();
    TextEncoder::new().encode(families, &mut out).unwrap();
    String::from_utf8(out).unwrap()
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

#[test]
fn values_without_digits_are_spelled_as_the_format_has_them() {
    let mut histogram_metric = labelled(&[]);
    histogram_metric.set_histogram(histogram(&[(f64::NEG_INFINITY, 0), (f64::INFINITY, 2)], f64::NAN, 2));
    let mut summary_metric = labelled(&[("a", "b")]);
    summary_metric.set_summary(summary(&[(0.5, f64::NAN), (f64::NAN, f64::INFINITY)], f64::NEG_INFINITY, 0));
    let families = [
        family("g", MetricType::GAUGE, [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(one).to_vec()),
        family("h", MetricType::HISTOGRAM, vec![histogram_metric]),
        family("s", MetricType::SUMMARY, vec![summary_metric]),
    ];
    fn one(value: f64) -> Metric {
        gauge(&[("v", &value.to_string())], value)
    }
    let expected = r#"# TYPE g gauge
g{v="inf"} +Inf
g{v="-inf"} -Inf
g{v="NaN"} NaN
# TYPE h histogram
h_bucket{le="-Inf"} 0
h_bucket{le="+Inf"} 2
h_sum NaN
h_count 2
# TYPE s summary
s{a="b",quantile="0.5"} NaN
s{a="b",quantile="NaN"} +Inf
s_sum{a="b"} -Inf
s_count{a="b"} 0
"#;
    let (text, omissions) = ours(&families);
    assert_eq!(text, expected);
    assert!(omissions.is_empty(), "{omissions:?}");
}

/// `prometheus::TextEncoder` panics here.
#[test]
fn an_untyped_metric_is_served_where_its_value_can_be_read() {
    /// Does nothing where `prometheus` has no such method, as in [`reading`].
    #[allow(dead_code, reason = "not needed without the feature")]
    trait WithoutUntyped {
        fn set_untyped(&mut self, _: Untyped) {}
    }
    impl WithoutUntyped for Metric {}

    #[allow(deprecated)]
    let metric = {
        let mut untyped = Untyped::default();
        untyped.set_value(1.5);
        let mut metric = labelled(&[("a", "b")]);
        metric.set_untyped(untyped);
        metric
    };
    let (text, omissions) = ours(&[family("u", MetricType::UNTYPED, vec![metric])]);
    if omissions.is_empty() {
        assert_eq!(text, "# TYPE u untyped\nu{a=\"b\"} 1.5\n");
    } else {
        assert_eq!(text, "");
        let omission = Omission { cause: Cause::Unreadable, count: 1, first: "u".to_owned() };
        assert_eq!(omissions.iter().collect::<Vec<_>>(), [&omission]);
    }
}

#[test]
fn what_would_cost_the_scrape_is_left_out_and_counted() {
    use MetricType::{GAUGE, HISTOGRAM, SUMMARY};
    let one = |labels: &[(&str, &str)]| vec![gauge(labels, 1.0)];
    let ok = || family("ok", GAUGE, one(&[]));
    let served = "# TYPE ok gauge\nok 1\n";
    let head = |name: &str, text: &str| format!("# TYPE {name} gauge\n{text}");
    for (what, families, omitted, text) in [
        ("nameless", vec![family("", GAUGE, one(&[]))], Some((Cause::Nameless, 1)), String::new()),
        ("empty", vec![family("e", GAUGE, vec![])], Some((Cause::Empty, 1)), String::new()),
        (
            "escaped",
            vec![family("1.é", GAUGE, one(&[("b.c", "d")]))],
            None,
            head("___", "___{b_c=\"d\"} 1\n"),
        ),
        (
            "same name",
            vec![family("a", GAUGE, one(&[])), family("a", SUMMARY, one(&[]))],
            Some((Cause::NameTaken, 1)),
            head("a", "a 1\n"),
        ),
        (
            "same name once escaped",
            vec![family("a.b", GAUGE, one(&[])), family("a_b", GAUGE, one(&[]))],
            Some((Cause::NameTaken, 1)),
            head("a_b", "a_b 1\n"),
        ),
        (
            "label names not unique",
            vec![family(
                "a",
                GAUGE,
                vec![
                    gauge(&[("b", "1"), ("b", "2")], 1.0),
                    gauge(&[("b.", "1"), ("b_", "2")], 2.0),
                    gauge(&[("b", "1"), ("c", "2")], 3.0),
                    gauge(&[("__name__", "1")], 4.0),
                ],
            )],
            Some((Cause::Labels, 3)),
            head("a", "a{b=\"1\",c=\"2\"} 3\n"),
        ),
        ("le", vec![family("h", HISTOGRAM, one(&[("le", "1")]))], Some((Cause::Labels, 1)), String::new()),
        ("le on a gauge", vec![family("a", GAUGE, one(&[("le", "1")]))], None, head("a", "a{le=\"1\"} 1\n")),
        (
            "quantile",
            vec![family("s", SUMMARY, one(&[("quantile", "1")]))],
            Some((Cause::Labels, 1)),
            String::new(),
        ),
        (
            "repeated",
            vec![family(
                "a",
                GAUGE,
                vec![
                    gauge(&[("b", "1")], 1.0),
                    gauge(&[("b", "1")], 2.0),
                    gauge(&[("c", "1")], 3.0),
                    gauge(&[("c.", "1")], 4.0),
                    gauge(&[("c_", "1")], 5.0),
                ],
            )],
            Some((Cause::Repeated, 2)),
            head("a", "a{b=\"1\"} 1\na{c=\"1\"} 3\na{c_=\"1\"} 4\n"),
        ),
        ("repeated", vec![family("a", GAUGE, one(&[])), ok()], None, head("a", "a 1\n")),
    ] {
        let mut families = families;
        if families.last().map(MetricFamily::name) != Some("ok") {
            families.push(ok());
        }
        let (found, omissions) = ours(&families);
        assert_eq!(found, text + served, "{what}");
        let omitted_found: Vec<_> = omissions.iter().map(|entry| (entry.cause, entry.count)).collect();
        assert_eq!(omitted_found, Vec::from_iter(omitted), "{what}");
    }
}

/// Labels of 20 MB exist. Such a line is a piece of its own, and its neighbours stay in theirs.
#[test]
fn a_line_that_is_bigger_than_a_piece() {
    let value = "\"x".repeat(PIECE);
    let mut metric = labelled(&[("a", &value)]);
    metric.set_histogram(histogram(&[(1.0, 1), (2.0, 2)], 1.0, 2));
    let families = [
        family("a", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
        family("h", MetricType::HISTOGRAM, vec![metric]),
        family("z", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
    ];
    assert_eq!(ours(&families).0, theirs(&families));

    let mut pieces = Pieces::default();
    encode(Format::Text, &families, &mut pieces);
    let lines: Vec<usize> =
        pieces.into_inner().iter().map(|piece| piece.iter().filter(|&&byte| byte == b'\n').count()).collect();
    assert_eq!(lines, [3, 1, 1, 1, 1, 1, 2]);
}

/// Enough metrics for reading ahead, in families that are not a multiple of its batch.
#[test]
fn many_metrics_and_pieces() {
    let metrics =
        |family: usize| (0..731 + family).map(|at| gauge(&[("at", &format!("{at:05}"))], at as f64));
    let families: Vec<_> =
        (0..9).map(|at| family(&format!("family_{at}"), MetricType::GAUGE, metrics(at).collect())).collect();
    let (text, omissions) = ours(&families);
    assert!(omissions.is_empty(), "{omissions:?}");
    assert!(text == theirs(&families));

    let mut pieces = Pieces::default();
    encode(Format::Text, &families, &mut pieces);
    let pieces = pieces.into_inner();
    assert!(pieces.len() > 2);
    for piece in &pieces[..pieces.len() - 1] {
        assert!((PIECE - 1024..=PIECE).contains(&piece.len()), "{}", piece.len());
    }
}

/// Finite values of every magnitude, the others being where `TextEncoder` is wrong.
fn finite() -> impl Strategy<Value = f64> {
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

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/]{0,12}", "[\\\\\"\n\r\0a]{0,8}", any::<String>()]
}

/// One metric of each kind, in one: its family's type decides which value counts.
fn metric() -> impl Strategy<Value = Metric> {
    let bounds = vec((finite(), observations(), finite()), 0..5);
    let timestamp = prop_oneof![Just(0), any::<i64>()];
    (finite(), observations(), bounds, timestamp).prop_map(|(value, count, bounds, timestamp)| {
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

fn families() -> impl Strategy<Value = Vec<MetricFamily>> {
    let kinds = vec![MetricType::COUNTER, MetricType::GAUGE, MetricType::HISTOGRAM, MetricType::SUMMARY];
    let label_names = btree_set("[a-zA-Z_][a-zA-Z0-9_]{0,6}", 0..4);
    let series = vec((metric(), vec(text(), 4)), 1..6);
    let family = (select(kinds), text(), label_names, series).prop_map(|(kind, help, names, series)| {
        let names = Vec::from_iter(names);
        let metric = |(at, (mut metric, mut values)): (usize, (Metric, Vec<String>))| {
            // The first value tells the series apart.
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

/// What a registry with a prefix and labels of its own gathers.
fn gathered() -> impl Strategy<Value = Vec<MetricFamily>> {
    let common = proptest::option::of(hash_map("common_[a-z]{1,4}", text(), 0..3));
    let prefix = proptest::option::of("[a-zA-Z_:][a-z0-9_:]{0,6}");
    let series = vec((text(), text(), finite()), 0..20);
    let bounds = btree_set(-1_000_000..1_000_000i32, 1..12);
    (prefix, common, series, bounds).prop_map(|(prefix, common, series, bounds)| {
        registry(prefix, common, &series, bounds.into_iter().map(|bound| f64::from(bound) / 1e4).collect())
            .gather()
    })
}

fn registry(
    prefix: Option<String>,
    common: Option<HashMap<String, String>>,
    series: &[(String, String, f64)],
    bounds: Vec<f64>,
) -> Registry {
    let labels = ["one", "two"];
    let counters =
        CounterVec::new(Opts::new("counters", "Help.").const_label("const", "\n"), &labels).unwrap();
    let gauges = GaugeVec::new(Opts::new("gauges", "Help\\\n."), &labels).unwrap();
    let histogram_opts = HistogramOpts::new("histograms", "Help.").buckets(bounds);
    let histograms = HistogramVec::new(histogram_opts, &labels).unwrap();
    for (one, two, value) in series {
        counters.with_label_values(&[one, two]).inc_by(value.abs());
        gauges.with_label_values(&[one, two]).set(*value);
        histograms.with_label_values(&[one, two]).observe(value % 100.0);
    }
    let registry = Registry::new_custom(prefix, common).unwrap();
    registry.register(Box::new(counters)).unwrap();
    registry.register(Box::new(gauges)).unwrap();
    registry.register(Box::new(histograms)).unwrap();
    registry
}

proptest! {
    #[test]
    fn families_made_by_hand_are_written_as_text_encoder_does(families in families()) {
        let (text, omissions) = ours(&families);
        prop_assert!(omissions.is_empty(), "{:?}", omissions);
        prop_assert_eq!(text, theirs(&families));
    }

    #[test]
    fn gathered_families_are_written_as_text_encoder_does(families in gathered()) {
        let (text, omissions) = ours(&families);
        prop_assert!(omissions.is_empty(), "{:?}", omissions);
        prop_assert_eq!(text, theirs(&families));
    }
}
