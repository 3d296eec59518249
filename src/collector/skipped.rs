//! Counts and logs the samples that collectors skip.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::util::error::{beginning, chain};
use crate::util::texts::texts;
use crate::util::throttle::Throttle;

thread_local! {
    /// The number of skipped samples. It is per thread, because a collector runs on the gathering thread and does not
    /// know its server.
    static SKIPPED: Cell<u64> = const { Cell::new(0) };
    /// Whether the first skipped sample of this thread is kept instead of logged.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    /// The first skipped sample, if it is kept.
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the first skipped sample of this thread from now on instead of logging it.
///
/// Probes need this: each probe has new collectors, so a log once per collector would be a log per probe.
pub(crate) fn keep_skipped() {
    IS_KEPT.set(true);
}

/// Returns the skipped sample that was kept on this thread since the last call.
pub(crate) fn take_first_skipped() -> Option<String> {
    FIRST.take()
}

/// Returns the number of samples that collectors on this thread skipped since the last call.
pub(crate) fn take_skipped() -> u64 {
    SKIPPED.take()
}

/// Counts the samples that a collector skips. Returns whether the collector must log the first one.
///
/// It must not if the thread keeps `first` instead.
pub(super) fn count_skipped(count: u64, first: impl FnOnce() -> String) -> bool {
    SKIPPED.set(SKIPPED.get().saturating_add(count));
    if IS_KEPT.get() {
        FIRST.with_borrow_mut(|kept| {
            kept.get_or_insert_with(first);
        });
    }
    !IS_KEPT.get()
}

/// Whether the first skipped sample of a collector is logged.
pub(crate) type Logged = AtomicBool;

/// Counts a collector that failed in this gather, and logs the error unless the throttle forbids it.
pub(super) fn report_failure(error: &(dyn Error + 'static), throttle: &Throttle) {
    // An error may contain line feeds, so it is written with `?`, which escapes them.
    let error = chain(error);
    if count_skipped(1, || format!("a collector failed: {error:?}")) && throttle.allows() {
        tracing::warn!(?error, "collector failed; its series are missing in this scrape");
    }
}

texts! {
    /// The reason why a sample is skipped.
    pub(super) enum SampleSkipReason: fn text {
        Name = "metric name does not match [a-zA-Z_:][a-zA-Z0-9_:]*",
        LabelName = "label name does not match [a-zA-Z_][a-zA-Z0-9_]* or begins with __",
        LabelTwice = "label name used twice",
        Le = "label le is reserved on a histogram",
        Quantile = "label quantile is reserved on a summary",
        Counter = "counter is negative or not a number",
        Bounds = "bounds of the histogram do not ascend",
        Counts = "counts of the histogram are not cumulative",
        Quantiles = "quantiles of the summary do not ascend from 0 to 1",
        Type = "metric name already has another type",
        Repeated = "series is repeated",
        Timestamp = "timestamp is out of range or zero",
    }
}

/// The samples that a collector skips in one gather.
#[derive(Debug, Default)]
pub(super) struct SkippedSamples {
    pub(super) count: u64,
    /// The first one, with the beginning of its name.
    pub(super) first: Option<(String, SampleSkipReason)>,
}

impl SkippedSamples {
    pub(super) fn add(&mut self, name: &str, reason: SampleSkipReason) {
        self.count += 1;
        self.first.get_or_insert_with(|| (beginning(name), reason));
    }

    /// Counts them for the gather on this thread, and logs the first one unless it `was_logged`.
    pub(super) fn report(&self, was_logged: &Logged) {
        let Some((name, reason)) = &self.first else { return };
        let first = || format!("skipped samples; the first is {name:?}: {reason}");
        if count_skipped(self.count, first) && !was_logged.swap(true, Ordering::Relaxed) {
            // An invalid name may contain line feeds, which `?` escapes.
            tracing::warn!(
                ?name,
                %reason,
                count = self.count,
                "skipped samples; this is the first, later ones are only counted"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests the log of probes: five probes with an invalid sample were five lines, because each has new collectors.
    #[test]
    fn a_thread_that_keeps_the_first_sample_does_not_log() {
        std::thread::spawn(|| {
            keep_skipped();
            let was_logged = AtomicBool::new(false);
            for name in ["a\n", "b"] {
                let mut skipped = SkippedSamples::default();
                skipped.add(name, SampleSkipReason::Name);
                skipped.report(&was_logged);
            }
            assert!(!was_logged.load(Ordering::Relaxed));
            let first = take_first_skipped().unwrap();
            assert!(first.contains(r#"the first is "a\n":"#), "{first}");
            assert_eq!((take_skipped(), take_first_skipped()), (2, None));
        })
        .join()
        .unwrap();
    }
}
