//! Checks samples, without I/O and without a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::LabelPair;

use super::super::skipped::SampleSkipReason;
use crate::exposition::encode::{is_label_name, is_metric_name};
use crate::exposition::metric::{label, sort_labels};
use crate::util::error::ensure;

/// Checks a metric name against `[a-zA-Z_:][a-zA-Z0-9_:]*`
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
pub(super) fn metric_name(name: &str) -> Result<(), SampleSkipReason> {
    ensure(is_metric_name(name), SampleSkipReason::Name)
}

/// Returns the labels sorted by name, as in instruments, so that the same series is found in any order of labels.
pub(super) fn labels(given: &[(&str, &str)]) -> Result<Vec<LabelPair>, SampleSkipReason> {
    // "Label names beginning with __ (two "_") MUST be reserved for internal Prometheus use" (the data model).
    let is_legal = |name: &str| is_label_name(name) && !name.starts_with("__");
    ensure(given.iter().all(|(name, _)| is_legal(name)), SampleSkipReason::LabelName)?;
    let mut labels: Vec<LabelPair> = given.iter().map(|(name, value)| label(name, value)).collect();
    sort_labels(&mut labels);
    ensure(labels.windows(2).all(|pair| pair[0].name() != pair[1].name()), SampleSkipReason::LabelTwice)?;
    Ok(labels)
}

/// Returns the buckets without `+Inf`, which is derived from `count`.
pub(super) fn buckets<'b>(
    labels: &[LabelPair],
    mut buckets: &'b [(f64, u64)],
    count: u64,
) -> Result<&'b [(f64, u64)], SampleSkipReason> {
    ensure(labels.iter().all(|label| label.name() != "le"), SampleSkipReason::Le)?;
    // NaN is neither above nor below another bound, and a single bound has no neighbour, so it needs its own check.
    let are_numbers = buckets.iter().all(|(bound, _)| !bound.is_nan());
    ensure(are_numbers && buckets.is_sorted_by(|a, b| a.0 < b.0), SampleSkipReason::Bounds)?;
    if let [finite @ .., (f64::INFINITY, all)] = buckets {
        ensure(*all == count, SampleSkipReason::Counts)?;
        buckets = finite;
    }
    let counts = buckets.iter().map(|(_, count)| *count);
    ensure(counts.chain([count]).is_sorted(), SampleSkipReason::Counts)?;
    Ok(buckets)
}

/// Checks quantiles. OpenMetrics: "Quantiles MUST be between 0 and 1 inclusive."
pub(super) fn quantiles(labels: &[LabelPair], quantiles: &[(f64, f64)]) -> Result<(), SampleSkipReason> {
    ensure(labels.iter().all(|label| label.name() != "quantile"), SampleSkipReason::Quantile)?;
    // No range contains NaN.
    let are_in_range = quantiles.iter().all(|(quantile, _)| (0.0..=1.0).contains(quantile));
    ensure(are_in_range && quantiles.is_sorted_by(|a, b| a.0 < b.0), SampleSkipReason::Quantiles)
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
