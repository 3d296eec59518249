//! Writes the Prometheus text formats 0.0.4 and 1.0.0, and the part of OpenMetrics that is the same.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>. Quoted names are written as in
//! `expfmt/text_create.go` of prometheus/common.

use prometheus::proto::{Histogram, MetricType, Summary};

use super::format::{Escapings, Format, announced};
use super::label::Lead;
use super::line::{self, Line};
use super::output::Output;
use super::reading::Sample;
use super::writer::{Head, Series, Writer};
use super::{escape, name, number};

/// Text 0.0.4, which every scraper and every browser can read.
pub static TEXT_004: Format = Format {
    title: "Text",
    query_name: Some("text"),
    media_type: "text/plain",
    parameters: &[("version", "0.0.4")],
    is_default_version: true,
    content_type: "text/plain; version=0.0.4; charset=utf-8",
    escapings: Escapings::Underscores,
    has_comments: true,
    // The text lexer of Prometheus has `<sTimestamp>{D}+` (`promlex.l`), so a minus fails the whole scrape.
    has_negative_timestamps: false,
    is_openmetrics: false,
    writer: || Lines::boxed(&DIALECT),
};

/// Text 1.0.0, which is 0.0.4 with quoted names.
pub static TEXT_100: Format = Format {
    query_name: None,
    parameters: &[("version", "1.0.0")],
    is_default_version: false,
    content_type: "text/plain; version=1.0.0; charset=utf-8",
    escapings: announced!("text/plain; version=1.0.0; charset=utf-8"),
    ..TEXT_004
};

/// The number of lines of a histogram that are written at once.
const GROUP: usize = 8;

