//! So many at once, and no more: as `MaxRequestsInFlight` of promhttp's `HandlerOpts`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are in, and how many may be. Zero is no limit, as upstream has it.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    inside: Arc<AtomicUsize>,
}

/// One who is in, until this is dropped: also when a request is given up half-way.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Crowd {
    pub(crate) fn new(most: usize) -> Self {
        Crowd { most, inside: Arc::default() }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.most > 0
    }

    /// Lets one in, if there is room.
    pub(crate) fn enter(&self) -> Option<Place> {
        let one_more = |inside: usize| (!self.is_limited() || inside < self.most).then(|| inside + 1);
        // In one step: who is turned away is never counted, and so turns nobody else away.
        let entered = self.inside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.is_ok().then(|| Place(Arc::clone(&self.inside)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_let_in_and_one_more_for_each_who_leaves() {
        let crowd = Crowd::new(2);
        let (first, second) = (crowd.enter(), crowd.enter());
        assert!(first.is_some() && second.is_some());
        // Who is turned away takes no place.
        for _ in 0..3 {
            assert!(crowd.enter().is_none());
        }
        drop(first);
        let third = crowd.enter();
        assert!(third.is_some() && crowd.enter().is_none());
    }

    #[test]
    fn none_is_no_limit() {
        let crowd = Crowd::new(0);
        let places: Vec<_> = (0..1000).map(|_| crowd.enter()).collect();
        assert!(places.iter().all(Option::is_some) && !crowd.is_limited());
        drop(places);
        assert_eq!(crowd.inside.load(Ordering::Relaxed), 0);
    }
}
