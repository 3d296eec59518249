//! OpenMetrics text 1.0.0: its differences from [`text`](super::text) and its prohibitions.
//!
//! Quotations are from <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::borrow::Cow;

use prometheus::proto::{Histogram, MetricType, Summary};

use super::format::{Escapings, Format, announced};
use super::reading::Sample;
use super::text::{Dialect, Lines};
use super::{escape, number};

/// OpenMetrics text, 1.0.0.
pub static OPENMETRICS_100: Format = Format {
    title: "OpenMetrics",
    query_name: Some("openmetrics"),
    media_type: "application/openmetrics-text",
    parameters: &[("version", "1.0.0")],
    // Prometheus 2.40.0 omits the version to request the current one.
    is_default_version: true,
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    escapings: announced!("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    has_comments: false,
    has_negative_timestamps: true,
    is_openmetrics: true,
    writer: || Lines::boxed(&DIALECT),
};

/// OpenMetrics text 0.0.1, which Prometheus before 2.40 requests. The body is that of [`OPENMETRICS_100`].
pub static OPENMETRICS_001: Format = Format {
    query_name: None,
    parameters: &[("version", "0.0.1")],
    is_default_version: false,
    content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8",
    escapings: Escapings::Underscores,
    ..OPENMETRICS_100
};

static DIALECT: Dialect = Dialect {
    counter_suffix: TOTAL,
    untyped: b" unknown\n",
    // "The ordering SHOULD be TYPE, UNIT, HELP."
    type_first: true,
    // The same characters are escaped: "escaped-char =/ BS ("n" / DQUOTE / BS)".
    help: escape::quoted,
    bound: number::canonical,
    timestamp: number::seconds,
    // "Expositions MUST end with EOF and SHOULD end with 'EOF\n'."
    end: b"# EOF\n",
};

/// "The MetricPoint's Total Value Sample MetricName MUST have the suffix "_total"."
const TOTAL: &str = "_total";

/// The suffixes that a counter reserves in addition to its full name, which ends in `_total`.
pub(super) const COUNTER_SUFFIXES: &[&str] = &["_created"];

/// Returns the suffixes that a family reserves in addition to its name, whether it uses them or not.
///
/// "The name of a MetricFamily MUST NOT result in a potential clash for sample metric names".
pub(super) fn suffixes(kind: MetricType) -> &'static [&'static str] {
    match kind {
        MetricType::COUNTER => COUNTER_SUFFIXES,
        MetricType::HISTOGRAM => &["_bucket", "_count", "_created", "_sum"],
        MetricType::SUMMARY => &["_count", "_created", "_sum"],
        MetricType::GAUGE | MetricType::UNTYPED => &[],
    }
}

/// Returns the name of a counter without `_total`, or `None` if the name does not allow the type counter.
pub(super) fn counter_base(name: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let base = match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_suffix(TOTAL)?),
        Cow::Owned(name) => Cow::Owned(name.strip_suffix(TOTAL)?.to_owned()),
    };
    Some(base).filter(|base| !base.is_empty())
}

/// The part of a metric that OpenMetrics allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Whole,
    /// All but the sum, and in a histogram the count.
    WithoutSum,
    Forbidden,
}

/// Returns the part of a metric that the specification allows in a family of the type `kind`.
///
/// Prometheus accepts more. Other parsers reject the whole exposition: "partial or invalid expositions MUST be
/// considered erroneous in their entirety".
pub(super) fn validity(kind: MetricType, sample: &Sample<'_>) -> Validity {
    match sample {
        // "A Total is a non-NaN and MUST be monotonically non-decreasing over time, starting from 0."
        Sample::Counter(value) if kind == MetricType::COUNTER && !counts(*value) => Validity::Forbidden,
        Sample::Counter(_) | Sample::Gauge(_) | Sample::Untyped(_) => Validity::Whole,
        Sample::Histogram(histogram) => histogram_validity(histogram),
        Sample::Summary(summary) => summary_validity(summary),
    }
}

fn histogram_validity(histogram: &Histogram) -> Validity {
    let buckets = histogram.get_bucket();
    // "Bucket thresholds within a MetricPoint MUST be unique." and "MUST NOT equal NaN"; "Buckets MUST be
    // sorted in number increasing order of "le""; "Buckets MUST be cumulative."
    let mut ascending = buckets.iter().all(|bucket| !bucket.upper_bound().is_nan());
    for pair in buckets.windows(2) {
        ascending &= pair[0].upper_bound() < pair[1].upper_bound();
        ascending &= pair[0].cumulative_count() <= pair[1].cumulative_count();
    }
    // "The +Inf bucket counts all requests."
    let (count, last) = (histogram.get_sample_count(), buckets.last());
    let counts_all = last.is_none_or(|last| match last.upper_bound() {
        f64::INFINITY => last.cumulative_count() == count,
        _ => last.cumulative_count() <= count,
    });
    // "Negative threshold buckets MAY be used, but then the Histogram MetricPoint MUST NOT contain a sum value".
    let negative = buckets.first().is_some_and(|first| first.upper_bound() < 0.0);
    if !(ascending && counts_all) {
        Validity::Forbidden
    } else if negative || !counts(histogram.get_sample_sum()) {
        Validity::WithoutSum
    } else {
        Validity::Whole
    }
}

fn summary_validity(summary: &Summary) -> Validity {
    // "Quantiles MUST be between 0 and 1 inclusive. Quantile values MUST NOT be negative." Without observations they
    // "MUST be NaN".
    let legal = summary.get_quantile().iter().all(|entry| {
        (0.0..=1.0).contains(&entry.quantile()) && (entry.value().is_nan() || entry.value() >= 0.0)
    });
    if !legal {
        Validity::Forbidden
    } else if !counts(summary.sample_sum()) {
        Validity::WithoutSum
    } else {
        Validity::Whole
    }
}

/// Returns whether a counter may have this value.
///
/// "Semantically, Sum, and buckets values are counters so MUST NOT be NaN or negative."
fn counts(value: f64) -> bool {
    value >= 0.0
}
