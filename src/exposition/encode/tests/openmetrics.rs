//! OpenMetrics where it differs from the text format.

use super::*;

const OPENMETRICS: EscapedFormat = EscapedFormat::plain(&OPENMETRICS_100);

#[test]
fn writes_each_type() {
    let with_help = |mut family: MetricFamily, help: &str| {
        family.set_help(help.to_owned());
        family
    };
    let mut histogram_metric = labelled(&[("a", "\"\n\\")]);
    histogram_metric.set_histogram(histogram(&[(0.00001, 0), (1.0, 1), (1e6, 2)], 0.5, 3));
    histogram_metric.set_timestamp_ms(1_520_879_607_789);
    let mut summary_metric = labelled(&[]);
    summary_metric.set_summary(summary(&[(0.0, f64::NAN), (0.5, 1.0), (1.0, f64::INFINITY)], 2.0, 2));
    let families = [
        with_help(
            family("c_total", MetricType::COUNTER, vec![counter(&[], 1.0), counter(&[("b", "c")], 1e21)]),
            "A \"counter\".\\\n",
        ),
        family("d", MetricType::COUNTER, vec![counter(&[], f64::NAN)]),
        family("g_total", MetricType::GAUGE, vec![gauge(&[("v", "")], -0.0)]),
        family("h", MetricType::HISTOGRAM, vec![histogram_metric]),
        family("s", MetricType::SUMMARY, vec![summary_metric]),
    ];
    let expected = r#"# TYPE c counter
# HELP c A \"counter\".\\\n
c_total 1
c_total{b="c"} 1000000000000000000000
# TYPE d unknown
d NaN
# TYPE g_total gauge
g_total{v=""} -0
# TYPE h histogram
h_bucket{a="\"\n\\",le="1e-05"} 0 1520879607.789
h_bucket{a="\"\n\\",le="1.0"} 1 1520879607.789
h_bucket{a="\"\n\\",le="1e+06"} 2 1520879607.789
h_bucket{a="\"\n\\",le="+Inf"} 3 1520879607.789
h_sum{a="\"\n\\"} 0.5 1520879607.789
h_count{a="\"\n\\"} 3 1520879607.789
# TYPE s summary
s{quantile="0.0"} NaN
s{quantile="0.5"} 1
s{quantile="1.0"} +Inf
s_sum 2
s_count 2
# EOF
"#;
    for format in [&OPENMETRICS_100, &OPENMETRICS_001] {
        let (text, skipped) = as_text(EscapedFormat::plain(format), &families);
        assert_eq!(text, expected);
        assert!(skipped.is_empty(), "{skipped:?}");
    }
    assert_eq!(as_text(OPENMETRICS, &[]).0, "# EOF\n");
}

