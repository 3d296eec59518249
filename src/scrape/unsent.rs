//! The budget of unsent bytes: the total size of expositions kept for clients that have not read them yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Minimum budget without a configured limit.
const LEAST: usize = 64 * 1024 * 1024;

/// Counts each exposition once, in full, from its encoding until the last connection that sends it drops it.
#[derive(Clone, Debug)]
pub(crate) struct UnsentBudget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: Option<usize>,
    /// Size of the largest whole exposition of the last flight with one.
    largest: AtomicUsize,
    unsent: AtomicUsize,
    is_exceeded: watch::Sender<bool>,
}

/// A counted exposition. It leaves the budget with its last clone.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    _exposition: Arc<Counted>,
}

#[derive(Debug)]
struct Counted {
    bytes: usize,
    budget: Arc<BudgetState>,
}

impl UnsentBudget {
    /// Creates a budget. Without a limit it is 64 MiB, or four times the largest exposition of the last flight if
    /// that is more.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let is_exceeded = watch::Sender::new(false);
        let (largest, unsent) = (AtomicUsize::new(0), AtomicUsize::new(0));
        UnsentBudget(Arc::new(BudgetState { limit, largest, unsent, is_exceeded }))
    }

    /// Counts an exposition.
    pub(crate) fn count(&self, bytes: usize) -> Unsent {
        self.0.unsent.fetch_add(bytes, Ordering::Relaxed);
        self.0.look();
        Unsent { _exposition: Arc::new(Counted { bytes, budget: Arc::clone(&self.0) }) }
    }

    /// Records the size of the largest whole exposition of a flight.
    pub(super) fn flight_ended(&self, largest: usize) {
        self.0.largest.store(largest, Ordering::Relaxed);
        self.0.look();
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        *self.0.is_exceeded.borrow()
    }

    /// Completes when the budget is exceeded. With `exceeded` false, completes when it is not.
    pub(crate) async fn until_exceeded(&self, exceeded: bool) {
        // Cannot fail, because `self` holds the sender.
        let _ = self.0.is_exceeded.subscribe().wait_for(|is_exceeded| *is_exceeded == exceeded).await;
    }
}

impl BudgetState {
    fn look(&self) {
        self.is_exceeded.send_if_modified(|is_exceeded| {
            let largest = self.largest.load(Ordering::Relaxed);
            let limit = self.limit.unwrap_or_else(|| LEAST.max(largest.saturating_mul(4)));
            let exceeded = self.unsent.load(Ordering::Relaxed) > limit;
            std::mem::replace(is_exceeded, exceeded) != exceeded
        });
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.budget.unsent.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn limit_is_configured_or_follows_the_largest_exposition() {
        // The configured limit, the largest exposition, the unsent bytes, and whether they exceed the budget, in MiB.
        let table = [
            (None, 0, 64, false),
            (None, 0, 65, true),
            (None, 16, 65, true),
            (None, 20, 65, false),
            (None, 20, 81, true),
            (Some(1), 20, 1, false),
            (Some(1), 20, 2, true),
        ];
        for (limit, largest, unsent, exceeded) in table {
            let budget = UnsentBudget::new(limit.map(|limit: usize| limit * MIB));
            budget.flight_ended(largest * MIB);
            let _unsent = budget.count(unsent * MIB);
            assert_eq!(budget.is_exceeded(), exceeded, "{limit:?} {largest} {unsent}");
        }
    }

    #[tokio::test]
    async fn an_exposition_leaves_the_budget_with_its_last_clone() {
        let budget = UnsentBudget::new(Some(10));
        let one = budget.count(8);
        let (two, too) = (budget.count(8), one.clone());
        budget.until_exceeded(true).await;
        drop(one);
        assert!(budget.is_exceeded());
        drop(too);
        budget.until_exceeded(false).await;
        drop(two);
        assert!(!budget.is_exceeded());
    }
}