/// The differences between the text formats.
pub(super) struct Dialect {
    /// The suffix of a counter's name that its `HELP` and `TYPE` lines omit.
    pub(super) counter_suffix: &'static str,
    /// The end of an untyped family's `TYPE` line.
    pub(super) untyped: &'static [u8],
    /// Whether `TYPE` comes before `HELP`.
    pub(super) type_first: bool,
    pub(super) help: fn(&mut Line<'_>, &str),
    /// Writes the value of `le` or `quantile`.
    pub(super) bound: fn(&mut Line<'_>, f64),
    pub(super) timestamp: fn(&mut Line<'_>, i64),
    /// The end of the exposition.
    pub(super) end: &'static [u8],
}

static DIALECT: Dialect = Dialect {
    counter_suffix: "",
    untyped: b" untyped\n",
    // The usual order in expositions.
    type_first: false,
    help: escape::help,
    bound: number::value,
    timestamp: number::timestamp,
    end: b"",
};

/// Writes families as lines. Texts that repeat within a metric or from metric to metric are formatted once and kept.
pub(super) struct Lines {
    dialect: &'static Dialect,
    names: SampleNames,
    /// The start of the bucket or quantile lines of a metric: `name_bucket{method="GET",`.
    start: Vec<u8>,
    upper_bounds: Bounds,
    quantiles: Bounds,
}

impl Writer for Lines {
    fn lead(&self, head: &Head<'_>) -> Lead {
        lead(head.is_quoted)
    }

    /// Writes the `HELP` and `TYPE` lines.
    fn head(&mut self, out: &mut Output<'_>, head: &Head<'_>, _bytes: usize) {
        self.names.start_family(head);
        let name = match head.kind {
            MetricType::COUNTER => head.name.strip_suffix(self.dialect.counter_suffix).unwrap_or(head.name),
            _ => head.name,
        };
        out.line(|lines| {
            if self.dialect.type_first {
                self.type_line(lines, name, head);
            }
            // OpenMetrics: "The value of a UNIT or HELP line MAY be empty. This MUST be treated as if no metadata
            // line for the MetricFamily existed."
            if !head.help.is_empty() {
                lines.put(b"# HELP ");
                family_name(lines, name, head.is_quoted);
                lines.push(b' ');
                (self.dialect.help)(lines, head.help);
                lines.push(b'\n');
            }
            if !self.dialect.type_first {
                self.type_line(lines, name, head);
            }
        });
    }

    fn metric(&mut self, out: &mut Output<'_>, series: &Series<'_>) {
        match series.sample {
            Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value) => {
                self.single(out, series, value);
            }
            Sample::Histogram(histogram) => self.histogram(out, series, histogram),
            Sample::Summary(summary) => self.summary(out, series, summary),
        }
    }

    fn end(&mut self, out: &mut Output<'_>) {
        out.line(|line| line.put(self.dialect.end));
    }
}

impl Lines {
    /// Returns a writer of this dialect.
    pub(super) fn boxed(dialect: &'static Dialect) -> Box<dyn Writer> {
        Box::new(Self {
            dialect,
            names: SampleNames::default(),
            start: Vec::new(),
            upper_bounds: Bounds::new("le", dialect.bound),
            quantiles: Bounds::new("quantile", dialect.bound),
        })
    }

    fn type_line(&self, lines: &mut Line<'_>, name: &str, head: &Head<'_>) {
        lines.put(b"# TYPE ");
        family_name(lines, name, head.is_quoted);
        lines.put(match head.kind {
            MetricType::COUNTER => b" counter\n",
            MetricType::GAUGE => b" gauge\n",
            MetricType::HISTOGRAM => b" histogram\n",
            MetricType::SUMMARY => b" summary\n",
            MetricType::UNTYPED => self.dialect.untyped,
        });
    }

    fn single(&self, out: &mut Output<'_>, series: &Series<'_>, value: f64) {
        out.line(|line| {
            line.put(&self.names.own);
            series.names.write(line, series.labels);
            // Each branch copies a known length, which is one instruction.
            if series.labels.is_empty() {
                line.put(self.names.bare_end);
            } else {
                line.put(b"\"} ");
            }
            number::value(line, value);
            self.end_line(line, series);
        });
    }

    fn histogram(&mut self, out: &mut Output<'_>, series: &Series<'_>, histogram: &Histogram) {
        start(&mut self.start, &self.names, &self.names.bucket, series);
        let (buckets, count) = (histogram.get_bucket(), histogram.get_sample_count());
        for (at, bucket) in buckets.iter().enumerate() {
            self.upper_bounds.prepare(at, bucket.upper_bound());
        }
        // Groups of lines are a fifth faster than single lines. Not all lines at once, because there may be many.
        for (group, buckets) in buckets.chunks(GROUP).enumerate() {
            out.line(|line| {
                for (at, bucket) in buckets.iter().enumerate() {
                    self.bucket(line, series, GROUP * group + at, bucket.cumulative_count());
                }
            });
        }
        // The text format: "A histogram must have a bucket with {le="+Inf"}."
        if !buckets.iter().any(|bucket| bucket.upper_bound() == f64::INFINITY) {
            self.upper_bounds.prepare(buckets.len(), f64::INFINITY);
            out.line(|line| self.bucket(line, series, buckets.len(), count));
        }
        // OpenMetrics: "If and only if a Sum Value is present in a MetricPoint, then the MetricPoint's +Inf Bucket
        // value MUST also appear in a Sample with a MetricName with the suffix "_count"."
        if series.sum {
            let labels = &self.start[self.names.bucket.len()..self.start.len() - 1];
            self.sum(out, series, labels, histogram.get_sample_sum());
            self.count(out, series, labels, count);
        }
    }

    #[inline(always)]
    fn bucket(&self, line: &mut Line<'_>, series: &Series<'_>, at: usize, count: u64) {
        line.put(&self.start);
        line.put(self.upper_bounds.text(at));
        number::count(line, count);
        self.end_line(line, series);
    }

    fn summary(&mut self, out: &mut Output<'_>, series: &Series<'_>, summary: &Summary) {
        start(&mut self.start, &self.names, &self.names.own, series);
        for (at, quantile) in summary.get_quantile().iter().enumerate() {
            self.quantiles.prepare(at, quantile.quantile());
            out.line(|line| {
                line.put(&self.start);
                line.put(self.quantiles.text(at));
                number::value(line, quantile.value());
                self.end_line(line, series);
            });
        }
        let labels = &self.start[self.names.own.len()..self.start.len() - 1];
        if series.sum {
            self.sum(out, series, labels, summary.sample_sum());
        }
        self.count(out, series, labels, summary.sample_count());
    }

    fn sum(&self, out: &mut Output<'_>, series: &Series<'_>, labels: &[u8], sum: f64) {
        out.line(|line| {
            self.total(line, &self.names.sum, labels);
            number::value(line, sum);
            self.end_line(line, series);
        });
    }

    fn count(&self, out: &mut Output<'_>, series: &Series<'_>, labels: &[u8], count: u64) {
        out.line(|line| {
            self.total(line, &self.names.count, labels);
            number::count(line, count);
            self.end_line(line, series);
        });
    }

    /// Writes a `_sum` or `_count` line up to its value.
    #[inline]
    fn total(&self, line: &mut Line<'_>, name: &[u8], labels: &[u8]) {
        line.put(name);
        line.put(labels);
        if labels.is_empty() {
            line.put(self.names.bare_end);
        } else {
            line.put(b"} ");
        }
    }

    /// Writes the timestamp and ends the line. In `prometheus` a zero timestamp means that there is none.
    #[inline]
    fn end_line(&self, line: &mut Line<'_>, series: &Series<'_>) {
        if series.timestamp != 0 {
            line.lend(|line| self.timestamp(line, series.timestamp));
        }
        line.push(b'\n');
    }

    #[cold]
    fn timestamp(&self, line: &mut Line<'_>, milliseconds: i64) {
        line.push(b' ');
        (self.dialect.timestamp)(line, milliseconds);
    }
}

/// The names at the start of a family's lines: `name_sum`, or `{"name_sum"` if the name needs quotes.
#[derive(Default)]
struct SampleNames {
    own: Vec<u8>,
    bucket: Vec<u8>,
    sum: Vec<u8>,
    count: Vec<u8>,
    /// The byte before `le` or `quantile` in a metric without labels.
    separator: u8,
    /// The text before the value in a line without labels.
    bare_end: &'static [u8],
}

impl SampleNames {
    fn start_family(&mut self, head: &Head<'_>) {
        let Head { name: family, is_quoted: quoted, kind, help: _ } = *head;
        self.separator = if quoted { b',' } else { b'{' };
        self.bare_end = if quoted { b"} " } else { b" " };
        let make = |name: &mut Vec<u8>, suffix: &str| {
            line::into(name, |name| {
                if quoted {
                    name.put(b"{\"");
                    escape::quoted(name, family);
                } else {
                    name.put(family.as_bytes());
                }
                name.put(suffix.as_bytes());
                if quoted {
                    name.push(b'"');
                }
            });
        };
        make(&mut self.own, "");
        if matches!(kind, MetricType::HISTOGRAM | MetricType::SUMMARY) {
            make(&mut self.bucket, "_bucket");
            make(&mut self.sum, "_sum");
            make(&mut self.count, "_count");
        }
    }
}

/// Returns the lead of a family's labels.
pub(super) fn lead(is_quoted: bool) -> Lead {
    fn label(separator: &str, name: &str) -> String {
        if name::is_label_name(name) {
            return format!("{separator}{name}=\"");
        }
        let mut quoted = Vec::new();
        line::into(&mut quoted, |quoted| escape::quoted(quoted, name));
        format!("{separator}\"{}\"=\"", String::from_utf8_lossy(&quoted))
    }
    if is_quoted {
        |at, name| label(if at == 0 { "," } else { "\"," }, name)
    } else {
        |at, name| label(if at == 0 { "{" } else { "\"," }, name)
    }
}

/// Writes a family's name in a `HELP` or `TYPE` line.
fn family_name(line: &mut Line<'_>, family: &str, is_quoted: bool) {
    if is_quoted {
        line.push(b'"');
        escape::quoted(line, family);
        line.push(b'"');
    } else {
        line.put(family.as_bytes());
    }
}

/// Writes the start of the bucket or quantile lines.
fn start(start: &mut Vec<u8>, names: &SampleNames, name: &[u8], series: &Series<'_>) {
    line::into(start, |start| {
        start.put(name);
        series.names.write(start, series.labels);
        if series.labels.is_empty() {
            start.push(names.separator);
        } else {
            start.put(b"\",");
        }
    });
}

/// The texts of the bounds at each index, kept because most metrics of a family have the same bounds.
struct Bounds {
    label: &'static str,
    write: fn(&mut Line<'_>, f64),
    texts: Vec<BoundText>,
}

struct BoundText {
    bits: u64,
    /// `le="0.5"} `
    text: Vec<u8>,
}

impl Bounds {
    fn new(label: &'static str, write: fn(&mut Line<'_>, f64)) -> Self {
        Self { label, write, texts: Vec::new() }
    }

    /// Formats `bound` at index `at`, unless its text is kept. Must be called with ascending indices.
    #[inline]
    fn prepare(&mut self, at: usize, bound: f64) {
        let bits = bound.to_bits();
        if self.texts.get(at).is_none_or(|text| text.bits != bits) {
            self.make(at, bound);
        }
    }

    #[inline]
    fn text(&self, at: usize) -> &[u8] {
        self.texts.get(at).map(|text| &*text.text).unwrap_or_default()
    }

    #[cold]
    fn make(&mut self, at: usize, bound: f64) {
        let mut text = Vec::new();
        line::into(&mut text, |text| {
            text.put(self.label.as_bytes());
            text.put(b"=\"");
            (self.write)(text, bound);
            text.put(b"\"} ");
        });
        self.texts.truncate(at);
        self.texts.push(BoundText { bits: bound.to_bits(), text });
    }
}
