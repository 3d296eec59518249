//! Reports the families, metrics and sums that an exposition skips.

use std::fmt;

use crate::util::error::beginning;
use crate::util::texts::texts;

texts! {
    /// The reason why a family, a metric or a sum is skipped.
    pub enum SkipReason: fn text {
        Nameless = "family without a name",
        /// A family whose escaped name another family has. In OpenMetrics also the name of a sample that another family
        /// may have. A name that needs no escape has precedence, then the first family.
        NameTaken = "family name used twice",
        /// A metric whose escaped label names are not unique or collide with a name that the format reserves.
        ///
        /// Reserved are `__name__`, `le` on a histogram and `quantile` on a summary. In OpenMetrics all names that
        /// begin with `__` are reserved.
        Labels = "label name used twice or reserved",
        /// A metric with the same labels as one before it, so the same series. Also a histogram or a summary with two
        /// equal bounds.
        Repeated = "series repeated",
        /// A metric with a timestamp before 1970 in a text format. OpenMetrics and protobuf allow it.
        Timestamp = "timestamp before 1970 not allowed in the text format",
        /// An untyped metric, whose value has no accessor with the feature `prometheus/protobuf`.
        Unreadable = "untyped value not accessible",
        /// A metric that OpenMetrics forbids:
        ///
        /// * a counter that is negative or NaN,
        /// * a histogram whose buckets are not ascending and cumulative up to its count,
        /// * a summary with a quantile outside of 0 to 1, or with a negative value.
        Forbidden = "metric not allowed in OpenMetrics",
        /// The sum of a histogram or a summary that OpenMetrics forbids, with the count of the histogram.
        ///
        /// The sum is negative or NaN, or the histogram has a negative bound.
        Sum = "sum not allowed in OpenMetrics",
    }
}

/// The number of families, metrics or sums that are skipped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipCount {
    /// The reason.
    pub reason: SkipReason,
    /// The number of families, metrics or sums.
    pub count: u64,
    /// The beginning of the first family's name. If it has no name, of its help.
    pub first: String,
}

/// The counts of everything that an exposition skips, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    counts: Vec<SkipCount>,
}

impl Skipped {
    /// Returns whether nothing was skipped.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns one entry per reason, in the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &SkipCount> {
        self.counts.iter()
    }

    pub(super) fn add(&mut self, reason: SkipReason, first: &str) {
        match self.counts.iter_mut().find(|entry| entry.reason == reason) {
            Some(entry) => entry.count += 1,
            None => self.counts.push(SkipCount { reason, count: 1, first: beginning(first) }),
        }
    }
}

impl fmt::Display for SkipCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} skipped, the first in {:?}", self.reason, self.count, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_counts_by_reason_and_keeps_the_first_name() {
        let mut skipped = Skipped::default();
        assert!(skipped.is_empty());
        for (reason, name) in [(SkipReason::Sum, "a"), (SkipReason::Labels, "b"), (SkipReason::Sum, "c")] {
            skipped.add(reason, name);
        }
        let lines: Vec<String> = skipped.iter().map(SkipCount::to_string).collect();
        assert_eq!(
            lines,
            [
                r#"sum not allowed in OpenMetrics: 2 skipped, the first in "a""#,
                r#"label name used twice or reserved: 1 skipped, the first in "b""#,
            ]
        );
    }
}
