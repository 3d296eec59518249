//! The thread that gathers, and what it shares with the scrapes that wait for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::coalescer::{Coalescer, Epoch, Gather, Landed, Request, WaiterId, suffices};
use super::delivery::Deliveries;
use super::exposition::Recipient;
use super::hook_tasks::{HookReports, HookTasks};
use super::hooks::{Ended, Failure};
use super::work::Work;
use crate::unwind::caught;

/// The thread `prometheus-hyper-gather`: started at the first scrape, one per server, long-lived, detached.
///
/// Not on the host's blocking pool: a collector that hangs there keeps `#[tokio::main]` from ever returning.
/// Not a fresh thread per scrape: its page faults cost half as much again.
#[derive(Debug)]
pub(super) struct Gatherer {
    work: Work,
    /// The runtime of the hooks: that on which the server was bound, else its own.
    runtime: OnceLock<Handle>,
    /// Half of it is all the time that a hook has.
    standard_timeout: Duration,
    state: Mutex<State>,
    /// Notified of everything that the thread may wait for.
    changed: Condvar,
    deliveries: Deliveries,
}

#[derive(Debug)]
struct State {
    coalescer: Coalescer<Recipient>,
    reports: HookReports,
    /// Whether there is a thread.
    is_served: bool,
    /// The server is gone: the thread ends when it can.
    is_closed: bool,
}

impl Gatherer {
    pub(super) fn new(work: Work, standard_timeout: Duration) -> Self {
        let coalescer = Coalescer::new(standard_timeout, work.sources().len());
        let state = State { coalescer, reports: HookReports::default(), is_served: false, is_closed: false };
        Gatherer {
            work,
            runtime: OnceLock::new(),
            standard_timeout,
            state: Mutex::new(state),
            changed: Condvar::new(),
            deliveries: Deliveries::new(),
        }
    }

    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    pub(super) fn runtime(&self) -> &OnceLock<Handle> {
        &self.runtime
    }

    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Takes part in a flight, for which there is a thread, else there is an error.
    pub(super) fn join(self: &Arc<Self>, request: Request, recipient: Recipient) -> io::Result<WaiterId> {
        let mut state = self.state();
        let id = state.coalescer.join(request, recipient);
        let served = self.serve(&mut state);
        drop(state);
        match served {
            Ok(()) => self.changed.notify_one(),
            Err(_) => self.leave(id),
        }
        served.map(|()| id)
    }

    pub(super) fn leave(&self, id: WaiterId) {
        if self.state().coalescer.leave(id) {
            self.changed.notify_one();
        }
    }

    pub(super) fn seal(&self) -> Epoch {
        self.state().coalescer.seal()
    }

    /// Ends the thread when it can.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is a thread.
    fn serve(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if !state.is_served {
            let gatherer = Arc::clone(self);
            thread::Builder::new().name("prometheus-hyper-gather".to_owned()).spawn(move || {
                let _unserved = Unserved(&gatherer);
                gatherer.fly_until_closed();
            })?;
            state.is_served = true;
        }
        Ok(())
    }

    fn fly_until_closed(self: &Arc<Self>) {
        let mut hooks = HookTasks::new(self.work.hooks().len());
        while self.begin_flight() {
            // Collectors have a catch of their own. This one is for what else is not ours: errors that print and drop
            // themselves, the log.
            if caught(|| self.fly(&mut hooks)).is_none() {
                let orphans = self.state().coalescer.fail();
                drop(orphans);
                caught(|| self.work.report_panic());
            }
        }
    }

