//! Which families of an exposition are wanted.

/// Names of families and of samples; all of them if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names(
    /// Sorted, each once.
    Vec<String>,
);

impl Names {
    /// The filter for these names, in whatever order and however often each is there.
    pub fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Names(names)
    }

    /// Whether none was given, so that all are wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a family is wanted: because no name was given, because its own was, or because that of one of
    /// its samples was: its name and one of the `suffixes` of its type, such as `_bucket`, `_sum` and
    /// `_count`.
    ///
    /// A binary search for each suffix, and nothing allocated: it is asked for every family of every scrape.
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
