//! The Prometheus text exposition format 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use prometheus::proto::{Histogram, MetricType, Summary};

use super::{
    Series, escape, number,
    piece::{Output, Sink},
    reading::Sample,
};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The most bytes of a line after its labels, or after its bound: suffix, punctuation, value, timestamp.
const TAIL: usize = 16 + number::LONGEST + number::LONGEST_TIMESTAMP;

/// Writes a family's `HELP` and `TYPE` lines.
pub(super) fn head(out: &mut Output<'_, impl Sink>, name: &str, help: &str, kind: MetricType) {
    let line = out.room(2 * name.len() + 2 * help.len() + 64);
    if !help.is_empty() {
        line.extend_from_slice(b"# HELP ");
        line.extend_from_slice(name.as_bytes());
        line.push(b' ');
        escape::help(line, help);
        line.push(b'\n');
    }
    line.extend_from_slice(b"# TYPE ");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(match kind {
        MetricType::COUNTER => b" counter\n",
        MetricType::GAUGE => b" gauge\n",
        MetricType::HISTOGRAM => b" histogram\n",
        MetricType::SUMMARY => b" summary\n",
        MetricType::UNTYPED => b" untyped\n",
    });
}

/// Writes sample lines. What repeats, within a metric or from metric to metric, is made once and kept.
pub(super) struct Lines {
    /// What the lines of a histogram or summary begin with that have a bound: `name_bucket{method="GET",`.
    start: Vec<u8>,
    upper_bounds: Bounds,
    quantiles: Bounds,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { start: Vec::new(), upper_bounds: Bounds::new("le"), quantiles: Bounds::new("quantile") }
    }

    /// Writes all sample lines of one metric.
    pub(super) fn metric(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>) {
        match series.sample {
            Sample::Single(value) => single(out, series, value),
            Sample::Histogram(histogram) => self.histogram(out, series, histogram),
            Sample::Summary(summary) => self.summary(out, series, summary),
        }
    }

    fn histogram(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>, histogram: &Histogram) {
        self.start(series, "_bucket");
        let (buckets, count) = (histogram.get_bucket(), histogram.get_sample_count());
        let mut complete = false;
        for (at, bucket) in buckets.iter().enumerate() {
            let line = bounded(out, &self.start, self.upper_bounds.text(at, bucket.upper_bound()));
            number::count(line, bucket.cumulative_count());
            end(line, series.timestamp);
            complete |= bucket.upper_bound() == f64::INFINITY;
        }
        // The text format: "A histogram must have a bucket with {le="+Inf"}."
        if !complete {
            let line = bounded(out, &self.start, self.upper_bounds.text(buckets.len(), f64::INFINITY));
            number::count(line, count);
            end(line, series.timestamp);
        }
        self.totals(out, series, "_bucket", histogram.get_sample_sum(), count);
    }

    fn summary(&mut self, out: &mut Output<'_, impl Sink>, series: &Series<'_>, summary: &Summary) {
        self.start(series, "");
        for (at, quantile) in summary.get_quantile().iter().enumerate() {
            let line = bounded(out, &self.start, self.quantiles.text(at, quantile.quantile()));
            number::value(line, quantile.value());
            end(line, series.timestamp);
        }
        self.totals(out, series, "", summary.sample_sum(), summary.sample_count());
    }

    /// Makes the start of the lines with a bound, whose name ends in `suffix`.
    fn start(&mut self, series: &Series<'_>, suffix: &str) {
        self.start.clear();
        self.start.extend_from_slice(series.name.as_bytes());
        self.start.extend_from_slice(suffix.as_bytes());
        series.names.write(&mut self.start, series.labels);
        self.start.extend_from_slice(if series.labels.is_empty() { b"{" } else { b"\"," });
    }

    /// Writes the lines `_sum` and `_count`. The labels come from the start, which has `suffix`.
    fn totals(
        &self,
        out: &mut Output<'_, impl Sink>,
        series: &Series<'_>,
        suffix: &str,
        sum: f64,
        count: u64,
    ) {
        let labels = &self.start[series.name.len() + suffix.len()..self.start.len() - 1];
        let line = total(out, series.name, "_sum", labels);
        number::value(line, sum);
        end(line, series.timestamp);
        let line = total(out, series.name, "_count", labels);
        number::count(line, count);
        end(line, series.timestamp);
    }
}

/// The last text of the bound in each place: a family's metrics have the same bounds, as a rule.
struct Bounds {
    label: &'static str,
    texts: Vec<BoundText>,
}

struct BoundText {
    bits: u64,
    /// `le="0.5"} `
    text: Vec<u8>,
}

impl Bounds {
    fn new(label: &'static str) -> Self {
        Self { label, texts: Vec::new() }
    }

    /// The text of `bound`, which is the one in place `at`; places are asked for in their order.
    #[inline]
    fn text(&mut self, at: usize, bound: f64) -> &[u8] {
        let bits = bound.to_bits();
        if self.texts.get(at).is_none_or(|text| text.bits != bits) {
            self.texts.truncate(at);
            let mut text = Vec::new();
            text.extend_from_slice(self.label.as_bytes());
            text.extend_from_slice(b"=\"");
            number::value(&mut text, bound);
            text.extend_from_slice(b"\"} ");
            self.texts.push(BoundText { bits, text });
        }
        &self.texts[at].text
    }
}

/// Begins a line with a bound, up to its value.
#[inline]
fn bounded<'o>(out: &'o mut Output<'_, impl Sink>, start: &[u8], bound: &[u8]) -> &'o mut Vec<u8> {
    let line = out.room(start.len() + bound.len() + TAIL);
    line.extend_from_slice(start);
    line.extend_from_slice(bound);
    line
}

/// Begins a `_sum` or `_count` line, up to its value.
#[inline]
fn total<'o>(out: &'o mut Output<'_, impl Sink>, name: &str, suffix: &str, labels: &[u8]) -> &'o mut Vec<u8> {
    let line = out.room(name.len() + labels.len() + TAIL);
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(suffix.as_bytes());
    line.extend_from_slice(labels);
    line.extend_from_slice(if labels.is_empty() { b" " } else { b"} " });
    line
}

/// Writes the only line of a metric without bounds.
fn single(out: &mut Output<'_, impl Sink>, series: &Series<'_>, value: f64) {
    let line = out.room(series.name.len() + series.names.most_bytes(series.labels) + TAIL);
    line.extend_from_slice(series.name.as_bytes());
    series.names.write(line, series.labels);
    line.extend_from_slice(if series.labels.is_empty() { b" " } else { b"\"} " });
    number::value(line, value);
    end(line, series.timestamp);
}

/// Ends a line. To `prometheus` a timestamp of zero is none.
#[inline]
fn end(line: &mut Vec<u8>, timestamp: i64) {
    if timestamp != 0 {
        line.push(b' ');
        number::timestamp(line, timestamp);
    }
    line.push(b'\n');
}
