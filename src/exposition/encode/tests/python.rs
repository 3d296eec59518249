//! Independent parsers read the samples that were written.

use std::{
    env,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{super::line, super::reading::Sample, generated::finite, *};

/// The environment variable with the Python interpreter. Its parser is the strictest one.
const PYTHON: &str = "PYTHON";

type Label = (String, String);

/// A sample that a parser returns: name, sorted labels, value, timestamp in milliseconds.
type Read = (String, Vec<Label>, f64, Option<i64>);

const FORMATS: [(&Format, &str); 3] =
    [(&TEXT_004, "text"), (&TEXT_100, "text"), (&OPENMETRICS_100, "openmetrics")];

/// The types of families. Not untyped, because its value cannot be read in every build.
const KINDS: [MetricType; 4] =
    [MetricType::COUNTER, MetricType::GAUGE, MetricType::HISTOGRAM, MetricType::SUMMARY];

#[test]
#[ignore = "needs a Python with PyPI's prometheus-client: .ci/run programs"]
fn python_reads_the_written_samples() {
    let python = env::var(PYTHON).expect("the interpreter is named");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/exposition.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(corpus().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Generates the cases for Python. It must return the samples of valid families, and read the others without error.
fn corpus() -> String {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut corpus, lawful, any) = (String::new(), lawful(), any_families());
    for _ in 0..400 {
        let (lawful, any) = (lawful.new_tree(&mut runner).unwrap(), any.new_tree(&mut runner).unwrap());
        for (families, come_back) in [(lawful.current(), true), (any.current(), false)] {
            for (format, reader) in FORMATS {
                // Python's parser of the text format reserves other label names.
                if !come_back && !format.is_openmetrics {
                    continue;
                }
                for escaping in Escaping::ALL {
                    let format = EscapedFormat::new(format, escaping);
                    let (body, skipped) = as_text(format, &families);
                    assert!(!come_back || skipped.is_empty(), "{skipped:?}");
                    let samples = come_back.then(|| expected(format, &families));
                    case(&mut corpus, reader, &body, samples);
                }
            }
        }
    }
    corpus
}

proptest! {
    #[test]
    fn prometheus_parse_reads_the_written_samples(
        // It splits labels at commas, equals signs and braces, and supports neither escapes nor colons.
        families in lawful_with("[a-z_]{0,5}", "[a-z/. ]{0,8}".boxed()),
    ) {
        let (body, _) = as_text(FALLBACK, &families);
        let now = prometheus_parse::Scrape::parse(body.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let mut found: Vec<_> = now.samples.iter().flat_map(read_in_rust).collect();
        let mut expected: Vec<_> = expected(FALLBACK, &families)
            .into_iter()
            .map(|(name, mut labels, value, _)| {
                // `expected` adds the suffix that Python's parser adds.
                let counts = families.iter().all(|family| family.name() != name);
                let name = name.strip_suffix("_total").filter(|_| counts).unwrap_or(&name).to_owned();
                for (label, value) in &mut labels {
                    if ["le", "quantile"].contains(&label.as_str()) {
                        *value = value.parse::<f64>().unwrap().to_string();
                    }
                }
                (name, labels, value.to_bits() & !(u64::from(value.is_nan()) << 63))
            })
            .collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

/// Returns the samples of an entry. Values are bits, so that they can be sorted.
fn read_in_rust(sample: &prometheus_parse::Sample) -> Vec<(String, Vec<Label>, u64)> {
    use prometheus_parse::Value;
    let read = |suffix: &str, bound: Option<(&str, f64)>, value: f64| {
        let given = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        let bound = bound.map(|(label, bound)| (label.to_owned(), bound.to_string()));
        let mut labels: Vec<_> = given.chain(bound).collect();
        labels.sort();
        (format!("{}{suffix}", sample.metric), labels, value.to_bits())
    };
    match &sample.value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => vec![read("", None, *value)],
        Value::Histogram(buckets) => {
            buckets.iter().map(|entry| read("_bucket", Some(("le", entry.less_than)), entry.count)).collect()
        }
        Value::Summary(quantiles) => {
            quantiles.iter().map(|entry| read("", Some(("quantile", entry.quantile)), entry.count)).collect()
        }
    }
}

/// Returns the samples of the families without the code of the formats.
fn expected(format: EscapedFormat, families: &[MetricFamily]) -> Vec<Read> {
    let mut samples = Vec::new();
    for family in families {
        let name = name::metric_name(family.name(), format.escaping());
        for metric in family.get_metric() {
            let mut sample = |suffix: &str, bound: Option<(&str, f64)>, value: f64| {
                let given = metric.get_label().iter();
                let mut labels: Vec<_> = given
                    .map(|label| {
                        (
                            name::label_name(label.name(), format.escaping()).into_owned(),
                            label.value().to_owned(),
                        )
                    })
                    .collect();
                if let Some((label, bound)) = bound {
                    let mut text = Vec::new();
                    line::into(&mut text, |text| {
                        if format.format().is_openmetrics {
                            number::canonical(text, bound);
                        } else {
                            number::value(text, bound);
                        }
                    });
                    labels.push((label.to_owned(), String::from_utf8(text).unwrap()));
                }
                labels.sort();
                let timestamp = Some(metric.timestamp_ms()).filter(|&timestamp| timestamp != 0);
                samples.push((format!("{name}{suffix}"), labels, value, timestamp));
            };
            match reading::sample(family.get_field_type(), metric).unwrap() {
                // Python adds `_total` to a counter in the text format.
                Sample::Counter(value) if !format.format().is_openmetrics && !name.ends_with("_total") => {
                    sample("_total", None, value);
                }
                Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => {
                    sample("", None, value);
                }
                Sample::Histogram(histogram) => {
                    for bucket in histogram.get_bucket() {
                        let bound = Some(("le", bucket.upper_bound()));
                        sample("_bucket", bound, bucket.cumulative_count() as f64);
                    }
                    let count = histogram.get_sample_count() as f64;
                    sample("_bucket", Some(("le", f64::INFINITY)), count);
                    sample("_count", None, count);
                    sample("_sum", None, histogram.get_sample_sum());
                }
                Sample::Summary(summary) => {
                    for entry in summary.get_quantile() {
                        sample("", Some(("quantile", entry.quantile())), entry.value());
                    }
                    sample("_count", None, summary.sample_count() as f64);
                    sample("_sum", None, summary.sample_sum());
                }
            }
        }
    }
    samples
}

/// Generates families that every format allows, without clashes of names and without repeated series.
pub(super) fn lawful() -> impl Strategy<Value = Vec<MetricFamily>> {
    lawful_with("[a-z.é:]{0,5}", "[a-z.é\"\\\\\n{} =,#]{0,8}".boxed())
}

fn lawful_with(name: &'static str, text: BoxedStrategy<String>) -> impl Strategy<Value = Vec<MetricFamily>> {
    let metric = (lawful_metric(), vec(text.clone(), 2));
    let strategy = (select(&KINDS[..]), any::<bool>(), name, name, text, vec(metric, 1..5));
    vec(strategy, 0..5).prop_map(|families| {
        let make = |(at, (kind, total, name, label, help, metrics))| {
            let total = if total { "_total" } else { "" };
            let metrics: Vec<(Metric, Vec<String>)> = metrics;
            let metric = |(at, (mut metric, values)): (usize, (Metric, Vec<String>))| {
                let labels = [("at", at.to_string()), (&format!("k{label}"), values[0].clone())];
                let pairs = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
                metric.set_label(labelled(&pairs).take_label());
                metric
            };
            let metrics = metrics.into_iter().enumerate().map(metric).collect();
            let mut made = family(&format!("{name}x{at}{total}"), kind, metrics);
            made.set_help(help);
            made
        };
        families.into_iter().enumerate().map(make).collect()
    })
}

/// Generates a metric with a valid value of each type.
fn lawful_metric() -> impl Strategy<Value = Metric> {
    let bounds = vec((0.0..1e9, 0..1000u64), 0..5);
    let timestamp = prop_oneof![Just(0), 1..1i64 << 50];
    (finite(), bounds, timestamp).prop_map(|(value, mut bounds, timestamp): (_, Vec<(f64, u64)>, _)| {
        bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        bounds.dedup_by(|one, other| one.0 == other.0);
        let mut count = 0;
        let mut cumulative = |&(bound, more): &(f64, u64)| {
            count += more;
            (bound, count)
        };
        let buckets: Vec<_> = bounds.iter().map(&mut cumulative).collect();
        let mut quantiles: Vec<_> =
            bounds.iter().map(|&(bound, value)| (bound / 1e9, value as f64)).collect();
        quantiles.push((1.0, f64::NAN));

        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = counter(&[], value.abs());
        metric.set_gauge(gauge);
        metric.set_histogram(histogram(&buckets, value.abs(), count + 1));
        metric.set_summary(summary(&quantiles, value.abs(), count));
        metric.set_timestamp_ms(timestamp);
        metric
    })
}

/// Generates families with clashing names and arbitrary values.
fn any_families() -> impl Strategy<Value = Vec<MetricFamily>> {
    let suffix = select(vec!["", "_total", "_created", "_bucket", "_count", "_sum", ".", "_total_total"]);
    let name = prop_oneof!["[ab]", "[ab][._]b", ".{1,3}"];
    let label = prop_oneof!["[a_.]{0,3}", select(vec!["le", "quantile", "__name__"]).prop_map(str::to_owned)];
    let series = (super::generated::metric(), vec((label, any::<String>()), 0..3));
    let strategy = (select(&KINDS[..]), name, suffix, any::<String>(), vec(series, 0..4));
    vec(strategy, 0..8).prop_map(|families| {
        let make = |(kind, name, suffix, help, series): (_, String, _, _, Vec<(Metric, Vec<_>)>)| {
            let metric = |(at, (mut metric, labels)): (usize, (Metric, Vec<(String, String)>))| {
                let at = at.to_string();
                let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let labels: Vec<_> = labels.chain([("at", at.as_str())]).collect();
                metric.set_label(labelled(&labels).take_label());
                metric
            };
            let metrics = series.into_iter().enumerate().map(metric).collect();
            let mut made = family(&format!("{name}{suffix}"), kind, metrics);
            made.set_help(help);
            made
        };
        families.into_iter().map(make).collect()
    })
}

fn case(corpus: &mut String, reader: &str, body: &str, samples: Option<Vec<Read>>) {
    let sample = |(name, labels, value, timestamp): &Read| {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("[{},{}]", json(name), json(value))).collect();
        let value =
            if value.is_nan() { "nan".to_owned() } else { format!("{:016x}", (value + 0.0).to_bits()) };
        let timestamp = timestamp.map_or("null".to_owned(), |timestamp| timestamp.to_string());
        format!("[{},[{}],\"{value}\",{timestamp}]", json(name), labels.join(","))
    };
    let samples = samples.map_or("null".to_owned(), |samples| {
        format!("[{}]", samples.iter().map(sample).collect::<Vec<_>>().join(","))
    });
    writeln!(corpus, r#"{{"format":"{reader}","body":{},"samples":{samples}}}"#, json(body)).unwrap();
}

fn json(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}