    /// Waits for somebody who wants a flight. False once the server is gone.
    fn begin_flight(&self) -> bool {
        let mut state = self.state();
        while !state.is_closed {
            if state.coalescer.begin(Instant::now()) {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    fn fly(self: &Arc<Self>, hooks: &mut HookTasks) {
        let Some(gather) = self.run_hooks(hooks) else { return };
        let gathered = self.work.gather(&gather.registries);
        let Landed { epoch, waiters } = self.state().coalescer.land(Instant::now());
        self.work.expose(gathered, waiters, &self.deliveries.receipt(epoch));
    }

    /// Runs all hooks at once, waits until they are done or their time is over, and begins to gather. None if nobody waits
    /// any more.
    fn run_hooks(self: &Arc<Self>, tasks: &mut HookTasks) -> Option<Gather> {
        let count = self.work.hooks().len();
        let Some(runtime) = self.runtime.get().filter(|_| count > 0) else {
            return self.state().coalescer.begin_gather(Instant::now(), true);
        };
        let flight = self.state().reports.begin(count);
        let mut unstarted: Vec<usize> = (0..count).collect();
        loop {
            // Without the lock: on a runtime that is gone a hook ends, and reports, at once.
            unstarted.retain(|index| {
                let can_start = tasks.busy_until(*index).is_none();
                if can_start {
                    self.start_hook(*index, flight, tasks, runtime);
                }
                !can_start
            });
            let mut state = self.state();
            loop {
                let now = Instant::now();
                unstarted.retain(|index| {
                    let gives_up = tasks.busy_until(*index).is_some_and(|until| until <= now);
                    if gives_up {
                        state.reports.give_up(*index);
                    }
                    !gives_up
                });
                let until = state.coalescer.hooks_until().filter(|until| *until > now);
                let Some(until) = until.filter(|_| state.reports.are_awaited()) else {
                    return self.end_hooks(state, &unstarted, tasks);
                };
                let busy: Option<Vec<Instant>> =
                    unstarted.iter().map(|index| tasks.busy_until(*index)).collect();
                let Some(busy) = busy else { break };
                let until = busy.into_iter().fold(until, Instant::min);
                let time = until.saturating_duration_since(now);
                (state, _) = self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn start_hook(self: &Arc<Self>, index: usize, flight: u64, tasks: &mut HookTasks, runtime: &Handle) {
        let gatherer = Arc::clone(self);
        let report = move |ended| {
            let too_late = gatherer.state().reports.end(flight, index, ended);
            gatherer.changed.notify_one();
            // Its error is the host's code: it is dropped without the lock.
            drop(too_late);
        };
        tasks.start(self.work.hooks(), index, self.standard_timeout / 2, runtime, report);
    }

    /// Ends the time of the hooks in one step with the look that found it over: who comes now must not take part in a flight
    /// whose hooks are about to be aborted.
    fn end_hooks(
        &self,
        mut state: MutexGuard<'_, State>,
        unstarted: &[usize],
        tasks: &mut HookTasks,
    ) -> Option<Gather> {
        let now = Instant::now();
        let hooks_are_done = !state.reports.are_awaited();
        let gather = state.coalescer.begin_gather(now, hooks_are_done);
        let reports = state.reports.close();
        drop(state);
        tasks.abort();
        for (index, ended) in reports.into_iter().enumerate() {
            let began = tasks.began(index).filter(|_| !unstarted.contains(&index));
            let cut = |gather: &Gather| self.cut(began.unwrap_or(now), now, gather);
            // One that was cut short because nobody waits any more has neither succeeded nor failed.
            if let Some(ended) = ended.or_else(|| gather.as_ref().map(cut)) {
                self.work.report_hook(index, &ended);
            }
        }
        gather
    }

    /// Returns how a hook ended that was not done.
    fn cut(&self, began: Instant, now: Instant, gather: &Gather) -> Ended {
        let duration = now.saturating_duration_since(began);
        let had_its_time = gather.has_standard_waiter && suffices(duration, self.standard_timeout / 2);
        Ended { duration, result: Err(if had_its_time { Failure::Late } else { Failure::CutShort }) }
    }
}

/// Notes the end of the thread, whatever ended it, so that the next scrape starts another.
struct Unserved<'g>(&'g Gatherer);

impl Drop for Unserved<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_served = false;
        // Whoever waits for the flight that died with the thread is told so by the end of its channel.
        let orphans = state.coalescer.fail();
        drop(state);
        drop(orphans);
    }
}