#[test]
fn a_counter_whose_name_without_total_is_taken_is_unknown() {
    let families = [
        family("a", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
        family("a_total", MetricType::COUNTER, vec![counter(&[], -1.0)]),
    ];
    let (text, skipped) = as_text(OPENMETRICS, &families);
    assert_eq!(text, "# TYPE a gauge\na 1\n# TYPE a_total unknown\na_total -1\n# EOF\n");
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn a_filter_does_not_change_names() {
    let mut metric = labelled(&[]);
    metric.set_histogram(histogram(&[], 0.0, 0));
    let families = [
        family("a", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
        family("a_total", MetricType::COUNTER, vec![counter(&[], 1.0)]),
        family("b.c", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
        family("h", MetricType::HISTOGRAM, vec![metric]),
        family("h_sum", MetricType::GAUGE, vec![gauge(&[], 1.0)]),
    ];
    let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n";
    for (name, expected, skips) in [
        ("a_total", "# TYPE a_total unknown\na_total 1\n", 0),
        ("b.c", "# TYPE b_c gauge\nb_c 1\n", 0),
        ("b_c", "# TYPE b_c gauge\nb_c 1\n", 0),
        ("h_count", histogram, 0),
        ("h_sum", histogram, 1),
        ("", "", 0),
    ] {
        let (bytes, skipped) = written(OPENMETRICS, &[name], &families);
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{expected}# EOF\n"), "{name}");
        assert_eq!(skipped.iter().count(), skips, "{name}");
    }
}

#[test]
fn skips_and_counts_forbidden_metrics() {
    use MetricType::{COUNTER, GAUGE, HISTOGRAM, SUMMARY};
    let one_histogram = |buckets: &[(f64, u64)], sum, count| {
        let mut metric = labelled(&[]);
        metric.set_histogram(histogram(buckets, sum, count));
        (HISTOGRAM, metric)
    };
    let one_summary = |quantiles: &[(f64, f64)], sum| {
        let mut metric = labelled(&[]);
        metric.set_summary(summary(quantiles, sum, 1));
        (SUMMARY, metric)
    };
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    let forbidden = Some((SkipReason::Forbidden, 1));
    let without_sum = Some((SkipReason::Sum, 1));
    let repeated = Some((SkipReason::Repeated, 1));
    let rows = [
        ((COUNTER, counter(&[], nan)), forbidden, ""),
        ((COUNTER, counter(&[], -1.0)), forbidden, ""),
        ((COUNTER, counter(&[], -0.0)), None, "_total -0\n"),
        ((COUNTER, counter(&[], infinity)), None, "_total +Inf\n"),
        ((GAUGE, gauge(&[("__private", "")], 1.0)), Some((SkipReason::Labels, 1)), ""),
        ((GAUGE, gauge(&[("_private", "")], 1.0)), None, "_total{_private=\"\"} 1\n"),
        // Buckets that are not ascending, not cumulative, or do not end with the count.
        (one_histogram(&[(1.0, 1), (1.0, 1)], 1.0, 1), repeated, ""),
        (one_histogram(&[(2.0, 1), (1.0, 1)], 1.0, 1), forbidden, ""),
        (one_histogram(&[(1.0, 2), (2.0, 1)], 1.0, 2), forbidden, ""),
        (one_histogram(&[(nan, 1)], 1.0, 1), forbidden, ""),
        (one_histogram(&[(1.0, 1), (nan, 1)], 1.0, 1), forbidden, ""),
        (one_histogram(&[(-0.0, 1), (0.0, 1)], 1.0, 1), repeated, ""),
        (one_histogram(&[(1.0, 2)], 1.0, 1), forbidden, ""),
        (one_histogram(&[(infinity, 2)], 1.0, 1), forbidden, ""),
        (one_histogram(&[(infinity, 2)], 1.0, 3), forbidden, ""),
        // Sums that are not counters.
        (one_histogram(&[], nan, 1), without_sum, "_total_bucket{le=\"+Inf\"} 1\n"),
        (one_histogram(&[(infinity, 1)], -1.0, 1), without_sum, "_total_bucket{le=\"+Inf\"} 1\n"),
        (
            one_histogram(&[(-1.0, 1)], 1.0, 1),
            without_sum,
            "_total_bucket{le=\"-1.0\"} 1\nx_total_bucket{le=\"+Inf\"} 1\n",
        ),
        (one_summary(&[], nan), without_sum, "_total_count 1\n"),
        (one_summary(&[], -1.0), without_sum, "_total_count 1\n"),
        // Quantiles outside of 0 to 1, or with negative values.
        (one_summary(&[(0.5, nan), (1.1, 1.0)], 1.0), forbidden, ""),
        (one_summary(&[(-0.1, 1.0)], 1.0), forbidden, ""),
        (one_summary(&[(nan, 1.0)], 1.0), forbidden, ""),
        (one_summary(&[(0.5, -1.0)], 1.0), forbidden, ""),
        // Quantiles in any order, but not twice.
        (
            one_summary(&[(0.5, 1.0), (0.1, 1.0)], nan),
            without_sum,
            "_total{quantile=\"0.5\"} 1\nx_total{quantile=\"0.1\"} 1\nx_total_count 1\n",
        ),
        (one_summary(&[(0.5, 1.0), (0.1, 1.0), (0.5, 1.0)], 1.0), repeated, ""),
    ];
    for (at, ((kind, metric), skips, expected)) in rows.into_iter().enumerate() {
        let families = [family("x_total", kind, vec![metric])];
        let (text, skipped) = as_text(OPENMETRICS, &families);
        let lines = match text.split_once('\n') {
            Some((head, rest)) if head.starts_with("# TYPE") => rest,
            _ => &text,
        };
        let expected = if expected.is_empty() { String::new() } else { format!("x{expected}") };
        assert_eq!(lines, format!("{expected}# EOF\n"), "row {at}");
        assert_eq!(counted(&skipped), Vec::from_iter(skips), "row {at}");
        // The text format serves all of these that repeat no bound, and Prometheus accepts them.
        let (_, skipped) = as_text(FALLBACK, &families);
        let repeats = counted(&skipped) == [(SkipReason::Repeated, 1)];
        assert!(skipped.is_empty() || repeats || kind == SUMMARY || kind == GAUGE, "row {at}: {skipped:?}");
    }
}
