//! The reader and a naive one read nearly valid texts alike.

use prometheus::proto::{LabelPair, Metric, MetricType};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::naive::{self, distribution_line, value_line};
use super::*;
use crate::exposition::encode::reading::{self, Sample};

/// Reads a text, and returns the result in the form of the naive reader.
fn read(text: &str, openmetrics: bool) -> naive::Read {
    let (families, faults) = decode(text, openmetrics);
    let mut lines = Vec::new();
    for family in &families {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY => "summary",
            MetricType::UNTYPED => "untyped",
        };
        let metrics = family.get_metric().iter().map(|metric| line(family.get_field_type(), metric));
        lines.extend(metrics.map(|line| format!("{:?} {:?} {kind} {line}", family.name(), family.help())));
    }
    lines.sort();
    (lines, faults.count)
}

fn line(kind: MetricType, metric: &Metric) -> String {
    let pair = |label: &LabelPair| (label.name().to_owned(), label.value().to_owned());
    let labels: Vec<_> = metric.get_label().iter().map(pair).collect();
    let timestamp = metric.timestamp_ms();
    match reading::sample(kind, metric).unwrap() {
        Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => {
            value_line(&labels, value.to_bits(), timestamp)
        }
        Sample::Histogram(histogram) => {
            let buckets = histogram.get_bucket().iter();
            let bounds: Vec<_> =
                buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
            let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count());
            distribution_line(&labels, &bounds, sum, count, timestamp)
        }
        Sample::Summary(summary) => {
            let quantiles = summary.get_quantile().iter();
            let bounds: Vec<_> =
                quantiles.map(|quantile| (quantile.quantile(), quantile.value().to_bits())).collect();
            distribution_line(&labels, &bounds, summary.sample_sum(), summary.sample_count(), timestamp)
        }
    }
}

/// Reads a text with the naive reader. With the feature `prometheus/protobuf` untyped families are gauges.
fn naively(text: &str, openmetrics: bool) -> naive::Read {
    let (mut lines, skipped) = naive::read(text, openmetrics);
    if decode("a 1", false).0[0].get_field_type() != MetricType::UNTYPED {
        lines.iter_mut().for_each(|line| *line = line.replacen("\" untyped ", "\" gauge ", 1));
        lines.sort();
    }
    (lines, skipped)
}

/// Generates lines. They have few names, so that families repeat, and most of them are valid.
fn lines() -> impl Strategy<Value = String> {
    let part = |parts: &'static [&'static str]| select(parts);
    let name = || part(&["a", "b", "a_total", "h", "s", "\"q.r\"", "i", "g"]);
    let kind = part(&[
        "counter",
        "gauge",
        "histogram",
        "summary",
        "untyped",
        "unknown",
        "info",
        "stateset",
        "gaugehistogram",
        "x",
    ]);
    let suffix =
        part(&["", "", "_total", "_bucket", "_sum", "_count", "_created", "_info", "_gsum", "_gcount"]);
    let labels = part(&[
        "",
        "",
        "{}",
        "{x=\"1\"}",
        "{x=\"2\",y=\"\\n\"}",
        "{y=\"1\",x=\"2\"}",
        "{x=\"1\",}",
        "{\"q.r\",x=\"1\"}",
        "{le=\"1\"}",
        "{le=\"2.0\"}",
        "{le=\"+Inf\"}",
        "{x=\"1\",le=\"1\"}",
        "{le=\"1 x\"}",
        "{x=\"1\",le=\"1 x\"}",
        "{x=\"1\",le=\"+Inf\"}",
        "{le=\"1\",x=\"1\"}",
        "{le=\"+Inf\",x=\"1\"}",
        "{quantile=\"0.5\"}",
        "{quantile=\"1 x\"}",
        "{x=\"1\",quantile=\"0.9\"}",
        "{x=\"1\",x=\"2\"}",
        "{x=\"1\" , y=\"é\"}",
        "{__name__=\"a\"}",
        "{__x=\"a\"}",
        "{x=\"1}",
    ]);
    let value = part(&["1", "2", "0", "1.0", "2.5", "NaN", "-1", "1e3", "x", "18446744073709551616"]);
    let rest =
        part(&["", "", "", "", " 5", " 2.5", " 0", " ", "\t", " # {} 1", " 2 # {x=\"}\"} 1 2.5", " 1 2"]);
    prop_oneof![
        6 => (name(), suffix, labels, value, rest)
            .prop_map(|(name, suffix, labels, value, rest)| format!("{name}{suffix}{labels} {value}{rest}")),
        2 => (name(), kind).prop_map(|(name, kind)| format!("# TYPE {name} {kind}")),
        1 => (name(), part(&["", " ", " Help.", " \\n \\\" \\\\"])).prop_map(|(name, help)| format!("# HELP {name}{help}")),
        1 => part(&["", " ", "#", "# ", "# EOF", "# UNIT a seconds", "# UNIT x_s s", "# c"]).prop_map(str::to_owned),
    ]
}

/// Generates a text. Each line is repeated with other values, as in an exposition.
fn text() -> impl Strategy<Value = String> {
    let numbers = vec(select(vec!["1", "2", "3.5", "0.25", "7"]), 0..4);
    let lines = vec((lines(), numbers), 0..24).prop_map(|lines| {
        let repeated = lines.into_iter().flat_map(|(line, numbers)| {
            let more: Vec<_> =
                numbers.iter().map(|number| line.replace("\"1\"", &format!("\"{number}\""))).collect();
            [line].into_iter().chain(more)
        });
        repeated.collect::<Vec<_>>().join("\n")
    });
    (lines, select(vec!["", "\n", "\n# EOF\n", "\n# EOF"])).prop_map(|(lines, end)| lines + end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn reads_nearly_valid_texts_like_the_naive_reader(
        text in text(), openmetrics: bool, cut: Option<Index>, flipped: Option<(Index, char)>,
    ) {
        let mut text: Vec<char> = text.chars().collect();
        if let Some((at, character)) = flipped.filter(|_| !text.is_empty()) {
            let at = at.index(text.len());
            text[at] = character;
        }
        text.truncate(cut.map_or(text.len(), |cut| cut.index(text.len() + 1)));
        let text: String = text.into_iter().collect();
        prop_assert_eq!(read(&text, openmetrics), naively(&text, openmetrics), "{:?}", text);
        // The families are encoded and read again without a fault.
        let written = served(&decode(&text, openmetrics).0).join("\n");
        let (again, faults) = decode(&written, false);
        prop_assert_eq!(faults, Faults::default(), "{}", &written);
        prop_assert_eq!(served(&again).join("\n"), written);
    }

    #[test]
    fn reads_any_text_like_the_naive_reader(text: String, openmetrics: bool) {
        prop_assert_eq!(read(&text, openmetrics), naively(&text, openmetrics));
    }
}
