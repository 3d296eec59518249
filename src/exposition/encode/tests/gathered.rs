//! Families that a registry gathers.

use std::collections::HashMap;

use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry};
use proptest::{
    collection::{btree_set, hash_map, vec},
    prelude::*,
};

use super::{
    generated::{finite, text},
    text::{ours, theirs},
    *,
};

/// Generates the families of a registry with a prefix and common labels.
fn gathered() -> impl Strategy<Value = Vec<MetricFamily>> {
    let common = proptest::option::of(hash_map("common_[a-z]{1,4}", text(), 0..3));
    let prefix = proptest::option::of("[a-zA-Z_:][a-z0-9_:]{0,6}");
    let series = vec((text(), text(), finite()), 0..20);
    let bounds = btree_set(-1_000_000..1_000_000i32, 1..12);
    (prefix, common, series, bounds).prop_map(|(prefix, common, series, bounds)| {
        registry(prefix, common, &series, bounds.into_iter().map(|bound| f64::from(bound) / 1e4).collect())
            .gather()
    })
}

fn registry(
    prefix: Option<String>,
    common: Option<HashMap<String, String>>,
    series: &[(String, String, f64)],
    bounds: Vec<f64>,
) -> Registry {
    let labels = ["one", "two"];
    let counters =
        CounterVec::new(Opts::new("counters", "Help.").const_label("const", "\n"), &labels).unwrap();
    let gauges = GaugeVec::new(Opts::new("gauges", "Help\\\n."), &labels).unwrap();
    let histogram_opts = HistogramOpts::new("histograms", "Help.").buckets(bounds);
    let histograms = HistogramVec::new(histogram_opts, &labels).unwrap();
    for (one, two, value) in series {
        counters.with_label_values(&[one, two]).inc_by(value.abs());
        gauges.with_label_values(&[one, two]).set(*value);
        histograms.with_label_values(&[one, two]).observe(value % 100.0);
    }
    let registry = Registry::new_custom(prefix, common).unwrap();
    registry.register(Box::new(counters)).unwrap();
    registry.register(Box::new(gauges)).unwrap();
    registry.register(Box::new(histograms)).unwrap();
    registry
}

proptest! {
    #[test]
    fn writes_gathered_families_like_text_encoder(families in gathered()) {
        let (text, skipped) = ours(&families);
        prop_assert!(skipped.is_empty(), "{:?}", skipped);
        prop_assert_eq!(text, theirs(&families));
    }
}
