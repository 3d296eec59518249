//! Which registry is being gathered, for scrapes whose deadline passes meanwhile: a collector that hangs cannot say so
//! itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::util::throttle::Throttle;

#[derive(Debug, Default)]
pub(super) struct Progress {
    step: Mutex<Option<Step>>,
    /// Of the reports of each registry.
    reports: Mutex<HashMap<usize, Throttle>>,
}

/// A registry that is being gathered.
#[derive(Clone, Copy, Debug)]
struct Step {
    registry: usize,
    began: Instant,
    is_reported: bool,
}

/// A registry that takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) registry: usize,
    /// Since it began to be gathered.
    pub(super) time: Duration,
}

impl Progress {
    /// Notes that a registry begins to be gathered, until the answer is dropped.
    pub(super) fn begin(&self, registry: usize, now: Instant) -> Gathering<'_> {
        *self.step() = Some(Step { registry, began: now, is_reported: false });
        Gathering { progress: self }
    }

    /// Returns what is being gathered if it has taken this long and is to be reported: at once, then once a minute.
    pub(super) fn report(&self, limit: Duration, now: Instant) -> Option<Stuck> {
        let mut step = self.step();
        let step = step.as_mut().filter(|step| now.saturating_duration_since(step.began) >= limit)?;
        let mut reports = self.reports.lock();
        if !reports.entry(step.registry).or_default().allows_at(now) {
            return None;
        }
        step.is_reported = true;
        Some(Stuck { registry: step.registry, time: now.saturating_duration_since(step.began) })
    }

    fn step(&self) -> MutexGuard<'_, Option<Step>> {
        self.step.lock()
    }
}

/// A registry that is being gathered.
pub(super) struct Gathering<'p> {
    progress: &'p Progress,
}

impl Gathering<'_> {
    /// Notes its end. Returns how long it took if it has been reported.
    pub(super) fn end(self, now: Instant) -> Option<Stuck> {
        let step = self.progress.step().take().filter(|step| step.is_reported)?;
        Some(Stuck { registry: step.registry, time: now.saturating_duration_since(step.began) })
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        // What unwinds has ended, too.
        *self.progress.step() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(9);

    #[test]
    fn stuck_registry_is_reported_at_once_then_once_a_minute() {
        let (progress, start) = (Progress::default(), Instant::now());
        let at = |second: u64| start + Duration::from_secs(second);
        assert_eq!(progress.report(LIMIT, at(100)), None, "nothing is gathered");
        let gathering = progress.begin(2, at(100));
        let reported: Vec<u64> =
            (100..300).filter(|second| progress.report(LIMIT, at(*second)).is_some()).collect();
        assert_eq!(reported, [109, 169, 229, 289]);
        assert_eq!(gathering.end(at(400)), Some(Stuck { registry: 2, time: Duration::from_secs(300) }));
    }

    #[test]
    fn reports_of_one_registry_silence_no_other() {
        let (progress, start) = (Progress::default(), Instant::now());
        for (registry, is_reported) in [(0, true), (1, true), (0, false)] {
            let gathering = progress.begin(registry, start);
            assert_eq!(progress.report(LIMIT, start + LIMIT).is_some(), is_reported, "{registry}");
            drop(gathering);
        }
    }

    #[test]
    fn registry_that_was_not_reported_ends_without_a_word() {
        let (progress, start) = (Progress::default(), Instant::now());
        assert_eq!(progress.begin(0, start).end(start), None);
        let gathering = progress.begin(1, start);
        assert_eq!(progress.report(LIMIT, start + LIMIT / 2), None);
        assert_eq!(gathering.end(start + LIMIT), None);
        // The next one has not been gathered for longer than itself.
        let stuck = progress.begin(0, start);
        assert!(progress.report(LIMIT, start + LIMIT).is_some());
        drop(stuck);
        let next = progress.begin(1, start + LIMIT);
        assert_eq!(progress.report(LIMIT, start + LIMIT), None);
        assert_eq!(next.end(start + LIMIT), None);
        assert_eq!(progress.report(LIMIT, start + 2 * LIMIT), None);
    }
}
