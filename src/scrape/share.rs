//! Who takes part in which run: the bookkeeping, without threads, clocks and bytes.
//!
//! A run is one pass of hooks and gather over a selection of registries. At most one is under way; whoever asks for
//! its selection before its encoding begins takes part, whoever asks later waits for the next one.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// One who waits for the result of a run.
pub(super) type WaiterId = u64;

/// The time between two seals. A run belongs to the one in which it began.
pub(crate) type Epoch = u64;

/// The runs of a server: `K` selects what is gathered, `W` is what is known of one who waits.
#[derive(Debug)]
pub(super) struct Share<K, W> {
    /// The run that is under way, until its encoding begins.
    current: Option<Run<K, W>>,
    /// Those that have not begun; each selection once.
    queue: VecDeque<Run<K, W>>,
    next_id: WaiterId,
    epoch: Epoch,
}

#[derive(Debug)]
struct Run<K, W> {
    selection: K,
    waiters: HashMap<WaiterId, Waiter<W>>,
    /// When it began; before that, when it was asked for.
    epoch: Epoch,
}

#[derive(Debug)]
struct Waiter<W> {
    deadline: Instant,
    waiter: W,
}

impl<K: PartialEq, W> Share<K, W> {
    pub(super) fn new() -> Self {
        Share { current: None, queue: VecDeque::new(), next_id: 0, epoch: 0 }
    }

    /// Takes part in the run of this selection that is under way, else in the next one.
    pub(super) fn join(&mut self, selection: K, deadline: Instant, waiter: W) -> WaiterId {
        let id = self.next_id;
        self.next_id += 1;
        let epoch = self.epoch;
        let current = self.current.iter_mut().filter(|run| run.epoch == epoch);
        let waiter = Waiter { deadline, waiter };
        match current.chain(&mut self.queue).find(|run| run.selection == selection) {
            Some(run) => {
                run.waiters.insert(id, waiter);
            }
            None => self.queue.push_back(Run { selection, waiters: HashMap::from([(id, waiter)]), epoch }),
        }
        id
    }

    /// Whoever asks from now on takes part in no run that has begun already: the epoch of those that have not.
    pub(super) fn seal(&mut self) -> Epoch {
        self.epoch += 1;
        self.epoch
    }

    /// Waits no more. A run that has not begun and for which nobody waits is forgotten; whether the one that is under
    /// way was the last one's is told.
    pub(super) fn leave(&mut self, id: WaiterId) -> bool {
        if let Some(current) = &mut self.current {
            if current.waiters.remove(&id).is_some() {
                return current.waiters.is_empty();
            }
        }
        self.queue.retain_mut(|run| run.waiters.remove(&id).is_none() || !run.waiters.is_empty());
        false
    }

    /// Begins the next run, if there is one: its selection, and the latest deadline of those who wait for it now.
    pub(super) fn begin(&mut self) -> Option<(&K, Instant)> {
        let run = self.queue.pop_front()?;
        let deadline = run.waiters.values().map(|waiter| waiter.deadline).max()?;
        let run = self.current.insert(Run { epoch: self.epoch, ..run });
        Some((&run.selection, deadline))
    }

    /// Whether nobody waits for the run that is under way.
    pub(super) fn is_abandoned(&self) -> bool {
        self.current.as_ref().is_none_or(|run| run.waiters.is_empty())
    }

    /// Begins the run that is under way anew, before all others, for those who wait for it now.
    pub(super) fn restart(&mut self) {
        if let Some(mut run) = self.current.take().filter(|run| !run.waiters.is_empty()) {
            // Those who were kept from it by a seal wait for the same again.
            if let Some(at) = self.queue.iter().position(|queued| queued.selection == run.selection) {
                run.waiters.extend(self.queue.remove(at).into_iter().flat_map(|queued| queued.waiters));
            }
            self.queue.push_front(run);
        }
    }

    /// Forgets the run that is under way if nobody waits for it.
    pub(super) fn forget_if_abandoned(&mut self) -> bool {
        let abandoned = self.is_abandoned();
        if abandoned {
            self.current = None;
        }
        abandoned
    }

    /// In which epoch the run that is under way began.
    pub(super) fn began_in(&self) -> Option<Epoch> {
        self.current.as_ref().map(|run| run.epoch)
    }

