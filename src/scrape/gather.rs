//! Merges the families of several sources into one sorted list. Pure: no async, no clock, no I/O.

use std::panic::{self, AssertUnwindSafe};

use prometheus::Registry;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use crate::collector::by_series;
use crate::exposition::metric;
use crate::util::error::beginning;
use crate::util::unwind::panic_message;

/// The families of an exposition, sorted by name, without duplicate names.
pub(crate) type Families = Vec<MetricFamily>;

/// Returns whether `prometheus` itself registers a family of this name. It does so with its feature `process`
/// (`process_collector.rs`).
pub(crate) fn is_of_prometheus_itself(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ];
    NAMES.contains(&name)
}

/// One pass over several sources, each gathered separately.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    families: Families,
    /// The families of sources that take precedence over equal series of others.
    first: Families,
}

impl Gathering {
    /// Gathers a source. If one of its collectors panics, returns the panic's message and adds nothing.
    pub(crate) fn add(&mut self, source: &Registry) -> Result<(), String> {
        self.push(gather(source)?);
        Ok(())
    }

    /// Adds the families of a source that has been [gathered](gather).
    pub(crate) fn push(&mut self, families: Families) {
        append(&mut self.families, families);
    }

    /// Adds the families of a source that takes precedence over equal series of others.
    pub(crate) fn push_first(&mut self, families: Families) {
        append(&mut self.first, families);
    }

    /// Returns the names of all added families, except those with precedence.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.families.iter().map(MetricFamily::name)
    }

    /// Merges the families of all sources. Also returns the names that were skipped, because an earlier source
    /// without precedence has them with another type.
    ///
    /// Two sources with the same name make one family. Its metrics are sorted as [`Registry::gather`] sorts them, but
    /// among equal series the earlier source comes first at any timestamp.
    pub(crate) fn merge(self) -> (Families, Vec<String>) {
        let Gathering { families, first: mut sorted } = self;
        let hiding: Vec<String> = sorted.iter().map(|family| family.name().to_owned()).collect();
        let hides = |name: &str| hiding.iter().any(|hiding| hiding == name);
        append(&mut sorted, families);
        // Stable, so that of two families with one name the earlier source's comes first. Fast, because each source
        // is sorted.
        sorted.sort_by(|a, b| a.name().cmp(b.name()));

        let mut families = Families::with_capacity(sorted.len());
        let mut conflicts = Vec::new();
        let mut sorted = sorted.into_iter().peekable();
        while let Some(mut family) = sorted.next() {
            let mut merged = false;
            // The number of metrics with precedence, computed only if there is a second family.
            let mut hiding_metrics = None;
            while let Some(mut twin) = sorted.next_if(|next| next.name() == family.name()) {
                if twin.get_field_type() == family.get_field_type() {
                    let mut metrics = twin.take_metric();
                    let with_precedence = || if hides(family.name()) { family.get_metric().len() } else { 0 };
                    let hiding_metrics = *hiding_metrics.get_or_insert_with(with_precedence);
                    let hiding_metrics = &family.get_metric()[..hiding_metrics];
                    metrics.retain(|metric| !hiding_metrics.iter().any(|first| same_series(first, metric)));
                    family.mut_metric().append(&mut metrics);
                    merged = true;
                } else if !hides(twin.name()) {
                    conflicts.push(beginning(twin.name()));
                }
            }
            if merged {
                family.mut_metric().iter_mut().for_each(sort_labels_of);
                // Not by timestamp, because the first of equal series is served.
                family.mut_metric().sort_by(by_series);
            }
            families.push(family);
        }
        (families, conflicts)
    }
}

/// Gathers one source. If one of its collectors panics, returns the panic's message.
pub(crate) fn gather(source: &Registry) -> Result<Families, String> {
    // A registry is a lock around its collectors. Unwinding releases it, and `gather` has changed nothing.
    panic::catch_unwind(AssertUnwindSafe(|| source.gather())).map_err(panic_message)
}

/// Counts the series as Prometheus does: one for each bucket and quantile, one for the sum and one for the count.
pub(crate) fn series(families: &[MetricFamily]) -> usize {
    let of_family = |family: &MetricFamily| {
        let metrics = family.get_metric();
        match family.get_field_type() {
            MetricType::HISTOGRAM => metrics.iter().map(series_of_histogram).sum(),
            MetricType::SUMMARY => {
                metrics.iter().map(|metric| metric.get_summary().get_quantile().len() + 2).sum()
            }
            MetricType::COUNTER | MetricType::GAUGE | MetricType::UNTYPED => metrics.len(),
        }
    };
    families.iter().map(of_family).sum()
}

