//! Predicted durations of gathers.

use std::time::Duration;

/// Gathers that are expected to take longer than this go to the standby. A handover costs 15 to 60 µs, and more with
/// cold caches: a scrape a second of 1,000 series takes 4 ms there, against 0.4 ms back to back. A pause of this
/// length in the I/O is not noticeable.
pub(super) const SHORT: Duration = Duration::from_millis(5);

/// Predicted durations of the next gather, per part. A prediction is the longest of the past durations, each reduced
/// by an eighth per later gather. A part that hung for seconds once counts as long for about fifty of its gathers.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(Vec<Duration>);

impl Expected {
    /// Returns whether a gather of these parts counts as long. An unknown part counts as long.
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
