//! The registry that is being gathered. Scrapes that time out log it. A hanging collector cannot log this
//! itself.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::util::throttle::Throttle;

#[derive(Debug, Default)]
pub(super) struct Progress {
    step: Mutex<Option<Step>>,
    /// Limits the log lines of each registry.
    reports: Mutex<Vec<Throttle>>,
}

/// A registry that is being gathered.
#[derive(Clone, Copy, Debug)]
struct Step {
    registry: usize,
    began: Instant,
    is_reported: bool,
}

/// A registry whose gather takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) registry: usize,
    /// Time since its gather began.
    pub(super) time: Duration,
}

impl Progress {
    /// Records that the gather of a registry begins. It ends when the return value is dropped.
    pub(super) fn begin(&self, registry: usize, now: Instant) -> RegistryGather<'_> {
        *self.step.lock() = Some(Step { registry, began: now, is_reported: false });
        RegistryGather { progress: self }
    }

    /// Returns the current registry if its gather has taken this long and a report is due. Due at once, then once a
    /// minute.
    pub(super) fn report(&self, limit: Duration, now: Instant) -> Option<Stuck> {
        let mut step = self.step.lock();
        let step = step.as_mut().filter(|step| now.saturating_duration_since(step.began) >= limit)?;
        let mut reports = self.reports.lock();
        let needed = reports.len().max(step.registry + 1);
        reports.resize_with(needed, Throttle::default);
        if !reports[step.registry].allows_at(now) {
            return None;
        }
        step.is_reported = true;
        Some(Stuck { registry: step.registry, time: now.saturating_duration_since(step.began) })
    }
}

/// A registry that is being gathered.
pub(super) struct RegistryGather<'p> {
    progress: &'p Progress,
}

impl RegistryGather<'_> {
    /// Records the end of the gather. Returns its duration if it was reported.
    pub(super) fn end(self, now: Instant) -> Option<Stuck> {
        let step = self.progress.step.lock().take().filter(|step| step.is_reported)?;
        Some(Stuck { registry: step.registry, time: now.saturating_duration_since(step.began) })
    }
}

impl Drop for RegistryGather<'_> {
    fn drop(&mut self) {
        // After a panic the gather has ended too.
        *self.progress.step.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(9);

    #[test]
    fn reports_a_stuck_registry_at_once_then_once_a_minute() {
        let (progress, start) = (Progress::default(), Instant::now());
        let at = |second: u64| start + Duration::from_secs(second);
        assert_eq!(progress.report(LIMIT, at(100)), None, "no gather is running");
        let gathering = progress.begin(2, at(100));
        let reported: Vec<u64> =
            (100..300).filter(|second| progress.report(LIMIT, at(*second)).is_some()).collect();
        assert_eq!(reported, [109, 169, 229, 289]);
        assert_eq!(gathering.end(at(400)), Some(Stuck { registry: 2, time: Duration::from_secs(300) }));
    }

    #[test]
    fn limits_reports_per_registry() {
        let (progress, start) = (Progress::default(), Instant::now());
        for (registry, is_reported) in [(0, true), (1, true), (0, false)] {
            let gathering = progress.begin(registry, start);
            assert_eq!(progress.report(LIMIT, start + LIMIT).is_some(), is_reported, "{registry}");
            drop(gathering);
        }
    }

    #[test]
    fn an_unreported_registry_ends_without_a_report() {
        let (progress, start) = (Progress::default(), Instant::now());
        assert_eq!(progress.begin(0, start).end(start), None);
        let gathering = progress.begin(1, start);
        assert_eq!(progress.report(LIMIT, start + LIMIT / 2), None);
        assert_eq!(gathering.end(start + LIMIT), None);
        // The time counts from the start of the second gather.
        let stuck = progress.begin(0, start);
        assert!(progress.report(LIMIT, start + LIMIT).is_some());
        drop(stuck);
        let next = progress.begin(1, start + LIMIT);
        assert_eq!(progress.report(LIMIT, start + LIMIT), None);
        assert_eq!(next.end(start + LIMIT), None);
        assert_eq!(progress.report(LIMIT, start + 2 * LIMIT), None);
    }
}
