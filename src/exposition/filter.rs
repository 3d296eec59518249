//! Selects families of an exposition by their names.

/// A filter by the names of families and samples. Without names it selects all families.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names(
    /// The names, sorted and without duplicates.
    Vec<String>,
);

impl Names {
    /// Returns a filter with these names, in any order and with any duplicates.
    pub fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Names(names)
    }

    /// Returns whether the filter has no names and so selects all families.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the filter selects a family, by its name or by the name of one of its samples.
    ///
    /// The name of a sample is that of the family with one of the `suffixes`, such as `_bucket`, `_sum` and `_count`.
    /// This runs for every family of every scrape, so it uses binary searches and does not allocate.
    pub fn want(&self, family: &str, suffixes: &[&str]) -> bool {
        self.0.is_empty()
            || self.contain(family, "")
            || suffixes.iter().any(|suffix| self.contain(family, suffix))
    }

    fn contain(&self, family: &str, suffix: &str) -> bool {
        // The order of `str` is that of its bytes.
        self.0.binary_search_by(|name| name.bytes().cmp(family.bytes().chain(suffix.bytes()))).is_ok()
    }
}
