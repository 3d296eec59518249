//! The work of the engine: flights with their hooks, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::coalescer::{Coalescer, Epoch, GatherInput, Landed, Request, WaiterId, suffices};
use super::delivery::Deliveries;
use super::exposition::Recipient;
use super::hook_tasks::{HookReports, HookTasks};
use super::hooks::{Ended, HookFailure};
use super::selection::Selection;
use super::work::{Collected, Replies, Work};
use crate::engine;

#[derive(Debug)]
pub(super) struct Gatherer {
    work: Work,
    /// A hook gets at most half of it.
    standard_timeout: Duration,
    state: Mutex<GathererState>,
    /// The tasks of the last flight. Only the engine's driver takes them.
    hooks: tokio::sync::Mutex<HookTasks>,
    /// Notified of everything that the next gather may wait for.
    changed: Notify,
    deliveries: Deliveries,
}

/// The gather of a flight whose hooks have run.
#[derive(Debug)]
pub(super) struct GatherJob {
    registries: Selection,
    collected: Collected,
}

#[derive(Debug)]
struct GathererState {
    coalescer: Coalescer<Recipient>,
    reports: HookReports,
    /// Whether a gather is running, from its start to its delivery.
    is_busy: bool,
}

impl Gatherer {
    pub(super) fn new(work: Work, standard_timeout: Duration) -> Self {
        let coalescer = Coalescer::new(standard_timeout, work.sources().len());
        let state = GathererState { coalescer, reports: HookReports::default(), is_busy: false };
        Gatherer {
            hooks: tokio::sync::Mutex::new(HookTasks::new(work.hooks().len())),
            work,
            standard_timeout,
            state: Mutex::new(state),
            changed: Notify::new(),
            deliveries: Deliveries::new(),
        }
    }

    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Adds a scrape to a flight.
    pub(super) fn join(&self, request: Request, recipient: Recipient) -> WaiterId {
        let id = self.state.lock().coalescer.join(request, recipient);
        self.changed.notify_one();
        id
    }

    pub(super) fn leave(&self, id: WaiterId) {
        if self.state.lock().coalescer.leave(id) {
            self.changed.notify_one();
        }
    }

    pub(super) fn seal(&self) -> Epoch {
        self.state.lock().coalescer.seal()
    }

    /// Begins the next flight, if there are waiters and no flight is running.
    fn begin_flight(&self) -> bool {
        let mut state = self.state.lock();
        !state.is_busy && state.coalescer.begin(Instant::now())
    }

    /// Runs all hooks concurrently, waits until they finish or their time is over, and begins the gather. Returns
    /// `None` if no waiters are left.
    async fn run_hooks(self: &Arc<Self>, tasks: &mut HookTasks) -> Option<GatherJob> {
        let count = self.work.hooks().len();
        let Some(runtime) = (count > 0).then(|| self.work.host().runtime_of_hooks()).flatten() else {
            let gather = self.state.lock().coalescer.begin_gather(Instant::now(), true)?;
            return Some(GatherJob { registries: gather.registries, collected: Vec::new() });
        };
        let flight = self.state.lock().reports.begin(count);
        let mut unstarted: Vec<usize> = (0..count).collect();
        loop {
            // Without the lock: on a runtime that is gone, a hook ends and reports at once.
            unstarted.retain(|index| {
                let can_start = tasks.busy_until(*index).is_none();
                if can_start {
                    self.start_hook(*index, flight, tasks, &runtime);
                }
                !can_start
            });
            let until = {
                let mut state = self.state.lock();
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
                // A hook that can start now needs no wait.
                let mut busy = unstarted.iter().map(|index| tasks.busy_until(*index));
                busy.try_fold(until, |until, busy| Some(until.min(busy?)))
            };
            if let Some(until) = until {
                let _ = tokio::time::timeout_at(until.into(), self.changed.notified()).await;
            }
        }
    }

