//! Sources in, one sorted list of families out. Pure: no async, no clock, no I/O.

use std::cmp::Ordering;
use std::panic::{self, AssertUnwindSafe};

use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily};

/// What an exposition is made of, sorted by name, each name once.
pub(crate) type Families = Vec<MetricFamily>;

/// One pass over several sources, each gathered by itself.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    families: Families,
}

impl Gathering {
    /// Gathers a source; if a collector of it panics, that is all there is of it: what it said.
    pub(crate) fn add(&mut self, source: &Registry) -> Result<(), String> {
        // A registry is a lock around its collectors: the unwinding gather releases it and has changed nothing.
        match panic::catch_unwind(AssertUnwindSafe(|| source.gather())) {
            Ok(families) if self.families.is_empty() => self.families = families,
            Ok(families) => self.families.extend(families),
            Err(payload) => return Err(panic_message(payload.as_ref())),
        }
        Ok(())
    }

    /// The families of all sources, and the names of those that were left out, because an earlier source has their
    /// name under another type.
    ///
    /// Two sources that know the same name make one family, its metrics sorted as [`Registry::gather`] sorts them, the
    /// earlier source first among equals.
    pub(crate) fn merge(self) -> (Families, Vec<String>) {
        let mut sorted = self.families;
        // Stable, so that of two families of one name the earlier source's comes first; and quick, for each source's
        // are sorted.
        sorted.sort_by(|a, b| a.name().cmp(b.name()));

        let mut families = Families::with_capacity(sorted.len());
        let mut conflicts = Vec::new();
        let mut sorted = sorted.into_iter().peekable();
        while let Some(mut family) = sorted.next() {
            let mut merged = false;
            while let Some(mut twin) = sorted.next_if(|next| next.name() == family.name()) {
                if twin.get_field_type() == family.get_field_type() {
                    family.mut_metric().append(&mut twin.take_metric());
                    merged = true;
                } else {
                    conflicts.push(twin.name().to_owned());
                }
            }
            if merged {
                family.mut_metric().iter_mut().for_each(sort_labels);
                family.mut_metric().sort_by(as_the_registry_sorts);
            }
            families.push(family);
        }
        (families, conflicts)
    }
}

/// Within a registry the labels of a family stand in one order; common labels of another are at its metrics' ends.
fn sort_labels(metric: &mut Metric) {
    let labels = metric.get_label();
    if !labels.is_sorted_by(|a, b| a.name() <= b.name()) {
        let mut labels = metric.take_label();
        labels.sort_by(|a, b| a.name().cmp(b.name()));
        metric.set_label(labels);
    }
}

/// The order of `prometheus::Registry::gather` (`registry.rs`, `gather`), number of labels, label values, timestamp, and
/// before the last the label names, which are the same within a registry: so the same series are neighbours.
fn as_the_registry_sorts(a: &Metric, b: &Metric) -> Ordering {
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
        .then_with(|| a.timestamp_ms().cmp(&b.timestamp_ms()))
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "a panic without a message".to_owned()
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
    fn one_name_from_two_sources_is_one_family_sorted() {
        let one = registry(vec![vec("m", &["b", "d"]), vec("z", &["1"])]);
        let two = registry(vec![vec("a", &["1"]), vec("m", &["a", "c"])]);
        let (families, conflicts) = gather([&one, &two]);
        assert_eq!(shape(&families), [("a", vec!["1"]), ("m", vec!["a", "b", "c", "d"]), ("z", vec!["1"])]);
        assert!(conflicts.is_empty());
    }

    #[test]
    fn a_name_under_two_types_keeps_the_first() {
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
    fn merged_metrics_stand_as_one_registry_would_sort_them() {
        // The oracle: the same metrics in one registry. Vecs of one name must differ in their constant labels there.
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
    fn the_same_series_are_neighbours_whatever_the_order_of_their_labels() {
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
    fn a_single_source_is_left_as_it_is() {
        let labels = HashMap::from([("zone".to_owned(), "z".to_owned())]);
        let registry = Registry::new_custom(Some("prefix".to_owned()), Some(labels)).unwrap();
        registry.register(vec("b", &["2", "1"])).unwrap();
        registry.register(vec("a", &["1"])).unwrap();
        assert_eq!(gather([&registry]).0, registry.gather());
    }

    #[test]
    fn a_panic_costs_its_own_registry_only() {
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
