//! The result of a flight's gather, and the selection of each scrape.

use super::selection::Selection;
use crate::scrape::gather::{self, Families, Gathering};

/// The families of each registry, kept separately so that they can be merged for each selection.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    registries: Vec<Part>,
    /// Families that take precedence over equal series of the registries.
    first: Families,
    /// The server's own families.
    own: Families,
}

#[derive(Debug)]
struct Part {
    registry: usize,
    /// `None` if a collector panicked.
    families: Option<Families>,
}

/// The merged families of a selection.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) families: Families,
    /// Names with two types, of which the second was skipped.
    pub(super) conflicts: Vec<String>,
    /// Whether all registries are selected and have only families that `prometheus` itself registers.
    pub(super) is_empty: bool,
    /// Whether the registries have any family.
    pub(super) has_families: bool,
}

impl Gathered {
    /// Adds the families of a registry. `None` means that it failed.
    pub(super) fn push(&mut self, registry: usize, families: Option<Families>) {
        self.registries.push(Part { registry, families });
    }

    /// Adds families that every selection contains, and that take precedence over equal series of the registries.
    pub(super) fn push_first(&mut self, mut families: Families) {
        self.first.append(&mut families);
    }

    /// Adds the server's own families, which every selection contains too.
    pub(super) fn push_own(&mut self, mut families: Families) {
        self.own.append(&mut families);
    }

    /// Merges these registries. Returns `None` if all of them failed.
    ///
    /// The last selection takes the families, all others copy them.
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
        // Neither a part nor a partial failure says whether all registries are empty.
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

    /// Creates three registries, of which the last failed, and the families that every selection contains.
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
    fn selections_contain_their_registries_and_common_families() {
        // The selection, and its families and number of conflicts, if any.
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
            // Merged repeatedly from one gather, and as the only selection.
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
    fn common_families_do_not_count_for_emptiness() {
        let mut gathered = Gathered::default();
        gathered.push(0, Some(family("process_cpu_seconds_total")));
        gathered.push_own(family("own"));
        assert!(gathered.merge(&Selection::All, false).unwrap().is_empty);
        gathered.push(1, Some(family("a")));
        assert!(!gathered.merge(&Selection::All, true).unwrap().is_empty);
    }
}
