//! How long gathers are expected to take.

use std::time::Duration;

/// A gather that is expected to take longer goes to the standby. To hand it over costs 15 to 60 µs, and more where caches are
/// cold: a scrape a second of 1,000 series takes 4 ms there, and 0.4 back to back. Nobody notices I/O that pauses for this long.
pub(super) const SHORT: Duration = Duration::from_millis(5);

/// How long the next gather may take: the longest of the last ones of each part, of which each counts for an eighth less than
/// the one after it. So a part that hung for seconds once is expected to do so again for some sixty gathers of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(Vec<Duration>);

impl Expected {
    /// An unknown part is long.
    pub(super) fn is_long(&self, parts: &[usize]) -> bool {
        parts.iter().any(|part| self.0.get(*part).is_none_or(|expected| *expected >= SHORT))
    }

    pub(super) fn observe(&mut self, parts: &[usize], took: Duration) {
        for &part in parts {
            if self.0.len() <= part {
                self.0.resize(part + 1, SHORT);
            }
            let expected = &mut self.0[part];
            *expected = took.max(*expected - *expected / 8);
        }
    }
}
