//! What an exposition leaves out, and why.

use std::fmt;

/// Why something was left out of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
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

/// What was left out for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// Why.
    pub cause: Cause,
    /// How many: families, metrics or sums, as the cause says.
    pub count: u64,
    /// The name of the first family concerned, or the help of one that has no name.
    pub first: String,
}

/// All that an exposition leaves out, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Omissions {
    causes: Vec<Omission>,
}

impl Omissions {
    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    /// One entry per cause, in the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &Omission> {
        self.causes.iter()
    }

    pub(super) fn add(&mut self, cause: Cause, first: &str) {
        match self.causes.iter_mut().find(|omission| omission.cause == cause) {
            Some(omission) => omission.count += 1,
            None => self.causes.push(Omission { cause, count: 1, first: first.to_owned() }),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Nameless => "family without a name",
            Cause::Empty => "family without metrics",
            Cause::NameTaken => "family name used twice",
            Cause::Labels => "label name used twice or reserved",
            Cause::Repeated => "series repeated",
            Cause::Unreadable => "untyped value not accessible",
            Cause::Forbidden => "metric not allowed in OpenMetrics",
            Cause::Sum => "sum not allowed in OpenMetrics",
        })
    }
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} left out, the first in {:?}", self.cause, self.count, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_keeps_its_count_and_its_first_name() {
        let mut omissions = Omissions::default();
        assert!(omissions.is_empty());
        for (cause, name) in [(Cause::Empty, "a"), (Cause::Labels, "b"), (Cause::Empty, "c")] {
            omissions.add(cause, name);
        }
        let lines: Vec<String> = omissions.iter().map(Omission::to_string).collect();
        assert_eq!(
            lines,
            [
                r#"family without metrics: 2 left out, the first in "a""#,
                r#"label name used twice or reserved: 1 left out, the first in "b""#,
            ]
        );
    }
}
