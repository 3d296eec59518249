//! Any text is read as a naive reader does; what was read and is written again is read the same.

#![no_main]

#[path = "../../../src/exposition/decode/tests/naive.rs"]
mod naive;

use libfuzzer_sys::fuzz_target;
use naive::{distribution_line, value_line};
use prometheus_hyper::internals::{EscapedFormat, Escaping, Names, TEXT_100, decode, encode};
use prometheus_hyper::prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

fuzz_target!(|input: (bool, &str)| {
    let (openmetrics, text) = input;
    let (families, faults) = decode(text, openmetrics);
    assert_eq!((lines(&families), faults.count), naive::read(text, openmetrics));
    assert_eq!(faults.first.is_some(), faults.count > 0);

    let written = write(&families);
    let (again, faults) = decode(&written, false);
    assert_eq!(faults.count, 0, "{written}");
    assert_eq!(write(&again), written);
});

fn write(families: &[MetricFamily]) -> String {
    let mut chunks = Vec::new();
    encode(EscapedFormat::new(&TEXT_100, Escaping::AllowUtf8), &Names::default(), families, &mut chunks);
    String::from_utf8(chunks.concat()).expect("what is written is text")
}

/// As the naive reader tells it.
fn lines(families: &[MetricFamily]) -> Vec<String> {
    let mut lines = Vec::new();
    for family in families {
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
    lines
}

#[allow(deprecated, reason = "the value of an untyped metric")]
fn line(kind: MetricType, metric: &Metric) -> String {
    let pair = |label: &LabelPair| (label.name().to_owned(), label.value().to_owned());
    let labels: Vec<_> = metric.get_label().iter().map(pair).collect();
    let timestamp = metric.timestamp_ms();
    let value = match kind {
        MetricType::COUNTER => metric.get_counter().get_value(),
        MetricType::GAUGE => metric.get_gauge().get_value(),
        MetricType::UNTYPED => metric.get_untyped().get_value(),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            let bounds: Vec<_> =
                buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
            let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count());
            return distribution_line(&labels, &bounds, sum, count, timestamp);
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            let quantiles = summary.get_quantile().iter();
            let bounds: Vec<_> =
                quantiles.map(|quantile| (quantile.quantile(), quantile.value().to_bits())).collect();
            return distribution_line(
                &labels,
                &bounds,
                summary.sample_sum(),
                summary.sample_count(),
                timestamp,
            );
        }
    };
    value_line(&labels, value.to_bits(), timestamp)
}