/// Counts the infinite bucket too, which is written even if it is missing.
fn series_of_histogram(metric: &Metric) -> usize {
    let buckets = metric.get_histogram().get_bucket();
    let is_infinite = buckets.last().is_some_and(|bucket| bucket.upper_bound() == f64::INFINITY);
    buckets.len() + usize::from(!is_infinite) + 2
}

fn append(families: &mut Families, more: Families) {
    if families.is_empty() {
        *families = more;
    } else {
        families.extend(more);
    }
}

/// Returns whether two metrics have the same labels in any order.
fn same_series(a: &Metric, b: &Metric) -> bool {
    let (a, b) = (a.get_label(), b.get_label());
    let has = |label: &LabelPair| {
        b.iter().any(|other| (other.name(), other.value()) == (label.name(), label.value()))
    };
    a.len() == b.len() && a.iter().all(has)
}

/// Sorts the labels. Within a registry all metrics of a family have the same order, but common labels of another
/// registry are at the end.
fn sort_labels_of(metric: &mut Metric) {
    let labels = metric.get_label();
    if !labels.is_sorted_by(|a, b| a.name() <= b.name()) {
        let mut labels = metric.take_label();
        metric::sort_labels(&mut labels);
        metric.set_label(labels);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prometheus::core::{Collector, Desc};
    use prometheus::{Counter, CounterVec, Gauge, Opts};

    use super::*;

    fn registry(collectors: Vec<Box<dyn Collector>>) -> Registry {
        let registry = Registry::new();
        for collector in collectors {
            registry.register(collector).unwrap();
        }
        registry
    }

    fn vec(name: &str, values: &[&str]) -> Box<dyn Collector> {
        let vec = CounterVec::new(Opts::new(name, "help"), &["label"]).unwrap();
        for value in values {
            vec.with_label_values(&[value]).inc();
        }
        Box::new(vec)
    }

    fn gather<'r>(sources: impl IntoIterator<Item = &'r Registry>) -> (Families, Vec<String>) {
        let mut gathering = Gathering::default();
        for source in sources {
            gathering.add(source).unwrap();
        }
        gathering.merge()
    }

    fn shape(families: &Families) -> Vec<(&str, Vec<&str>)> {
        families
            .iter()
            .map(|family| {
                let labels = family.get_metric().iter().map(|metric| metric.get_label()[0].value());
                (family.name(), labels.collect())
            })
            .collect()
    }

    #[test]
    fn merges_one_name_of_two_sources_sorted() {
        let one = registry(vec![vec("m", &["b", "d"]), vec("z", &["1"])]);
        let two = registry(vec![vec("a", &["1"]), vec("m", &["a", "c"])]);
        let (families, conflicts) = gather([&one, &two]);
        assert_eq!(shape(&families), [("a", vec!["1"]), ("m", vec!["a", "b", "c", "d"]), ("z", vec!["1"])]);
        assert!(conflicts.is_empty());
    }

    #[test]
    fn keeps_the_first_of_two_types() {
        let counter = Counter::new("m", "help").unwrap();
        let gauge = Gauge::new("m", "help").unwrap();
        let one = registry(vec![Box::new(counter)]);
        let two = registry(vec![Box::new(gauge), vec("n", &["1"])]);
        let (families, conflicts) = gather([&one, &two]);
        assert_eq!(conflicts, ["m"]);
        assert_eq!(families.len(), 2);
        assert_eq!(families[0].get_field_type(), prometheus::proto::MetricType::COUNTER);
    }

    #[test]
    fn sorts_merged_metrics_like_one_registry() {
        // The oracle is one registry with the same metrics. There, vecs with one name must differ in their constant
        // labels.
        let part = |constant: &str, values: &[&str]| {
            let opts = Opts::new("m", "help").const_label("constant", constant);
            let vec = CounterVec::new(opts, &["label"]).unwrap();
            for value in values {
                vec.with_label_values(&[value]).inc();
            }
            vec
        };
        let (left, right) = (part("x", &["2", "1", "10"]), part("w", &["3", "1", ""]));
        let whole = registry(vec![Box::new(left.clone()), Box::new(right.clone())]);
        let (one, two) = (registry(vec![Box::new(left)]), registry(vec![Box::new(right)]));
        assert_eq!(gather([&one, &two]).0, whole.gather());
    }

    #[test]
    fn equal_series_are_neighbours_in_any_label_order() {
        let one = |common: &[(&str, &str)], label: &str| {
            let common =
                common.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let registry = Registry::new_custom(None, Some(common)).unwrap();
            let vec = CounterVec::new(Opts::new("m", "help"), &[label]).unwrap();
            vec.with_label_values(&["1"]).inc();
            registry.register(Box::new(vec)).unwrap();
            registry
        };
        let registries =
            [one(&[], "a"), one(&[], "b"), one(&[], "a"), one(&[("b", "1")], "c"), one(&[("c", "1")], "b")];
        let (families, _) = gather(&registries);
        let series: Vec<String> = families[0]
            .get_metric()
            .iter()
            .map(|metric| metric.get_label().iter().map(|label| label.name()).collect())
            .collect();
        assert_eq!(series, ["a", "a", "b", "bc", "bc"]);
    }

    #[test]
    fn series_with_precedence_replace_equal_ones() {
        // The user's `process` collector, and a label that ours does not have.
        let ours = registry(vec![vec("m", &["1"]), vec("only_ours", &["1"])]);
        let theirs = registry(vec![vec("m", &["1", "0", "2"])]);
        let mut gathering = Gathering::default();
        gathering.add(&theirs).unwrap();
        gathering.add(&theirs).unwrap();
        gathering.push_first(super::gather(&ours).unwrap());
        // The user's series occur twice. The encoder skips such duplicates with a warning. Ours replaces the user's
        // without one.
        let (families, conflicts) = gathering.merge();
        let expected = [("m", vec!["0", "0", "1", "2", "2"]), ("only_ours", vec!["1"])];
        assert_eq!(shape(&families), expected);
        assert!(conflicts.is_empty());
    }

    /// The sort by timestamps put the sample without one, or else the older one, before that of the first registry.
    #[test]
    fn first_registry_has_precedence_at_any_timestamp() {
        let of_values = |value: f64, timestamp: u64| {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(timestamp);
            let collector = crate::collector::from_fn(move |samples| {
                let sample = samples.gauge("m", "help", &[], value);
                if timestamp > 0 {
                    sample.timestamp(at);
                }
            });
            registry(vec![Box::new(collector)])
        };
        for (first, second) in [(2, 0), (2, 1), (0, 1), (1, 2)] {
            let (families, _) = gather([&of_values(1.0, first), &of_values(2.0, second)]);
            let timestamps: Vec<_> =
                families[0].get_metric().iter().map(|metric| metric.timestamp_ms()).collect();
            assert_eq!(timestamps, [first as i64, second as i64]);
        }
    }

    #[test]
    fn precedence_skips_other_types_without_a_conflict() {
        let ours = registry(vec![Box::new(Counter::new("m", "help").unwrap())]);
        let theirs = registry(vec![Box::new(Gauge::new("m", "help").unwrap())]);
        let mut gathering = Gathering::default();
        gathering.add(&theirs).unwrap();
        gathering.push_first(super::gather(&ours).unwrap());
        let (families, conflicts) = gathering.merge();
        assert!(conflicts.is_empty(), "{conflicts:?}");
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].get_field_type(), prometheus::proto::MetricType::COUNTER);
    }

    #[test]
    fn does_not_change_a_single_source() {
        let labels = HashMap::from([("zone".to_owned(), "z".to_owned())]);
        let registry = Registry::new_custom(Some("prefix".to_owned()), Some(labels)).unwrap();
        registry.register(vec("b", &["2", "1"])).unwrap();
        registry.register(vec("a", &["1"])).unwrap();
        assert_eq!(gather([&registry]).0, registry.gather());
    }

    #[test]
    fn a_panic_affects_its_own_registry_only() {
        struct Panics(Desc);
        impl Collector for Panics {
            fn desc(&self) -> Vec<&Desc> {
                vec![&self.0]
            }
            fn collect(&self) -> Vec<MetricFamily> {
                panic!("the database is {}", "gone")
            }
        }
        let desc = Desc::new("p".into(), "help".into(), vec![], HashMap::new()).unwrap();
        let bad = registry(vec![Box::new(Panics(desc)), vec("b", &["1"])]);
        let good = registry(vec![vec("a", &["1"])]);
        let mut gathering = Gathering::default();
        assert_eq!(gathering.add(&bad), Err("the database is gone".to_owned()));
        assert_eq!(gathering.add(&good), Ok(()));
        assert_eq!(shape(&gathering.merge().0), [("a", vec!["1"])]);
    }
}
