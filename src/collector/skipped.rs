//! Samples that collectors skip: why, how many, and who hears of it.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::util::error::chain;
use crate::util::throttle::Throttle;

/// How much of a name that nobody has checked stands in the log.
const NAME_IN_THE_LOG: usize = 100;

thread_local! {
    /// A collector does not know which server gathers it, if one does; but it runs on the thread that gathers.
    static SKIPPED: Cell<u64> = const { Cell::new(0) };
    /// Whether what gathers on this thread writes the log itself.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    /// For that: the first.
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps on this thread, from now on, what would be logged: for who gathers collectors that are new each time, so that "once"
/// would be each time, too.
pub(crate) fn keep_skipped() {
    IS_KEPT.set(true);
}

/// Returns what was kept on this thread since the last call.
pub(crate) fn take_first_skipped() -> Option<String> {
    FIRST.take()
}

/// Returns how many samples the collectors that were gathered on this thread have skipped since the last call.
pub(crate) fn take_skipped() -> u64 {
    SKIPPED.take()
}

/// Counts what a collector skips for whoever gathers it. Returns whether the collector is to log it, which it is not where
/// `first` is kept instead.
pub(super) fn count_skipped(count: u64, first: impl FnOnce() -> String) -> bool {
    SKIPPED.set(SKIPPED.get().saturating_add(count));
    if IS_KEPT.get() {
        FIRST.with_borrow_mut(|kept| {
            kept.get_or_insert_with(first);
        });
    }
    !IS_KEPT.get()
}

/// Whether the first fault of a collector is in the log.
pub(crate) type Logged = AtomicBool;

/// Counts a collector that is skipped in this gather, and logs why if it is time.
pub(super) fn report_failure(error: &(dyn Error + 'static), throttle: &Throttle) {
    // With `?` in the log, and quoted here: an error may quote anything, and a line stays a line.
    let error = chain(error);
    if count_skipped(1, || format!("a collector failed: {error:?}")) && throttle.allows() {
        tracing::warn!(?error, "collector failed; its series are missing in this scrape");
    }
}

/// Why a sample is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleSkipReason {
    Name,
    LabelName,
    LabelTwice,
    Le,
    Quantile,
    Counter,
    Bounds,
    Counts,
    Quantiles,
    Type,
    Repeated,
    Timestamp,
}

impl fmt::Display for SampleSkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SampleSkipReason::Name => "a metric name is [a-zA-Z_:][a-zA-Z0-9_:]*",
            SampleSkipReason::LabelName => "a label name is [a-zA-Z_][a-zA-Z0-9_]* without __ in front",
            SampleSkipReason::LabelTwice => "a label name twice",
            SampleSkipReason::Le => "the label le, which is a histogram's own",
            SampleSkipReason::Quantile => "the label quantile, which is a summary's own",
            SampleSkipReason::Counter => "a counter below zero or not a number",
            SampleSkipReason::Bounds => "bounds of a histogram that do not ascend",
            SampleSkipReason::Counts => "counts of a histogram that are not cumulative",
            SampleSkipReason::Quantiles => "quantiles of a summary that do not ascend from 0 to 1",
            SampleSkipReason::Type => "the name has another type already",
            SampleSkipReason::Repeated => "the series is there already",
            SampleSkipReason::Timestamp => "a timestamp that no format can hold",
        })
    }
}

/// Of one pass of one collector.
#[derive(Debug, Default)]
pub(super) struct SkippedSamples {
    count: u64,
    /// The beginning of the first one's name.
    first: Option<(String, SampleSkipReason)>,
}

impl SkippedSamples {
    pub(super) fn add(&mut self, name: &str, reason: SampleSkipReason) {
        self.count += 1;
        self.first.get_or_insert_with(|| (name.chars().take(NAME_IN_THE_LOG).collect(), reason));
    }

    /// Counts them for whoever gathers, and says so in the log, unless it `was_logged`.
    pub(super) fn report(&self, was_logged: &Logged) {
        let Some((name, reason)) = &self.first else { return };
        let first = || format!("samples are skipped, of which {name:?} is the first: {reason}");
        if count_skipped(self.count, first) && !was_logged.swap(true, Ordering::Relaxed) {
            // A name that is not checked may hold anything: with `?` it stays on its line.
            tracing::warn!(
                ?name,
                %reason,
                count = self.count,
                "samples are skipped, of which this is the first; the next ones are only counted"
            );
        }
    }

    #[cfg(test)]
    pub(super) fn into_parts(self) -> (u64, Option<(String, SampleSkipReason)>) {
        (self.count, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five probes with a bad sample each were five lines, for each had a collector of its own.
    #[test]
    fn a_thread_that_keeps_the_first_logs_nothing() {
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
            assert!(first.contains(r#""a\n" is the first"#), "{first}");
            assert_eq!((take_skipped(), take_first_skipped()), (2, None));
        })
        .join()
        .unwrap();
    }
}
