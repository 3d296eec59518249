//! Decides which scrapes share a gather. Pure: no threads, no clock, no I/O.
//!
//! A flight is one pass of hooks and gather for all scrapes that share it. There are at most two flights: the current
//! one, and the next, which begins when the current one has landed. Each scrape has its own registries, timeout and
//! deadline. A flight gathers the union of the registries.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::selection::Selection;

/// ID of a scrape that waits for a flight.
pub(super) type WaiterId = u64;

/// Number of a period between two seals. A flight belongs to the epoch in which it began.
pub(crate) type Epoch = u64;

/// The registries that a scrape selects, and how long it waits.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) registries: Selection,
    /// The total time, from the arrival of the scrape.
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
}

/// The flights of a server. `W` is the data of a waiter.
#[derive(Debug)]
pub(super) struct Coalescer<W> {
    current: Option<Flight<W>>,
    /// Waiters of the next flight, in order of arrival.
    next: Vec<Waiter<W>>,
    last_id: WaiterId,
    epoch: Epoch,
    /// The time of a scraper that uses the server's default scrape timeout.
    standard_timeout: Duration,
    /// Number of the server's registries.
    registries: usize,
}

#[derive(Debug)]
struct Flight<W> {
    epoch: Epoch,
    /// When the hooks began.
    began: Instant,
    stage: Stage,
    /// In order of arrival.
    waiters: Vec<Waiter<W>>,
}

#[derive(Debug)]
enum Stage {
    Hooks,
    Gather {
        registries: Selection,
        began: Instant,
        /// The last waiter that arrived before the gather began.
        last_of_begin: WaiterId,
        /// How long the hooks ran, if they were cut off.
        hooks_cut_after: Option<Duration>,
    },
}

#[derive(Debug)]
struct Waiter<W> {
    id: WaiterId,
    request: Request,
    waiter: W,
}

/// Input of a flight's gather.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GatherInput {
    pub(super) registries: Selection,
    /// Whether a waiter has the standard timeout. Otherwise a hook that was cut off is not at fault.
    pub(super) has_standard_waiter: bool,
}

/// The waiters that a gather serves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Landed<W> {
    /// The epoch in which the flight began.
    pub(super) epoch: Epoch,
    /// The selection and data of each waiter, in order of arrival.
    pub(super) waiters: Vec<(Selection, W)>,
}

impl<W> Coalescer<W> {
    pub(super) fn new(standard_timeout: Duration, registries: usize) -> Self {
        Coalescer { current: None, next: Vec::new(), last_id: 0, epoch: 0, standard_timeout, registries }
    }

    /// Adds a scrape to the current flight if that serves it, else to the next one.
    ///
    /// A flight that is gathering does not accept a scrape that selects further registries. Nor does it accept a
    /// scrape that would have given the hooks more time, if they were cut off.
    pub(super) fn join(&mut self, request: Request, waiter: W) -> WaiterId {
        self.last_id += 1;
        let id = self.last_id;
        let (epoch, standard) = (self.epoch, self.standard_timeout);
        let admits = |flight: &&mut Flight<W>| flight.epoch == epoch && flight.admits(&request, standard);
        let waiters =
            self.current.as_mut().filter(admits).map_or(&mut self.next, |flight| &mut flight.waiters);
        waiters.push(Waiter { id, request, waiter });
        id
    }

    /// Removes a waiter. Returns whether the time of the current flight's hooks may have changed.
    pub(super) fn leave(&mut self, id: WaiterId) -> bool {
        if remove(&mut self.next, id) {
            return false;
        }
        let Some(flight) = &mut self.current else { return false };
        remove(&mut flight.waiters, id) && matches!(flight.stage, Stage::Hooks)
    }

    /// Excludes all later scrapes from the current flight. Returns the epoch of later flights.
    pub(super) fn seal(&mut self) -> Epoch {
        self.epoch += 1;
        self.epoch
    }

