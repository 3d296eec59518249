//! The registries that a scrape selects.

/// Registries by their index on the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Selection {
    All,
    /// Sorted, without duplicates, and not all.
    Some(Vec<usize>),
}

impl Selection {
    /// Selects these of `count` registries.
    pub(super) fn of(indexes: Vec<usize>, count: usize) -> Self {
        let mut sorted = Vec::with_capacity(indexes.len());
        for index in indexes {
            if let Err(at) = sorted.binary_search(&index) {
                sorted.insert(at, index);
            }
        }
        if sorted.len() < count { Selection::Some(sorted) } else { Selection::All }
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Some(indexes) => indexes.binary_search(&index).is_ok(),
        }
    }

    /// Returns whether every registry of `other` is selected.
    pub(super) fn includes(&self, other: &Selection) -> bool {
        match (self, other) {
            (Selection::All, _) => true,
            (Selection::Some(_), Selection::All) => false,
            (Selection::Some(_), Selection::Some(indexes)) => {
                indexes.iter().all(|index| self.contains(*index))
            }
        }
    }

    /// Returns the union of these selections, out of `count` registries.
    pub(super) fn union<'s>(selections: impl Iterator<Item = &'s Selection>, count: usize) -> Self {
        let mut union = Vec::new();
        for selection in selections {
            match selection {
                Selection::All => return Selection::All,
                Selection::Some(indexes) => union.extend_from_slice(indexes),
            }
        }
        Selection::of(union, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 3;

    /// Returns every selection of three registries.
    fn all() -> Vec<Selection> {
        (1..8)
            .map(|bits| Selection::of((0..COUNT).filter(|index| bits >> index & 1 == 1).collect(), COUNT))
            .collect()
    }

    #[test]
    fn selection_of_every_registry_is_all() {
        assert_eq!(Selection::of(vec![2, 0, 1, 0], COUNT), Selection::All);
        assert_eq!(Selection::of(vec![2, 0, 2], COUNT), Selection::Some(vec![0, 2]));
        // A server without registries.
        assert_eq!(Selection::of(Vec::new(), 0), Selection::All);
    }

    #[test]
    fn includes_and_union_agree_with_contains() {
        for a in &all() {
            for b in &all() {
                let within = (0..COUNT).all(|index| a.contains(index) || !b.contains(index));
                assert_eq!(a.includes(b), within, "{a:?} {b:?}");
                let union = Selection::union([a, b].into_iter(), COUNT);
                for index in 0..COUNT {
                    assert_eq!(union.contains(index), a.contains(index) || b.contains(index), "{a:?} {b:?}");
                }
                assert!(union.includes(a) && union.includes(b), "{a:?} {b:?}");
            }
        }
    }
}
