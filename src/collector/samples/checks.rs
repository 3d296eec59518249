//! Checks samples, without I/O and without a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::LabelPair;

use super::super::skipped::SampleSkipReason;
use crate::exposition::encode::{is_label_name, is_metric_name};
use crate::exposition::metric::{label, sort_labels};

/// Checks a metric name against `[a-zA-Z_:][a-zA-Z0-9_:]*`
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
pub(super) fn metric_name(name: &str) -> Result<(), SampleSkipReason> {
    if is_metric_name(name) { Ok(()) } else { Err(SampleSkipReason::Name) }
}

/// Returns the labels sorted by name, as in instruments, so that the same series is found in any order of labels.
pub(super) fn labels(given: &[(&str, &str)]) -> Result<Vec<LabelPair>, SampleSkipReason> {
    // "Label names beginning with __ (two "_") MUST be reserved for internal Prometheus use" (the data model).
    if !given.iter().all(|(name, _)| is_label_name(name) && !name.starts_with("__")) {
        return Err(SampleSkipReason::LabelName);
    }
    let mut labels: Vec<LabelPair> = given.iter().map(|(name, value)| label(name, value)).collect();
    sort_labels(&mut labels);
    if labels.windows(2).any(|pair| pair[0].name() == pair[1].name()) {
        return Err(SampleSkipReason::LabelTwice);
    }
    Ok(labels)
}

/// Returns the buckets without `+Inf`, which is derived from `count`.
pub(super) fn buckets<'b>(
    labels: &[LabelPair],
    mut buckets: &'b [(f64, u64)],
    count: u64,
) -> Result<&'b [(f64, u64)], SampleSkipReason> {
    if labels.iter().any(|label| label.name() == "le") {
        return Err(SampleSkipReason::Le);
    }
    // NaN is neither above nor below another bound, and a single bound has no neighbour, so it needs its own check.
    if buckets.iter().any(|(bound, _)| bound.is_nan()) || !buckets.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(SampleSkipReason::Bounds);
    }
    if let [finite @ .., (f64::INFINITY, all)] = buckets {
        if *all != count {
            return Err(SampleSkipReason::Counts);
        }
        buckets = finite;
    }
    let counts = buckets.iter().map(|(_, count)| *count);
    if !counts.chain([count]).is_sorted() {
        return Err(SampleSkipReason::Counts);
    }
    Ok(buckets)
}

/// Checks quantiles. OpenMetrics: "Quantiles MUST be between 0 and 1 inclusive."
pub(super) fn quantiles(labels: &[LabelPair], quantiles: &[(f64, f64)]) -> Result<(), SampleSkipReason> {
    if labels.iter().any(|label| label.name() == "quantile") {
        return Err(SampleSkipReason::Quantile);
    }
    // No range contains NaN.
    let are_in_range = quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile));
    if are_in_range && quantiles.is_sorted_by(|a, b| a.0 < b.0) {
        Ok(())
    } else {
        Err(SampleSkipReason::Quantiles)
    }
}

/// Returns the milliseconds since the epoch, rounded down.
pub(super) fn timestamp(at: SystemTime) -> Result<i64, SampleSkipReason> {
    let milliseconds = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()),
        Err(before) => {
            i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map(|milliseconds| -milliseconds)
        }
    };
    // In `prometheus` zero means no timestamp, so a sample from the epoch would be served as a current one.
    milliseconds.ok().filter(|milliseconds| *milliseconds != 0).ok_or(SampleSkipReason::Timestamp)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rounds_timestamps_down_and_rejects_zero() {
        let after = |micros| UNIX_EPOCH.checked_add(Duration::from_micros(micros));
        let before = |micros| UNIX_EPOCH.checked_sub(Duration::from_micros(micros));
        let far = || UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX as u64 / 100));
        let table = [
            ("the epoch", after(0), Err(SampleSkipReason::Timestamp)),
            ("in its millisecond", after(999), Err(SampleSkipReason::Timestamp)),
            ("the next", after(1_000), Ok(1)),
            ("within a millisecond", after(1_999), Ok(1)),
            ("just before", before(1), Ok(-1)),
            ("a millisecond before", before(1_000), Ok(-1)),
            ("a little more before", before(1_001), Ok(-2)),
            ("too far away", far(), Err(SampleSkipReason::Timestamp)),
        ];
        for (what, at, milliseconds) in table {
            // `SystemTime` has a smaller range on some systems.
            if let Some(at) = at {
                assert_eq!(timestamp(at), milliseconds, "{what}");
            }
        }
    }
}