    /// Begins the next flight and its hooks if there are waiters. The current one must have ended.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        debug_assert!(self.current.is_none(), "one flight at a time");
        let begins = !self.next.is_empty();
        if begins {
            let waiters = std::mem::take(&mut self.next);
            self.current = Some(Flight { epoch: self.epoch, began: now, stage: Stage::Hooks, waiters });
        }
        begins
    }

    /// Returns the deadline of the current flight's hooks. It is half of the time that the most patient waiter had
    /// left when they began, at most half of the standard timeout. Returns `None` without waiters.
    pub(super) fn hooks_until(&self) -> Option<Instant> {
        let flight = self.current.as_ref()?;
        let latest = flight.waiters.iter().map(|waiter| waiter.request.deadline).max()?;
        let left = latest.saturating_duration_since(flight.began);
        Some(flight.began + time_of_hooks(left, self.standard_timeout))
    }

    /// Ends the time of the hooks, finished or not, and begins the gather. Returns `None` and drops the flight if it
    /// has no waiters.
    pub(super) fn begin_gather(&mut self, now: Instant, hooks_are_done: bool) -> Option<GatherInput> {
        let flight = self.current.take().filter(|flight| !flight.waiters.is_empty())?;
        let requests = || flight.waiters.iter().map(|waiter| &waiter.request);
        let registries = Selection::union(requests().map(|request| &request.registries), self.registries);
        let has_standard_waiter = requests().any(|request| request.timeout >= self.standard_timeout);
        let gather = GatherInput { registries: registries.clone(), has_standard_waiter };
        let hooks_cut_after = (!hooks_are_done).then(|| now.saturating_duration_since(flight.began));
        let stage = Stage::Gather { registries, began: now, last_of_begin: self.last_id, hooks_cut_after };
        self.current = Some(Flight { stage, ..flight });
        Some(gather)
    }

    /// Ends the current flight after its gather. It serves the waiters that arrived before the gather began, and
    /// those whose own timeout is not shorter than the age of the gather. All others wait for the next flight.
    pub(super) fn land(&mut self, now: Instant) -> Landed<W> {
        let Some(Flight { epoch, stage, waiters, began: _ }) = self.current.take() else {
            return Landed { epoch: self.epoch, waiters: Vec::new() };
        };
        // Without the first rule, a scrape whose runtime is blocked would repeat its gather forever.
        let is_for = |waiter: &Waiter<W>| match stage {
            Stage::Hooks => false,
            Stage::Gather { began, last_of_begin, .. } => {
                waiter.id <= last_of_begin || now.saturating_duration_since(began) <= waiter.request.timeout
            }
        };
        let (served, kept): (Vec<_>, Vec<_>) = waiters.into_iter().partition(is_for);
        if !kept.is_empty() {
            self.next.extend(kept);
            self.next.sort_unstable_by_key(|waiter| waiter.id);
        }
        let served = served.into_iter().map(|waiter| (waiter.request.registries, waiter.waiter));
        Landed { epoch, waiters: served.collect() }
    }

    /// Returns whether such a scrape waits for the next flight.
    pub(super) fn next_has(&self, is_such: impl Fn(&Selection, &W) -> bool) -> bool {
        self.next.iter().any(|waiter| is_such(&waiter.request.registries, &waiter.waiter))
    }

    /// Ends the current flight without a result. Returns its waiters.
    pub(super) fn fail(&mut self) -> Vec<W> {
        let waiters = self.current.take().map(|flight| flight.waiters).unwrap_or_default();
        waiters.into_iter().map(|waiter| waiter.waiter).collect()
    }
}

impl<W> Flight<W> {
    fn admits(&self, request: &Request, standard_timeout: Duration) -> bool {
        match &self.stage {
            Stage::Hooks => true,
            Stage::Gather { registries, hooks_cut_after, began: _, last_of_begin: _ } => {
                let would_have = time_of_hooks(request.timeout, standard_timeout);
                registries.includes(&request.registries)
                    && hooks_cut_after.is_none_or(|time| suffices(time, would_have))
            }
        }
    }
}

/// Returns how long hooks may run: half of the remaining time, so that the other half is left for the gather.
fn time_of_hooks(left: Duration, standard_timeout: Duration) -> Duration {
    left.min(standard_timeout) / 2
}

/// Returns whether this time counts as the full one. A scrape may lose a tenth before it joins a flight.
pub(super) fn suffices(time: Duration, full: Duration) -> bool {
    time >= full - full / 10
}

fn remove<W>(waiters: &mut Vec<Waiter<W>>, id: WaiterId) -> bool {
    let found = waiters.binary_search_by_key(&id, |waiter| waiter.id);
    if let Ok(at) = found {
        waiters.remove(at);
    }
    found.is_ok()
}
