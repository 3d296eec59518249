//! The tasks of the hooks, which outlive their flight when they or their runtime are blocked, and what they report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::hooks::{self, Ended, Failure, Hook};

/// How long a task that was aborted may take to end: aborting takes a runtime that polls the task.
const GRACE: Duration = Duration::from_secs(1);

/// The last task of each hook, ended or not.
#[derive(Debug)]
pub(super) struct HookTasks {
    tasks: Vec<Option<HookTask>>,
}

#[derive(Debug)]
struct HookTask {
    handle: JoinHandle<()>,
    began: Instant,
    /// When it will have had all of its time, and more than that once it was aborted.
    until: Instant,
    is_aborted: bool,
    /// Set with its report, because the handle knows a moment later only, in which the next flight may have begun.
    has_ended: Arc<AtomicBool>,
}

impl HookTask {
    fn is_running(&self) -> bool {
        !self.has_ended.load(Ordering::Acquire)
    }
}

impl HookTasks {
    pub(super) fn new(hooks: usize) -> Self {
        HookTasks { tasks: (0..hooks).map(|_| None).collect() }
    }

    /// Returns until when the next flight may wait for an earlier run of this hook to end. None if there is no such run.
    ///
    /// A hook that is still running is not begun again: one that hangs must not take one thread after the other from the host.
    pub(super) fn busy_until(&self, index: usize) -> Option<Instant> {
        self.tasks[index].as_ref().filter(|task| task.is_running()).map(|task| task.until)
    }

    /// Starts a hook, of which no run goes on. `report` is called when it has ended, however it ends.
    pub(super) fn start(
        &mut self,
        hooks: &Arc<[Hook]>,
        index: usize,
        time: Duration,
        runtime: &Handle,
        report: impl FnOnce(Ended) + Send + 'static,
    ) {
        let began = Instant::now();
        let (until, has_ended) = (began + time, Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&has_ended);
        let handle = hooks::start(hooks, index, until, runtime, move |ended| {
            ends.store(true, Ordering::Release);
            report(ended);
        });
        self.tasks[index] = Some(HookTask { handle, began, until, is_aborted: false, has_ended });
    }

    /// Returns when this hook was last begun.
    pub(super) fn began(&self, index: usize) -> Option<Instant> {
        self.tasks[index].as_ref().map(|task| task.began)
    }

    /// Aborts those that are not done.
    pub(super) fn abort(&mut self) {
        for task in self.tasks.iter_mut().flatten().filter(|task| task.is_running() && !task.is_aborted) {
            task.handle.abort();
            task.is_aborted = true;
            task.until = task.until.max(Instant::now() + GRACE);
        }
    }
}

/// What the hooks of the current flight have reported.
#[derive(Debug, Default)]
pub(super) struct HookReports {
    /// Reports of earlier flights' hooks come too late.
    flight: u64,
    ended: Vec<Option<Ended>>,
}

impl HookReports {
    pub(super) fn begin(&mut self, hooks: usize) -> u64 {
        self.flight += 1;
        self.ended = (0..hooks).map(|_| None).collect();
        self.flight
    }

    /// Returns the report if it comes too late.
    pub(super) fn end(&mut self, flight: u64, index: usize, ended: Ended) -> Option<Ended> {
        match self.ended.get_mut(index).filter(|_| flight == self.flight) {
            Some(slot) => slot.replace(ended),
            None => Some(ended),
        }
    }

    /// Notes that a hook is not begun, because an earlier run of it goes on.
    pub(super) fn give_up(&mut self, index: usize) {
        let ended = Ended { duration: Duration::ZERO, result: Err(Failure::StillRunning) };
        if let Some(slot) = self.ended.get_mut(index) {
            *slot = Some(ended);
        }
    }

    pub(super) fn are_awaited(&self) -> bool {
        self.ended.iter().any(Option::is_none)
    }

    /// Takes what was reported in time.
    pub(super) fn close(&mut self) -> Vec<Option<Ended>> {
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime;

    use super::*;

    #[test]
    fn hook_is_busy_until_its_task_has_ended() {
        const TIME: Duration = Duration::from_millis(1);
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let hooks: Arc<[Hook]> = Arc::new([Hook::new("hangs".to_owned(), |_| std::future::pending())]);
        let mut tasks = HookTasks::new(1);
        assert_eq!(tasks.busy_until(0), None);
        let before = Instant::now();
        tasks.start(&hooks, 0, TIME, runtime.handle(), drop);
        let until = tasks.busy_until(0).unwrap();
        assert!(until >= before + TIME && until <= Instant::now() + TIME);
        // Nothing polls the task, and so it does not end. However often it is aborted, it is waited for once.
        let before = Instant::now();
        tasks.abort();
        let until = tasks.busy_until(0).unwrap();
        assert!(until >= before + GRACE);
        tasks.abort();
        assert_eq!(tasks.busy_until(0), Some(until));
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(tasks.busy_until(0), None);
    }

    #[test]
    fn report_of_an_earlier_flight_comes_too_late() {
        let ended = || Ended { duration: Duration::ZERO, result: Ok(None) };
        let mut reports = HookReports::default();
        let first = reports.begin(2);
        assert!(reports.end(first, 0, ended()).is_none());
        assert!(reports.are_awaited());
        reports.give_up(1);
        assert!(!reports.are_awaited());
        let results: Vec<bool> =
            reports.close().into_iter().map(|ended| ended.unwrap().result.is_ok()).collect();
        assert_eq!(results, [true, false]);
        assert!(reports.end(first, 0, ended()).is_some(), "nothing is awaited");
        let second = reports.begin(2);
        assert!(reports.end(first, 0, ended()).is_some());
        assert!(reports.end(second, 0, ended()).is_none());
        assert!(reports.close()[1].is_none());
    }
}
