//! What a flight has gathered, and what of it a scrape gets.

use super::selection::Selection;
use crate::scrape::gather::{self, Families, Gathering};

/// The families of each registry by themselves, so that they can be merged for each selection.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    registries: Vec<Part>,
    /// Whose series hide the same series of the registries.
    first: Families,
    /// Those of the server itself.
    own: Families,
}

#[derive(Debug)]
struct Part {
    registry: usize,
    /// None if a collector panicked.
    families: Option<Families>,
}

/// What a selection of registries gives.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) families: Families,
    /// Names under two types, of which the second was skipped.
    pub(super) conflicts: Vec<String>,
    /// Whether all registries are here, and have no family but those that `prometheus` registers by itself.
    pub(super) is_empty: bool,
    /// Whether the registries have a family.
    pub(super) has_families: bool,
}

impl Gathered {
    /// Adds a registry, or one that failed.
    pub(super) fn push(&mut self, registry: usize, families: Option<Families>) {
        self.registries.push(Part { registry, families });
    }

    /// Adds families that come along whatever is selected, and hide the same series of the registries.
    pub(super) fn push_first(&mut self, mut families: Families) {
        self.first.append(&mut families);
    }

    /// Adds the families of the server itself, which come along, too.
    pub(super) fn push_own(&mut self, mut families: Families) {
        self.own.append(&mut families);
    }

    /// Merges these registries. None if every one of them failed.
    ///
    /// The last selection takes the families away; for the others they are copied.
    pub(super) fn merge(&mut self, selection: &Selection, is_last: bool) -> Option<Merged> {
        let take = |families: &mut Families| {
            if is_last { std::mem::take(families) } else { families.clone() }
        };
        let mut gathering = Gathering::default();
        let (mut failed, mut succeeded) = (false, false);
        for part in self.registries.iter_mut().filter(|part| selection.contains(part.registry)) {
            match &mut part.families {
                Some(families) => {
                    succeeded = true;
                    gathering.push(take(families));
                }
                None => failed = true,
            }
        }
        if failed && !succeeded {
            return None;
        }
        // Of a selection, or where one has failed, there is nothing to say about all of them.
        let is_whole = *selection == Selection::All && !failed;
        let is_empty = is_whole && gathering.names().all(gather::is_of_prometheus_itself);
        let has_families = gathering.names().next().is_some();
        gathering.push_first(take(&mut self.first));
        gathering.push(take(&mut self.own));
        let (families, conflicts) = gathering.merge();
        Some(Merged { families, conflicts, is_empty, has_families })
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::{Gauge, IntCounter};

    use super::*;

    fn family(name: &str) -> Families {
        IntCounter::new(name, "help").unwrap().collect()
    }

    /// Three registries, of which the last failed, and what comes along.
    fn gathered() -> Gathered {
        let mut gathered = Gathered::default();
        gathered.push(0, Some([family("a"), family("common")].concat()));
        gathered.push(1, Some([family("b"), Gauge::new("common", "help").unwrap().collect()].concat()));
        gathered.push(2, None);
        gathered.push_first(family("first"));
        gathered.push_own(family("own"));
        gathered
    }

    #[test]
    fn each_selection_has_its_registries_and_what_comes_along() {
        // The selection, and the families and conflicts of it, if there is any.
        type Row = (&'static [usize], Option<(&'static str, usize)>);
        let table: [Row; 6] = [
            (&[0], Some(("a common first own", 0))),
            (&[1], Some(("b common first own", 0))),
            (&[2], None),
            (&[0, 1], Some(("a b common first own", 1))),
            (&[1, 2], Some(("b common first own", 0))),
            (&[0, 1, 2], Some(("a b common first own", 1))),
        ];
        let mut shared = gathered();
        for (indexes, expected) in table {
            let selection = Selection::of(indexes.to_vec(), 3);
            // One after the other from the same, and each as the only one.
            for merged in [shared.merge(&selection, false), gathered().merge(&selection, true)] {
                let names = |merged: &Merged| {
                    let names = merged.families.iter().map(|family| family.name());
                    names.collect::<Vec<_>>().join(" ")
                };
                let merged = merged.map(|merged| (names(&merged), merged.conflicts.len()));
                assert_eq!(
                    merged,
                    expected.map(|(names, conflicts)| (names.to_owned(), conflicts)),
                    "{indexes:?}"
                );
            }
        }
    }

    #[test]
    fn registries_are_empty_without_what_comes_along() {
        let mut gathered = Gathered::default();
        gathered.push(0, Some(family("process_cpu_seconds_total")));
        gathered.push_own(family("own"));
        assert!(gathered.merge(&Selection::All, false).unwrap().is_empty);
        gathered.push(1, Some(family("a")));
        assert!(!gathered.merge(&Selection::All, true).unwrap().is_empty);
    }
}
