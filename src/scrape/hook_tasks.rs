//! The tasks of hooks and their reports. A task outlives its flight if the hook or its runtime is blocked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::hooks::{self, Ended, Hook, HookFailure};

/// How long an aborted task may take to end, because aborting needs a runtime that polls the task.
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
    /// When its time ends. An aborted hook has at least [`GRACE`].
    until: Instant,
    is_aborted: bool,
    /// Set together with the report. The handle is set only a moment later, when the next flight may already have
    /// begun.
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

    /// Returns how long the next flight may wait for an earlier run of this hook. Returns `None` if there is none.
    ///
    /// A running hook is not started again, because a hanging hook must not take one host thread after the other.
    pub(super) fn busy_until(&self, index: usize) -> Option<Instant> {
        self.tasks[index].as_ref().filter(|task| task.is_running()).map(|task| task.until)
    }

    /// Starts a hook that is not running. `report` is called when the hook ends, however it ends.
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

    /// Returns when this hook was last started.
    pub(super) fn began(&self, index: usize) -> Option<Instant> {
        self.tasks[index].as_ref().map(|task| task.began)
    }

    /// Aborts all running tasks.
    pub(super) fn abort(&mut self) {
        for task in self.tasks.iter_mut().flatten().filter(|task| task.is_running() && !task.is_aborted) {
            task.handle.abort();
            task.is_aborted = true;
            task.until = task.until.max(Instant::now() + GRACE);
        }
    }
}

/// The reports of the current flight's hooks.
#[derive(Debug, Default)]
pub(super) struct HookReports {
    /// Reports of earlier flights are ignored.
    flight: u64,
    ended: Vec<Option<Ended>>,
}

impl HookReports {
    pub(super) fn begin(&mut self, hooks: usize) -> u64 {
        self.flight += 1;
        self.ended = (0..hooks).map(|_| None).collect();
        self.flight
    }

    /// Records a report. Returns it if its flight is over.
    pub(super) fn end(&mut self, flight: u64, index: usize, ended: Ended) -> Option<Ended> {
        match self.ended.get_mut(index).filter(|_| flight == self.flight) {
            Some(slot) => slot.replace(ended),
            None => Some(ended),
        }
    }

    /// Records that a hook was not started, because an earlier run continues.
    pub(super) fn give_up(&mut self, index: usize) {
        let ended = Ended { duration: Duration::ZERO, result: Err(HookFailure::StillRunning) };
        if let Some(slot) = self.ended.get_mut(index) {
            *slot = Some(ended);
        }
    }

    pub(super) fn are_awaited(&self) -> bool {
        self.ended.iter().any(Option::is_none)
    }

    /// Takes the reports that arrived in time.
    pub(super) fn close(&mut self) -> Vec<Option<Ended>> {
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime;

    use super::*;

    #[test]
    fn a_hook_is_busy_until_its_task_ends() {
        const TIME: Duration = Duration::from_millis(1);
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let hooks: Arc<[Hook]> = Arc::new([Hook::new("hangs".to_owned(), |_| std::future::pending())]);
        let mut tasks = HookTasks::new(1);
        assert_eq!(tasks.busy_until(0), None);
        let before = Instant::now();
        tasks.start(&hooks, 0, TIME, runtime.handle(), drop);
        let until = tasks.busy_until(0).unwrap();
        assert!(until >= before + TIME && until <= Instant::now() + TIME);
        // No runtime polls the task, so it does not end. Repeated aborts do not extend the wait.
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
    fn ignores_reports_of_earlier_flights() {
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
        assert!(reports.end(first, 0, ended()).is_some(), "no flight is running");
        let second = reports.begin(2);
        assert!(reports.end(first, 0, ended()).is_some());
        assert!(reports.end(second, 0, ended()).is_none());
        assert!(reports.close()[1].is_none());
    }
}
