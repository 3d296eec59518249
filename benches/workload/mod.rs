//! The workload of the benches and of `tests/memory.rs`: counters with three labels, and histograms with as many and
//! eleven buckets.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Sample lines of a histogram with eleven buckets: these, `+Inf`, `_sum` and `_count`.
const LINES_PER_HISTOGRAM: usize = 11 + 3;

/// Metrics per family: about what a busy service has per route, method and status.
const METRICS_PER_FAMILY: usize = 250;

/// A registry with about `series` series, in these shares.
pub(crate) fn registry(series: usize, counters: usize, histograms: usize) -> Registry {
    let registry = Registry::new();
    let counted = series * counters / (counters + histograms);
    let observed = (series - counted).div_ceil(LINES_PER_HISTOGRAM);
    for first in (0..counted).step_by(METRICS_PER_FAMILY) {
        let opts = Opts::new(format!("service_{first}_requests_total"), "Requests by their result.");
        let family = IntCounterVec::new(opts, &LABELS).expect("valid names");
        for at in first..counted.min(first + METRICS_PER_FAMILY) {
            family.with_label_values(&labels(at).each_ref()).inc_by((at * at) as u64 % 1_000_003);
        }
        registry.register(Box::new(family)).expect("a new name");
    }
    for first in (0..observed).step_by(METRICS_PER_FAMILY) {
        let name = format!("service_{first}_request_duration_seconds");
        let opts = HistogramOpts::new(name, "Time until the last byte.");
        let family = HistogramVec::new(opts, &LABELS).expect("valid names");
        for at in first..observed.min(first + METRICS_PER_FAMILY) {
            let histogram = family.with_label_values(&labels(at).each_ref());
            for observation in 0..20 {
                histogram.observe(((at * 31 + observation * 97) % 4_096) as f64 / 512.0);
            }
        }
        registry.register(Box::new(family)).expect("a new name");
    }
    registry
}

const LABELS: [&str; 3] = ["method", "path", "status"];

fn labels(at: usize) -> [String; 3] {
    let method = ["GET", "POST", "PUT", "DELETE"][at % 4];
    let status = ["200", "204", "301", "400", "404", "500"][at / 4 % 6];
    [method.to_owned(), format!("/api/v1/tenants/{}/orders", at / 24), status.to_owned()]
}
