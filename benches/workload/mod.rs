//! The workload of the benches, of `comparison/` and of `tests/memory.rs`: counters and histograms with three
//! labels. A histogram has eleven buckets.

pub(crate) mod families;

use prometheus::Registry;

/// Registers the families with this `prometheus`. Other servers have other versions of it.
macro_rules! register {
    ($prometheus:path, $families:expr, $registry:expr) => {{
        use $crate::workload::families::{BUCKETS, Kind, LABELS};
        use $prometheus::{self as prometheus, HistogramOpts, HistogramVec, IntCounterVec, Opts};
        let registry: &prometheus::Registry = $registry;
        for family in $families {
            match family.kind {
                Kind::Counter => {
                    let opts = Opts::new(family.name.clone(), family.help);
                    let counters = IntCounterVec::new(opts, &LABELS).expect("valid names");
                    for metric in family.metrics() {
                        counters
                            .with_label_values(&metric.labels.each_ref().map(String::as_str))
                            .inc_by(metric.count());
                    }
                    registry.register(Box::new(counters)).expect("a new name");
                }
                Kind::Histogram => {
                    let opts = HistogramOpts::new(family.name.clone(), family.help).buckets(BUCKETS.to_vec());
                    let histograms = HistogramVec::new(opts, &LABELS).expect("valid names");
                    for metric in family.metrics() {
                        let histogram =
                            histograms.with_label_values(&metric.labels.each_ref().map(String::as_str));
                        metric.observations().for_each(|observation| histogram.observe(observation));
                    }
                    registry.register(Box::new(histograms)).expect("a new name");
                }
            }
        }
    }};
}

/// Returns a registry with about `series` series in these shares.
pub(crate) fn registry(series: usize, counters: usize, histograms: usize) -> Registry {
    let registry = Registry::new();
    register!(prometheus, families::families(series, counters, histograms), &registry);
    registry
}
