//! The workload without a library: families of metrics with three labels, and the values of each metric.

use std::ops::Range;

/// A family and its metrics.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    metrics: Range<usize>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Histogram,
}

/// One metric: the values of its labels, and a number from which its values follow.
pub(crate) struct Metric {
    pub(crate) labels: [String; 3],
    at: usize,
}

pub(crate) const LABELS: [&str; 3] = ["method", "path", "status"];

/// Upper bounds of the eleven buckets, which are the defaults of most clients.
pub(crate) const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Sample lines of a histogram: its buckets, `+Inf`, `_sum` and `_count`.
const LINES_PER_HISTOGRAM: usize = BUCKETS.len() + 3;

/// Metrics per family, about as in a busy service: per route, method and status.
const METRICS_PER_FAMILY: usize = 250;

/// Returns about `series` series in these shares.
pub(crate) fn families(series: usize, counters: usize, histograms: usize) -> impl Iterator<Item = Family> {
    let counted = series * counters / (counters + histograms);
    let observed = (series - counted).div_ceil(LINES_PER_HISTOGRAM);
    let counters = chunks(counted).map(|metrics| Family {
        name: format!("service_{}_requests_total", metrics.start),
        help: "Requests by their result.",
        kind: Kind::Counter,
        metrics,
    });
    let histograms = chunks(observed).map(|metrics| Family {
        name: format!("service_{}_request_duration_seconds", metrics.start),
        help: "Time until the last byte.",
        kind: Kind::Histogram,
        metrics,
    });
    counters.chain(histograms)
}

fn chunks(metrics: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..metrics).step_by(METRICS_PER_FAMILY);
    starts.map(move |first| first..metrics.min(first + METRICS_PER_FAMILY))
}

impl Family {
    pub(crate) fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.metrics.clone().map(|at| Metric { labels: labels(at), at })
    }
}

impl Metric {
    /// The value of a counter.
    pub(crate) fn count(&self) -> u64 {
        (self.at * self.at) as u64 % 1_000_003
    }

    /// The observations of a histogram. They are multiples of 1/512, so that their sum is exact in any order.
    pub(crate) fn observations(&self) -> impl Iterator<Item = f64> {
        let at = self.at;
        (0..20).map(move |observation| ((at * 31 + observation * 97) % 4_096) as f64 / 512.0)
    }
}

fn labels(at: usize) -> [String; 3] {
    let method = ["GET", "POST", "PUT", "DELETE"][at % 4];
    let status = ["200", "204", "301", "400", "404", "500"][at / 4 % 6];
    [method.to_owned(), format!("/api/v1/tenants/{}/orders", at / 24), status.to_owned()]
}
