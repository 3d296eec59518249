//! Sources in, one sorted list of families out. Pure: no async, no clock, no I/O.

use std::cmp::Ordering;
use std::panic::{self, AssertUnwindSafe};

use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily};

/// One pass over all sources.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Sorted by name, each name once.
    pub(crate) families: Vec<MetricFamily>,
    /// Families left out because an earlier source has their name under another type.
    pub(crate) conflicts: Vec<String>,
    /// What the collectors that panicked said; their whole registry is missing from the families.
    pub(crate) panics: Vec<String>,
}

/// Gathers each registry by itself and merges what they hold.
///
/// Two sources that know the same name make one family, its metrics sorted as
/// [`Registry::gather`] sorts them, the earlier source first among equals.
pub(crate) fn gather<'a>(sources: impl IntoIterator<Item = &'a Registry>) -> Gathered {
    let mut gathered = Gathered::default();
    let mut lists = Vec::new();
    for source in sources {
        // A registry is a lock around its collectors: the unwinding gather releases it and has changed nothing.
        match panic::catch_unwind(AssertUnwindSafe(|| source.gather())) {
            Ok(families) => lists.push(families),
            Err(payload) => gathered.panics.push(panic_message(payload.as_ref())),
        }
    }
    merge(lists, &mut gathered);
    gathered
}

fn merge(lists: Vec<Vec<MetricFamily>>, gathered: &mut Gathered) {
    let mut families: Vec<MetricFamily> = lists.into_iter().flatten().collect();
    // Stable, so that of two families of one name the earlier source's comes first; and quick, for each list is sorted.
    families.sort_by(|a, b| a.name().cmp(b.name()));

    let mut families = families.into_iter().peekable();
    while let Some(mut family) = families.next() {
        let mut merged = false;
        while let Some(mut twin) = families.next_if(|next| next.name() == family.name()) {
            if twin.get_field_type() == family.get_field_type() {
                family.mut_metric().append(&mut twin.take_metric());
                merged = true;
            } else {
                gathered.conflicts.push(twin.name().to_owned());
            }
        }
        if merged {
            family.mut_metric().sort_by(as_the_registry_sorts);
        }
        gathered.families.push(family);
    }
}

/// The order of `prometheus::Registry::gather` (`registry.rs`, `gather`): number of labels, label values, timestamp.
fn as_the_registry_sorts(a: &Metric, b: &Metric) -> Ordering {
    let (labels_a, labels_b) = (a.get_label(), b.get_label());
    labels_a
        .len()
        .cmp(&labels_b.len())
        .then_with(|| {
            let values_a = labels_a.iter().map(|label| label.value());
            values_a.cmp(labels_b.iter().map(|label| label.value()))
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

    fn shape(gathered: &Gathered) -> Vec<(String, Vec<String>)> {
        let labels = |family: &MetricFamily| {
            family.get_metric().iter().map(|m| m.get_label().iter().map(|l| l.value()).collect()).collect()
        };
        gathered.families.iter().map(|family| (family.name().to_owned(), labels(family))).collect()
    }

    #[test]
    fn one_name_from_two_sources_is_one_family_sorted() {
        let one = registry(vec![vec("m", &["b", "d"]), vec("z", &["1"])]);
        let two = registry(vec![vec("a", &["1"]), vec("m", &["a", "c"])]);
        let gathered = gather([&one, &two]);
        let expected = [("a", vec!["1"]), ("m", vec!["a", "b", "c", "d"]), ("z", vec!["1"])];
        let expected: Vec<(String, Vec<String>)> = expected
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(shape(&gathered), expected);
        assert!(gathered.conflicts.is_empty() && gathered.panics.is_empty());
    }

    #[test]
    fn a_name_under_two_types_keeps_the_first() {
        let counter = Counter::new("m", "help").unwrap();
        let gauge = Gauge::new("m", "help").unwrap();
        let one = registry(vec![Box::new(counter)]);
        let two = registry(vec![Box::new(gauge), vec("n", &["1"])]);
        let gathered = gather([&one, &two]);
        assert_eq!(gathered.conflicts, ["m"]);
        assert_eq!(gathered.families.len(), 2);
        assert_eq!(gathered.families[0].get_field_type(), prometheus::proto::MetricType::COUNTER);
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
        assert_eq!(gather([&one, &two]).families, whole.gather());
    }

    #[test]
    fn a_single_source_is_left_as_it_is() {
        let labels = HashMap::from([("zone".to_owned(), "z".to_owned())]);
        let registry = Registry::new_custom(Some("prefix".to_owned()), Some(labels)).unwrap();
        registry.register(vec("b", &["2", "1"])).unwrap();
        registry.register(vec("a", &["1"])).unwrap();
        assert_eq!(gather([&registry]).families, registry.gather());
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
        let bad = registry(vec![Box::new(Panics(desc))]);
        let good = registry(vec![vec("a", &["1"])]);
        let gathered = gather([&bad, &good]);
        assert_eq!(gathered.panics, ["the database is gone"]);
        assert_eq!(gathered.families.len(), 1);
    }
}
