//! What is skipped in an exposition, and why.

use std::fmt;

/// Why something was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// A family without a name.
    Nameless,
    /// A family without a metric.
    Empty,
    /// A family whose name, as it would be written, another family has, or in OpenMetrics one of the samples
    /// that another family may have. A name that needs no escape goes before one that does, else the first.
    NameTaken,
    /// A metric whose label names, as they would be written, are not unique or collide with a name that the
    /// format itself uses: `__name__`, `le` on a histogram, `quantile` on a summary, in OpenMetrics all that begin with `__`.
    Labels,
    /// A metric with the labels of the one before it: the same series a second time.
    Repeated,
    /// An untyped metric, whose value `prometheus` does not show when its feature `protobuf` is on.
    Unreadable,
    /// A metric that OpenMetrics forbids: a counter below zero or not a number, a histogram whose buckets are
    /// not ascending and cumulative up to its count, a summary with a quantile outside of 0 to 1 or of a value
    /// below zero.
    Forbidden,
    /// The sum of a histogram or summary, and the count of the histogram with it, where OpenMetrics forbids
    /// the sum: it is below zero or not a number, or the histogram has a bucket below zero.
    Sum,
}

/// What was skipped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipCount {
    /// Why.
    pub reason: SkipReason,
    /// How many: families, metrics or sums, as the reason says.
    pub count: u64,
    /// The name of the first family concerned, or the help of one that has no name.
    pub first: String,
}

/// All that is skipped in an exposition, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    counts: Vec<SkipCount>,
}

impl Skipped {
    /// Whether nothing was skipped.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// One entry per reason, in the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &SkipCount> {
        self.counts.iter()
    }

    pub(super) fn add(&mut self, reason: SkipReason, first: &str) {
        match self.counts.iter_mut().find(|entry| entry.reason == reason) {
            Some(entry) => entry.count += 1,
            None => self.counts.push(SkipCount { reason, count: 1, first: first.to_owned() }),
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Nameless => "family without a name",
            SkipReason::Empty => "family without metrics",
            SkipReason::NameTaken => "family name used twice",
            SkipReason::Labels => "label name used twice or reserved",
            SkipReason::Repeated => "series repeated",
            SkipReason::Unreadable => "untyped value not accessible",
            SkipReason::Forbidden => "metric not allowed in OpenMetrics",
            SkipReason::Sum => "sum not allowed in OpenMetrics",
        })
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
    fn a_reason_keeps_its_count_and_its_first_name() {
        let mut skipped = Skipped::default();
        assert!(skipped.is_empty());
        for (reason, name) in [(SkipReason::Empty, "a"), (SkipReason::Labels, "b"), (SkipReason::Empty, "c")]
        {
            skipped.add(reason, name);
        }
        let lines: Vec<String> = skipped.iter().map(SkipCount::to_string).collect();
        assert_eq!(
            lines,
            [
                r#"family without metrics: 2 skipped, the first in "a""#,
                r#"label name used twice or reserved: 1 skipped, the first in "b""#,
            ]
        );
    }
}