    /// Ends the time in which one can take part in the run that is under way: those who do, in the order in which
    /// they came.
    pub(super) fn close(&mut self) -> Vec<W> {
        let waiters = self.current.take().map(|run| run.waiters).unwrap_or_default();
        let mut waiters: Vec<_> = waiters.into_iter().collect();
        waiters.sort_unstable_by_key(|(id, _)| *id);
        waiters.into_iter().map(|(_, waiter)| waiter.waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn share() -> (Share<&'static str, u32>, Instant) {
        (Share::new(), Instant::now())
    }

    #[test]
    fn who_asks_before_the_encoding_takes_part_and_who_asks_later_waits_for_the_next() {
        let (mut share, now) = share();
        assert_eq!(share.begin(), None);
        share.join("all", now, 1);
        share.join("all", now, 2);
        assert_eq!(share.begin(), Some((&"all", now)));
        share.join("all", now, 3);
        assert_eq!(share.close(), [1, 2, 3]);
        share.join("all", now, 4);
        assert_eq!(share.begin(), Some((&"all", now)));
        assert_eq!(share.close(), [4]);
        assert_eq!(share.begin(), None);
    }

    #[test]
    fn each_selection_is_a_run_of_its_own_in_the_order_of_the_first_to_ask() {
        let (mut share, now) = share();
        for (selection, waiter) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)] {
            share.join(selection, now, waiter);
        }
        let mut runs = Vec::new();
        while let Some((&selection, _)) = share.begin() {
            runs.push((selection, share.close()));
        }
        assert_eq!(runs, [("a", vec![1, 3]), ("b", vec![2, 5]), ("c", vec![4])]);
    }

    #[test]
    fn a_run_that_begins_anew_is_the_next_for_those_who_still_wait() {
        let (mut share, now) = share();
        let gone = share.join("all", now, 1);
        assert!(share.begin().is_some());
        share.join("other", now, 2);
        share.leave(gone);
        share.join("all", now + Duration::from_secs(1), 3);
        share.restart();
        assert_eq!(share.begin(), Some((&"all", now + Duration::from_secs(1))));
        assert_eq!(share.close(), [3]);
        assert_eq!(share.begin(), Some((&"other", now)));
        let gone = share.join("other", now, 4);
        assert_eq!(share.close().len(), 2);
        share.leave(gone);
        share.restart();
        assert_eq!(share.begin(), None);
    }

    #[test]
    fn after_a_seal_nobody_joins_what_began_before_it() {
        let (mut share, now) = share();
        share.join("all", now, 1);
        share.join("other", now, 2);
        assert!(share.begin().is_some());
        assert_eq!(share.seal(), 1);
        share.join("all", now, 3);
        assert_eq!((share.began_in(), share.close()), (Some(0), vec![1]));
        // What had not begun is as good as what is asked for now.
        share.join("other", now, 4);
        assert_eq!(share.begin(), Some((&"other", now)));
        assert_eq!((share.began_in(), share.close()), (Some(1), vec![2, 4]));
        assert_eq!(share.begin(), Some((&"all", now)));
        assert_eq!((share.began_in(), share.close()), (Some(1), vec![3]));
        assert_eq!(share.began_in(), None);
    }

    #[test]
    fn a_sealed_run_that_begins_anew_takes_those_along_who_were_kept_from_it() {
        let (mut share, now) = share();
        share.join("all", now, 1);
        assert!(share.begin().is_some());
        share.seal();
        share.join("all", now, 2);
        share.restart();
        assert_eq!(share.begin(), Some((&"all", now)));
        assert_eq!((share.began_in(), share.close()), (Some(1), vec![1, 2]));
        assert_eq!(share.begin(), None);
    }

    #[test]
    fn a_run_has_the_latest_deadline_of_those_who_wait_when_it_begins() {
        let (mut share, now) = share();
        let after = |seconds| now + Duration::from_secs(seconds);
        share.join("all", after(3), 1);
        let longest = share.join("all", after(9), 2);
        share.join("all", after(6), 3);
        share.leave(longest);
        assert_eq!(share.begin(), Some((&"all", after(6))));
    }

    #[test]
    fn who_leaves_leaves_no_trace() {
        let (mut share, now) = share();
        let first = share.join("all", now, 1);
        share.leave(first);
        assert_eq!(share.begin(), None, "a gather that has not begun does not begin");

        let (one, two) = (share.join("all", now, 1), share.join("all", now, 2));
        assert!(share.begin().is_some());
        assert!(!share.leave(one));
        assert!(!share.is_abandoned() && !share.forget_if_abandoned());
        assert!(share.leave(two));
        assert!(share.is_abandoned());
        // Who comes now takes part all the same.
        share.join("all", now, 3);
        assert!(!share.is_abandoned());
        assert_eq!(share.close(), [3]);
        assert!(!share.leave(one));
        assert!(share.forget_if_abandoned());
        share.join("all", now, 4);
        assert_eq!(share.begin(), Some((&"all", now)));
    }
}
