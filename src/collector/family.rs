//! Descriptions, registries and the order of series for the collectors of this crate.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering as AtomicOrdering};

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::Metric;

/// Returns the description of a family. `by` are its variable labels, `of` is its constant label, if there is one.
#[expect(
    clippy::expect_used,
    reason = "fails for invalid names only, and tests register these constant names"
)]
pub(super) fn desc(name: &str, help: &str, by: &[&str], of: Option<(&str, &str)>) -> Desc {
    let by = by.iter().map(|label| (*label).to_owned()).collect();
    let of: HashMap<_, _> =
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Desc::new(name.to_owned(), help.to_owned(), by, of).expect("constant, valid names")
}

/// Returns a unique description for a collector whose families are not known beforehand.
///
/// A registry identifies collectors by their descriptions, so it takes two collectors without any for the same one.
pub(super) fn unique_desc() -> Desc {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, AtomicOrdering::Relaxed).to_string();
    let help = "Identifies a collector and is never served.";
    desc("prometheus_hyper_samples", help, &[], Some(("collector", &number)))
}

/// Compares metrics as `prometheus::Registry::gather` does (`registry.rs`), but by label names instead of timestamps.
///
/// The names are equal within a registry. Two metrics are equal if they are the same series. Their labels must be
/// sorted by name.
pub(crate) fn by_series(a: &Metric, b: &Metric) -> Ordering {
    let (labels_a, labels_b) = (a.get_label(), b.get_label());
    labels_a
        .len()
        .cmp(&labels_b.len())
        .then_with(|| {
            let values_a = labels_a.iter().map(|label| label.value());
            values_a.cmp(labels_b.iter().map(|label| label.value()))
        })
        .then_with(|| {
            let names_a = labels_a.iter().map(|label| label.name());
            names_a.cmp(labels_b.iter().map(|label| label.name()))
        })
}

/// Returns a new registry with this collector only, because the crate registers nothing into other registries.
#[expect(clippy::expect_used, reason = "the names are valid, and the registry is empty")]
pub(crate) fn registry_of(collector: impl Collector + 'static) -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(collector)).expect("valid names, registered once");
    registry
}
