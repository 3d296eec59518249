//! Expositions that are decoded and encoded again are unchanged.

use proptest::prelude::*;

use super::{generated::families, python::lawful, *};
use crate::exposition::decode::{Faults, decode};

/// The formats that the reader supports.
const FORMATS: [&Format; 3] = [&TEXT_004, &TEXT_100, &OPENMETRICS_100];

/// Writes families, reads them, and writes the result again.
fn there_and_back(format: EscapedFormat, families: &[MetricFamily]) -> Result<(), TestCaseError> {
    let (written, _) = as_text(format, families);
    let (read, faults) = decode(&written, false);
    prop_assert_eq!(faults, Faults::default(), "{}", &written);
    let (again, skipped) = as_text(format, &read);
    prop_assert_eq!(&again, &written);
    // A sum that OpenMetrics forbids is read as a value that it forbids again.
    let is_about_sums = skipped.iter().all(|entry| entry.reason == SkipReason::Sum);
    prop_assert!(is_about_sums, "{:?} in {}", skipped, &written);
    Ok(())
}

/// Sorts buckets and quantiles by their bounds and removes duplicates, because the reader merges them.
fn with_ascending_bounds(mut families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        let mut buckets = metric.get_histogram().get_bucket().to_vec();
        buckets.sort_by(|a, b| a.upper_bound().total_cmp(&b.upper_bound()));
        buckets.dedup_by(|a, b| a.upper_bound() == b.upper_bound());
        let (sum, count) =
            (metric.get_histogram().get_sample_sum(), metric.get_histogram().get_sample_count());
        let bounds: Vec<_> =
            buckets.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
        metric.set_histogram(histogram(&bounds, sum, count));
        let mut quantiles = metric.get_summary().get_quantile().to_vec();
        quantiles.sort_by(|a, b| a.quantile().total_cmp(&b.quantile()));
        quantiles.dedup_by(|a, b| a.quantile() == b.quantile());
        let bounds: Vec<_> =
            quantiles.iter().map(|quantile| (quantile.quantile(), quantile.value())).collect();
        metric.set_summary(summary(&bounds, sum, count));
    }
    families
}

proptest! {
    #[test]
    fn reads_generated_families_as_written(families in families()) {
        let families = with_ascending_bounds(families);
        for format in FORMATS {
            there_and_back(EscapedFormat::new(format, Escaping::AllowUtf8), &families)?;
        }
    }

    #[test]
    fn reads_valid_families_as_written(families in lawful()) {
        for format in FORMATS {
            // Not `values`: its escapes change the order of the names, in which the reader sorts the labels.
            for escaping in [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots] {
                there_and_back(EscapedFormat::new(format, escaping), &families)?;
            }
        }
    }
}
