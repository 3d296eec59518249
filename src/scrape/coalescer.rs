//! Which scrapes share a gather. Pure: no threads, no clock, no I/O.
//!
//! A flight is one pass of hooks and gather for all the scrapes that take part in it. There are two at most: the current
//! flight, and the next one, which begins when the current one has landed. Each scrape has its own registries, timeout and
//! deadline; a flight gathers the union of the registries.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::selection::Selection;

/// One scrape that waits for a flight.
pub(super) type WaiterId = u64;

/// The time between two seals. A flight belongs to the epoch in which it began.
pub(crate) type Epoch = u64;

/// What a scrape wants, and how long it waits.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) registries: Selection,
    /// In total, from when it asked.
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
}

/// The flights of a server; `W` is what it knows of a waiter.
#[derive(Debug)]
pub(super) struct Coalescer<W> {
    current: Option<Flight<W>>,
    /// For the next flight, in the order in which they came.
    next: Vec<Waiter<W>>,
    last_id: WaiterId,
    epoch: Epoch,
    /// The timeout of a scraper that waits for the server's default scrape timeout.
    standard_timeout: Duration,
    /// How many registries the server has.
    registries: usize,
}

#[derive(Debug)]
struct Flight<W> {
    epoch: Epoch,
    /// When its hooks began.
    began: Instant,
    stage: Stage,
    /// In the order in which they came.
    waiters: Vec<Waiter<W>>,
}

#[derive(Debug)]
enum Stage {
    Hooks,
    Gather {
        registries: Selection,
        began: Instant,
        /// The last of those who were there when it began.
        last_of_begin: WaiterId,
        /// How long the hooks had, if some of them were not done by then.
        hooks_cut_after: Option<Duration>,
    },
}

#[derive(Debug)]
struct Waiter<W> {
    id: WaiterId,
    request: Request,
    waiter: W,
}

/// What a flight gathers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gather {
    pub(super) registries: Selection,
    /// Whether somebody waits who has the standard timeout. Otherwise it is no fault of a hook that it was not done.
    pub(super) has_standard_waiter: bool,
}

/// The scrapes that a gather is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Landed<W> {
    /// In which the flight began.
    pub(super) epoch: Epoch,
    /// With what each wants, in the order in which they came.
    pub(super) waiters: Vec<(Selection, W)>,
}

impl<W> Coalescer<W> {
    pub(super) fn new(standard_timeout: Duration, registries: usize) -> Self {
        Coalescer { current: None, next: Vec::new(), last_id: 0, epoch: 0, standard_timeout, registries }
    }

    /// Takes part in the current flight if it will bring all that is wanted, else in the next one.
    ///
    /// A flight that gathers does not take a scrape that wants another registry, nor one for which its hooks would have had
    /// more time.
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

    /// Waits no more. Returns whether the current flight's hooks may have less time now.
    pub(super) fn leave(&mut self, id: WaiterId) -> bool {
        if remove(&mut self.next, id) {
            return false;
        }
        let Some(flight) = &mut self.current else { return false };
        remove(&mut flight.waiters, id) && matches!(flight.stage, Stage::Hooks)
    }

    /// Keeps all who ask from now on out of the flight that has begun. Returns the epoch of the flights that have not.
    pub(super) fn seal(&mut self) -> Epoch {
        self.epoch += 1;
        self.epoch
    }

    /// Begins the next flight, with its hooks, if somebody waits for it. The current one must have ended.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        debug_assert!(self.current.is_none(), "one flight at a time");
        let begins = !self.next.is_empty();
        if begins {
            let waiters = std::mem::take(&mut self.next);
            self.current = Some(Flight { epoch: self.epoch, began: now, stage: Stage::Hooks, waiters });
        }
        begins
    }

    /// Returns until when the hooks of the current flight may run, as far as those who wait for it now decide: half of the
    /// time that the latest of them has left when they begin, and never more than half of the standard timeout. None if
    /// nobody waits.
    pub(super) fn hooks_until(&self) -> Option<Instant> {
        let flight = self.current.as_ref()?;
        let latest = flight.waiters.iter().map(|waiter| waiter.request.deadline).max()?;
        let left = latest.saturating_duration_since(flight.began);
        Some(flight.began + time_of_hooks(left, self.standard_timeout))
    }

    /// Ends the time of the hooks, of which some may not be done, and begins to gather. None if nobody waits for the flight,
    /// which is then forgotten.
    pub(super) fn begin_gather(&mut self, now: Instant, hooks_are_done: bool) -> Option<Gather> {
        let flight = self.current.take().filter(|flight| !flight.waiters.is_empty())?;
        let requests = || flight.waiters.iter().map(|waiter| &waiter.request);
        let registries = Selection::union(requests().map(|request| &request.registries), self.registries);
        let has_standard_waiter = requests().any(|request| request.timeout >= self.standard_timeout);
        let gather = Gather { registries: registries.clone(), has_standard_waiter };
        let hooks_cut_after = (!hooks_are_done).then(|| now.saturating_duration_since(flight.began));
        let stage = Stage::Gather { registries, began: now, last_of_begin: self.last_id, hooks_cut_after };
        self.current = Some(Flight { stage, ..flight });
        Some(gather)
    }

    /// Ends the current flight with what it has gathered. It is for those who asked before it was gathered, and for those for
    /// whom it is not older than their own timeout; the others stay for the next flight.
    pub(super) fn land(&mut self, now: Instant) -> Landed<W> {
        let Some(Flight { epoch, stage, waiters, began: _ }) = self.current.take() else {
            return Landed { epoch: self.epoch, waiters: Vec::new() };
        };
        // Without those who asked before, one whose runtime is blocked would have its gather begun anew for ever.
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

    /// Ends the current flight without a result. Returns those who waited for it.
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

/// How long hooks may take where a scraper has so much time: half of it, so that the other half is there to gather.
fn time_of_hooks(left: Duration, standard_timeout: Duration) -> Duration {
    left.min(standard_timeout) / 2
}

/// Whether this time is as good as that one. A tenth is what a scrape may lose on its way to a flight.
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
