//! Text 0.0.4 is that of `prometheus::TextEncoder`, except where `TextEncoder` is wrong.

use prometheus::{Encoder, TextEncoder, proto::Untyped};

use super::*;

pub(super) fn ours(families: &[MetricFamily]) -> (String, Skipped) {
    as_text(FALLBACK, families)
}

pub(super) fn theirs(families: &[MetricFamily]) -> String {
    let mut out = Vec::new();
    TextEncoder::new().encode(families, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn writes_nan_and_infinity_as_specified() {
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
    let (text, skipped) = ours(&families);
    assert_eq!(text, expected);
    assert!(skipped.is_empty(), "{skipped:?}");
}

/// Covers a family on which `prometheus::TextEncoder` panics.
#[test]
fn serves_an_untyped_metric_if_its_value_can_be_read() {
    /// Does nothing if `prometheus` has no such method, as in [`reading`].
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
    let (text, skipped) = ours(&[family("u", MetricType::UNTYPED, vec![metric])]);
    if skipped.is_empty() {
        assert_eq!(text, "# TYPE u untyped\nu{a=\"b\"} 1.5\n");
    } else {
        assert_eq!(text, "");
        let unreadable = SkipCount { reason: SkipReason::Unreadable, count: 1, first: "u".to_owned() };
        assert_eq!(skipped.iter().collect::<Vec<_>>(), [&unreadable]);
    }
}

#[test]
fn skips_and_counts_what_breaks_a_scrape() {
    use MetricType::{GAUGE, HISTOGRAM, SUMMARY};
    let one = |labels: &[(&str, &str)]| vec![gauge(labels, 1.0)];
    let ok = || family("ok", GAUGE, one(&[]));
    let served = "# TYPE ok gauge\nok 1\n";
    let head = |name: &str, text: &str| format!("# TYPE {name} gauge\n{text}");
    let of_buckets = |value: &str, bounds: &[f64]| {
        let mut metric = labelled(&[("a", value)]);
        metric.set_histogram(histogram(&bounds.iter().map(|bound| (*bound, 1)).collect::<Vec<_>>(), 1.0, 1));
        metric
    };
    for (what, families, skips, text) in [
        ("nameless", vec![family("", GAUGE, one(&[]))], Some((SkipReason::Nameless, 1)), String::new()),
        ("empty", vec![family("e", GAUGE, vec![])], None, String::new()),
        (
            "escaped",
            vec![family("1.é", GAUGE, one(&[("b.c", "d")]))],
            None,
            head("___", "___{b_c=\"d\"} 1\n"),
        ),
        (
            "same name",
            vec![family("a", GAUGE, one(&[])), family("a", SUMMARY, one(&[]))],
            Some((SkipReason::NameTaken, 1)),
            head("a", "a 1\n"),
        ),
        (
            "same name once escaped",
            vec![family("a.b", GAUGE, one(&[])), family("a_b", GAUGE, one(&[]))],
            Some((SkipReason::NameTaken, 1)),
            head("a_b", "a_b 1\n"),
        ),
        (
            "same name once escaped, and its owner",
            vec![family("a.b", GAUGE, one(&[])), family("a_b", GAUGE, vec![gauge(&[], 2.0)])],
            Some((SkipReason::NameTaken, 1)),
            head("a_b", "a_b 2\n"),
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
            Some((SkipReason::Labels, 3)),
            head("a", "a{b=\"1\",c=\"2\"} 3\n"),
        ),
        (
            "le",
            vec![family("h", HISTOGRAM, one(&[("le", "1")]))],
            Some((SkipReason::Labels, 1)),
            String::new(),
        ),
        ("le on a gauge", vec![family("a", GAUGE, one(&[("le", "1")]))], None, head("a", "a{le=\"1\"} 1\n")),
        (
            "quantile",
            vec![family("s", SUMMARY, one(&[("quantile", "1")]))],
            Some((SkipReason::Labels, 1)),
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
            Some((SkipReason::Repeated, 2)),
            head("a", "a{b=\"1\"} 1\na{c=\"1\"} 3\na{c_=\"1\"} 4\n"),
        ),
        (
            "repeated after other names",
            vec![family(
                "a",
                GAUGE,
                vec![
                    gauge(&[("b", "1")], 1.0),
                    gauge(&[("c", "1")], 2.0),
                    gauge(&[("b", "1")], 3.0),
                    gauge(&[("b", "2")], 4.0),
                    gauge(&[("b", "2"), ("c", "2")], 5.0),
                    gauge(&[("c", "2"), ("b", "2")], 6.0),
                ],
            )],
            Some((SkipReason::Repeated, 2)),
            head("a", "a{b=\"1\"} 1\na{c=\"1\"} 2\na{b=\"2\"} 4\na{b=\"2\",c=\"2\"} 5\n"),
        ),
        (
            "repeated once escaped",
            vec![family(
                "a",
                GAUGE,
                vec![gauge(&[("b.c", "1")], 1.0), gauge(&[("b.d", "1")], 2.0), gauge(&[("b_c", "1")], 3.0)],
            )],
            Some((SkipReason::Repeated, 1)),
            head("a", "a{b_c=\"1\"} 1\na{b_d=\"1\"} 2\n"),
        ),
        ("repeated", vec![family("a", GAUGE, one(&[])), ok()], None, head("a", "a 1\n")),
        (
            "bounds repeated",
            vec![family(
                "h",
                HISTOGRAM,
                vec![
                    of_buckets("1", &[1.0, 1.0]),
                    of_buckets("2", &[1.0, f64::NAN, 1.0]),
                    of_buckets("3", &[f64::NAN, -f64::NAN]),
                    of_buckets("4", &[1.0, f64::INFINITY, f64::INFINITY]),
                    of_buckets("5", &[-0.0, 0.0]),
                    of_buckets("6", &[2.0, f64::NAN, 1.0]),
                ],
            )],
            Some((SkipReason::Repeated, 5)),
            "# TYPE h histogram\nh_bucket{a=\"6\",le=\"2\"} 1\nh_bucket{a=\"6\",le=\"NaN\"} 1\n\
             h_bucket{a=\"6\",le=\"1\"} 1\nh_bucket{a=\"6\",le=\"+Inf\"} 1\nh_sum{a=\"6\"} 1\nh_count{a=\"6\"} 1\n"
                .to_owned(),
        ),
    ] {
        let mut families = families;
        if families.last().map(MetricFamily::name) != Some("ok") {
            families.push(ok());
        }
        let (found, skipped) = ours(&families);
        assert_eq!(found, text + served, "{what}");
        assert_eq!(counted(&skipped), Vec::from_iter(skips), "{what}");
    }
}

/// Prometheus' lexer of the text formats has no minus in a timestamp, so one such sample made the whole scrape fail.
#[test]
fn text_formats_skip_timestamps_before_1970() {
    let mut before = gauge(&[("a", "1")], 1.0);
    before.set_timestamp_ms(-1);
    let families = [family("x", MetricType::GAUGE, vec![before, gauge(&[("a", "2")], 2.0)])];
    for format in FORMATS {
        let (bytes, skipped) = written(EscapedFormat::plain(format), &[], &families);
        let served = bytes.windows(3).filter(|three| *three == b"a=\"" || *three == b"\x0a\x01a").count();
        let expected = if format.media_type == "text/plain" {
            (1, vec![(SkipReason::Timestamp, 1)])
        } else {
            (2, vec![])
        };
        assert_eq!((served, counted(&skipped)), expected, "{format:?}");
    }
}

/// Labels of 20 MB exist. Their line and the lines of its group are one chunk, without other lines.
#[test]
fn writes_a_line_longer_than_a_chunk() {
    let value = "\"x".repeat(CHUNK_SIZE);
    let mut metric = labelled(&[("a", &value)]);
    metric.set_histogram(histogram(&[(1.0, 1), (2.0, 2)], 1.0, 2));
    let families = [
        family("a", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
        family("h", MetricType::HISTOGRAM, vec![metric]),
        family("z", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
    ];
    assert_eq!(ours(&families).0, theirs(&families));

    let mut chunks = Vec::new();
    encode(FALLBACK, &Names::default(), &families, &mut chunks);
    let lines: Vec<usize> =
        chunks.iter().map(|chunk| chunk.iter().filter(|&&byte| byte == b'\n').count()).collect();
    assert_eq!(lines, [3, 2, 1, 1, 1, 2]);
}

#[test]
fn writes_many_metrics_in_full_chunks() {
    let metrics =
        |family: usize| (0..731 + family).map(|at| gauge(&[("at", &format!("{at:05}"))], at as f64));
    let families: Vec<_> =
        (0..9).map(|at| family(&format!("family_{at}"), MetricType::GAUGE, metrics(at).collect())).collect();
    let (text, skipped) = ours(&families);
    assert!(skipped.is_empty(), "{skipped:?}");
    assert!(text == theirs(&families));

    let mut chunks = Vec::new();
    encode(FALLBACK, &Names::default(), &families, &mut chunks);
    let chunks = chunks;
    assert!(chunks.len() > 2);
    for chunk in &chunks[..chunks.len() - 1] {
        assert!((CHUNK_SIZE - 1024..=CHUNK_SIZE).contains(&chunk.len()), "{}", chunk.len());
    }
}