    fn start_hook(self: &Arc<Self>, index: usize, flight: u64, tasks: &mut HookTasks, runtime: &Handle) {
        let gatherer = Arc::clone(self);
        let report = move |ended| {
            let too_late = gatherer.state.lock().reports.end(flight, index, ended);
            gatherer.changed.notify_one();
            // Dropped without the lock, because there may be many samples.
            drop(too_late);
        };
        tasks.start(self.work.hooks(), index, self.standard_timeout / 2, runtime, report);
    }

    /// Ends the time of the hooks under the lock that found it over. Otherwise a new scrape could join a flight whose
    /// hooks are about to be aborted.
    fn end_hooks(
        &self,
        mut state: MutexGuard<'_, GathererState>,
        unstarted: &[usize],
        tasks: &mut HookTasks,
    ) -> Option<GatherJob> {
        let now = Instant::now();
        let hooks_are_done = !state.reports.are_awaited();
        let gather = state.coalescer.begin_gather(now, hooks_are_done);
        let reports = state.reports.close();
        drop(state);
        tasks.abort();
        let mut collected = Vec::with_capacity(reports.len());
        for (index, ended) in reports.into_iter().enumerate() {
            let began = tasks.began(index).filter(|_| !unstarted.contains(&index));
            let cut = |gather: &GatherInput| self.cut(began.unwrap_or(now), now, gather);
            // A hook that was cut off because no waiters are left has neither succeeded nor failed.
            let ended = ended.or_else(|| gather.as_ref().map(cut));
            if let Some(ended) = &ended {
                self.work.report_hook(index, ended);
            }
            collected.push(ended.and_then(|ended| ended.result.ok()?));
        }
        Some(GatherJob { registries: gather?.registries, collected })
    }

    /// Returns the outcome of a hook that was cut off.
    fn cut(&self, began: Instant, now: Instant, gather: &GatherInput) -> Ended {
        let duration = now.saturating_duration_since(began);
        let had_its_time = gather.has_standard_waiter && suffices(duration, self.standard_timeout / 2);
        Ended { duration, result: Err(if had_its_time { HookFailure::Late } else { HookFailure::CutShort }) }
    }
}

impl engine::Gather for Gatherer {
    type Job = GatherJob;
    type Done = Replies;

    async fn next(self: &Arc<Self>) -> GatherJob {
        let mut hooks = self.hooks.lock().await;
        loop {
            if !self.begin_flight() {
                self.changed.notified().await;
            } else if let Some(job) = self.run_hooks(&mut hooks).await {
                self.state.lock().is_busy = true;
                return job;
            }
        }
    }

    fn parts(&self, job: &GatherJob) -> Vec<usize> {
        (0..self.work.sources().len()).filter(|index| job.registries.contains(*index)).collect()
    }

    fn gather(&self, job: GatherJob) -> Replies {
        // 0.2 gathered on that runtime, so collectors may ask for its handle.
        let _context = self.work.host().hooks.get().map(Handle::enter);
        let gathered = self.work.gather(&job.registries, job.collected);
        let Landed { epoch, waiters } = self.state.lock().coalescer.land(Instant::now());
        let is_whole =
            |registries: &_, recipient: &Recipient| !recipient.representation.is_of_a_part(registries);
        let whole_waits = || self.state.lock().coalescer.next_has(is_whole);
        self.work.expose(gathered, waiters, &self.deliveries.receipt(epoch), &whole_waits)
    }

    fn deliver(&self, replies: Replies) -> impl Send + 'static {
        let rest = replies.send();
        self.state.lock().is_busy = false;
        self.changed.notify_one();
        rest
    }

    fn abandon(&self) {
        let orphans = {
            let mut state = self.state.lock();
            state.is_busy = false;
            state.coalescer.fail()
        };
        // The drop of their channels notifies the waiters.
        drop(orphans);
        self.changed.notify_one();
        self.work.report_panic();
    }

    fn tick(&self) {
        self.work.host().default_collectors().tick();
    }

    fn end(&self) {
        // Hooks on the host's runtime would run on. The lock is free, because nothing waits for a gather any more.
        if let Ok(mut hooks) = self.hooks.try_lock() {
            hooks.abort();
        }
        self.work.host().default_collectors().end();
    }
}
