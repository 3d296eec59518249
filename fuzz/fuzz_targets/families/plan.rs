//! Makes families from bytes: those of `prometheus` itself, and those that only a custom collector can make.

use arbitrary::Arbitrary;
use prometheus_hyper::prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
};

#[derive(Arbitrary, Debug)]
pub(crate) struct Plan {
    /// Selects the format to check closely.
    pub(crate) choice: u8,
    families: Vec<Family>,
    /// Up to two and a half chunks of a label's value.
    padding: u32,
    /// Makes bodies worth compressing.
    copies: u8,
    filter: Vec<Text>,
}

#[derive(Arbitrary, Debug)]
struct Family {
    name: Text,
    help: Text,
    kind: Kind,
    metrics: Vec<Series>,
}

#[derive(Arbitrary, Clone, Debug)]
struct Series {
    labels: Vec<(Text, Text)>,
    timestamp: Timestamp,
    /// The value of a counter or gauge, or a sum.
    value: Number,
    count: u64,
    bounds: Vec<(Number, Number)>,
    /// Values of another type than the family's.
    mistaken: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

#[derive(Arbitrary, Clone, Debug)]
enum Text {
    Known(u8),
    Suffixed(u8, u8),
    Any(String),
}

/// Names that have a meaning in a format, or that collide once escaped.
const KNOWN: [&str; 16] = [
    "a", "a_b", "a.b", "a:b", "b", "", "_", "__name__", "le", "quantile", "1", "ä", "\"", "\\n", "\n",
    "# EOF",
];

const SUFFIXES: [&str; 8] = ["", "_total", "_created", "_bucket", "_sum", "_count", "_info", ".total"];

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Known(u8),
    Whole(i32),
    Any(f64),
}

const NUMBERS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MAX,
    f64::MIN_POSITIVE,
    5e-324,
    1e15,
    1e21,
    123_456_789.123_456_79,
    9_007_199_254_740_993.0,
    0.000_001,
];

/// Most of it is longer once escaped.
const PADDING: &str = "\\\"\n0123456789abcdef\\\\\\\\\\\\\\\\\\\\\\\\\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"";

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Timestamp {
    None,
    Least,
    Most,
    Any(i64),
}

impl Plan {
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        let mut families: Vec<_> = self.families.iter().map(Family::family).collect();
        let last = families.last_mut().and_then(|family| {
            let metric = family.get_metric().last()?.clone();
            Some((family, metric))
        });
        if let Some((family, metric)) = last {
            for copy in 0..self.copies / 4 {
                let mut metric = metric.clone();
                metric.set_label(vec![label("copy", &copy.to_string()), label("of", "the last")]);
                family.mut_metric().push(metric);
            }
            // Rarely, because it takes time. ruzstd takes long if each byte repeats the previous one.
            if self.padding % 16 == 1 {
                let mut metric = metric;
                let padding = PADDING.repeat(self.padding as usize / 16 % 80_000 / PADDING.len());
                metric.set_label(vec![label("padding", &padding)]);
                family.mut_metric().push(metric);
            }
        }
        families
    }

    /// A query for some of the names.
    pub(crate) fn filter(&self) -> String {
        let wanted = self.filter.iter().take(100).map(|text| {
            let escaped: String = text.text().bytes().map(|byte| format!("%{byte:02x}")).collect();
            format!("name[]={escaped}")
        });
        wanted.collect::<Vec<_>>().join("&")
    }
}

impl Family {
    fn family(&self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.text());
        family.set_help(self.help.text());
        family.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
            Kind::Summary => MetricType::SUMMARY,
            Kind::Untyped => MetricType::UNTYPED,
        });
        family.set_metric(self.metrics.iter().map(|series| series.metric(self.kind)).collect());
        family
    }
}

impl Series {
    fn metric(&self, kind: Kind) -> Metric {
        let mut metric = Metric::default();
        metric
            .set_label(self.labels.iter().map(|(name, value)| label(&name.text(), &value.text())).collect());
        match self.timestamp {
            Timestamp::None => {}
            Timestamp::Least => metric.set_timestamp_ms(i64::MIN),
            Timestamp::Most => metric.set_timestamp_ms(i64::MAX),
            Timestamp::Any(milliseconds) => metric.set_timestamp_ms(milliseconds),
        }
        let is = |other: Kind| self.mistaken || kind as u8 == other as u8;
        if is(Kind::Counter) {
            let mut counter = Counter::default();
            counter.set_value(self.value.value());
            metric.set_counter(counter);
        }
        if is(Kind::Gauge) {
            let mut gauge = Gauge::default();
            gauge.set_value(self.value.value());
            metric.set_gauge(gauge);
        }
        if is(Kind::Histogram) {
            metric.set_histogram(self.histogram());
        }
        if is(Kind::Summary) {
            metric.set_summary(self.summary());
        }
        metric
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.set_sample_count(self.count);
        histogram.set_sample_sum(self.value.value());
        let buckets = self.bounds.iter().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound.value());
            bucket.set_cumulative_count(count.value() as u64);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        summary.set_sample_count(self.count);
        summary.set_sample_sum(self.value.value());
        let quantiles = self.bounds.iter().map(|(at, value)| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(at.value());
            quantile.set_value(value.value());
            quantile
        });
        summary.set_quantile(quantiles.collect());
        summary
    }
}

impl Text {
    fn text(&self) -> String {
        match self {
            Text::Known(at) => KNOWN[usize::from(*at) % KNOWN.len()].to_owned(),
            Text::Suffixed(at, suffix) => {
                let suffix = SUFFIXES[usize::from(*suffix) % SUFFIXES.len()];
                format!("{}{suffix}", KNOWN[usize::from(*at) % KNOWN.len()])
            }
            Text::Any(text) => text.clone(),
        }
    }
}

impl Number {
    fn value(self) -> f64 {
        match self {
            Number::Known(at) => NUMBERS[usize::from(at) % NUMBERS.len()],
            Number::Whole(value) => f64::from(value),
            Number::Any(value) => value,
        }
    }
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
