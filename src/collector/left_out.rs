//! What collectors leave out: why, how much, and who hears of it.

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
    static LEFT_OUT: Cell<u64> = const { Cell::new(0) };
    /// Whether whoever gathers on this thread writes the log himself.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
    /// For him: the first.
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps on this thread, from now on, what would be logged: for who gathers collectors that are new each time, so that "once"
/// would be each time, too.
pub(crate) fn keep_what_is_left_out() {
    IS_KEPT.set(true);
}

/// What was kept on this thread since this was last asked.
pub(crate) fn take_first_left_out() -> Option<String> {
    FIRST.take()
}

/// How many samples the collectors that were gathered on this thread have left out since this was last asked.
pub(crate) fn take_left_out() -> u64 {
    LEFT_OUT.take()
}

/// Counts what a collector skips for whoever gathers it. Returns whether the collector is to log it, which it is not where
/// `first` is kept instead.
pub(super) fn count_skipped(count: u64, first: impl FnOnce() -> String) -> bool {
    LEFT_OUT.set(LEFT_OUT.get().saturating_add(count));
    if IS_KEPT.get() {
        FIRST.with_borrow_mut(|kept| {
            kept.get_or_insert_with(first);
        });
    }
    !IS_KEPT.get()
}

/// Whether the first fault of a collector is in the log.
pub(crate) type Logged = AtomicBool;

/// Counts a collector that is left out of this gather, and logs why if it is time.
pub(super) fn report_failure(error: &(dyn Error + 'static), throttle: &Throttle) {
    // With `?` in the log, and quoted here: an error may quote anything, and a line stays a line.
    let error = chain(error);
    if count_skipped(1, || format!("a collector failed: {error:?}")) && throttle.allows() {
        tracing::warn!(?error, "collector failed; its series are missing in this scrape");
    }
}

/// Why a sample is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Name => "a metric name is [a-zA-Z_:][a-zA-Z0-9_:]*",
            Reason::LabelName => "a label name is [a-zA-Z_][a-zA-Z0-9_]* without __ in front",
            Reason::LabelTwice => "a label name twice",
            Reason::Le => "the label le, which is a histogram's own",
            Reason::Quantile => "the label quantile, which is a summary's own",
            Reason::Counter => "a counter below zero or not a number",
            Reason::Bounds => "bounds of a histogram that do not ascend",
            Reason::Counts => "counts of a histogram that are not cumulative",
            Reason::Quantiles => "quantiles of a summary that do not ascend from 0 to 1",
            Reason::Type => "the name has another type already",
            Reason::Repeated => "the series is there already",
            Reason::Timestamp => "a timestamp that no format can hold",
        })
    }
}

/// Of one pass of one collector.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    count: u64,
    /// The beginning of the first one's name.
    first: Option<(String, Reason)>,
}

impl LeftOut {
    pub(super) fn add(&mut self, name: &str, reason: Reason) {
        self.count += 1;
        self.first.get_or_insert_with(|| (name.chars().take(NAME_IN_THE_LOG).collect(), reason));
    }

    /// Counts them for whoever gathers, and says so in the log, unless it `was_logged`.
    pub(super) fn report(&self, was_logged: &Logged) {
        let Some((name, reason)) = &self.first else { return };
        let first = || format!("samples are left out, of which {name:?} is the first: {reason}");
        if count_skipped(self.count, first) && !was_logged.swap(true, Ordering::Relaxed) {
            // A name that is not checked may hold anything: with `?` it stays on its line.
            tracing::warn!(
                ?name,
                %reason,
                count = self.count,
                "a collector leaves samples out, of which this is the first; its next ones are counted only"
            );
        }
    }

    #[cfg(test)]
    pub(super) fn into_parts(self) -> (u64, Option<(String, Reason)>) {
        (self.count, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five probes with a bad sample each were five lines, for each had a collector of its own.
    #[test]
    fn a_thread_that_keeps_what_is_left_out_has_the_first_and_logs_nothing() {
        std::thread::spawn(|| {
            keep_what_is_left_out();
            let was_logged = AtomicBool::new(false);
            for name in ["a\n", "b"] {
                let mut left_out = LeftOut::default();
                left_out.add(name, Reason::Name);
                left_out.report(&was_logged);
            }
            assert!(!was_logged.load(Ordering::Relaxed));
            let first = take_first_left_out().unwrap();
            assert!(first.contains(r#""a\n" is the first"#), "{first}");
            assert_eq!((take_left_out(), take_first_left_out()), (2, None));
        })
        .join()
        .unwrap();
    }
}
