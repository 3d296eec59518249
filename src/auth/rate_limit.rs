//! A token bucket, as Go's `golang.org/x/time/rate.Limiter`.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A bucket of `burst` tokens, full at first, that gets one back per `interval`.
///
/// It counts what is owed instead of what is left, so all values are whole nanoseconds and no interval is too long.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    interval: Duration,
    burst: u32,
    /// How long it took, at `at`, until the bucket were full.
    debt: Duration,
    at: Option<Instant>,
}

/// One bucket for all.
#[derive(Debug)]
pub(crate) struct RateLimit(Mutex<Bucket>);

impl Bucket {
    /// An interval of zero is no limit, whatever the burst; a burst of zero rejects everything. Go does the same.
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        // So that the debt of a whole burst can be counted.
        let interval = interval.min(Duration::MAX / burst.max(1));
        Bucket { interval, burst, debt: Duration::ZERO, at: None }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// The time until there is a token again.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let Some(others) = self.burst.checked_sub(1) else {
            return Err(self.interval);
        };
        self.settle(now);
        let most = self.interval.saturating_mul(others);
        if self.debt > most {
            return Err(self.debt - most);
        }
        self.debt = self.debt.saturating_add(self.interval);
        Ok(())
    }

    /// Puts a token back.
    #[cfg(any(feature = "auth", test))]
    pub(crate) fn give_back(&mut self, now: Instant) {
        self.settle(now);
        self.debt = self.debt.saturating_sub(self.interval);
    }

    /// How long it takes until the bucket is full.
    pub(crate) fn debt(&self, now: Instant) -> Duration {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.debt.saturating_sub(passed)
    }

    fn settle(&mut self, now: Instant) {
        self.debt = self.debt(now);
        // Concurrent callers come in any order, so `now` may be before the last one.
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

impl RateLimit {
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        RateLimit(Mutex::new(Bucket::new(interval, burst)))
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// The time until there is a token again.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        self.0.lock().take(now)
    }
}

/// The value of `Retry-After`: whole seconds (RFC 9110, section 10.2.3), rounded up, so that a client that waits for them is not
/// too early.
pub(crate) fn whole_seconds(retry_after: Duration) -> u64 {
    retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn returns_tokens_one_by_one() {
        // (interval, burst), then (at, what it says), all in milliseconds.
        type Row = (u32, u32, &'static [(u32, Result<(), u32>)]);
        let table: &[Row] = &[
            (1000, 1, &[(0, Ok(())), (0, Err(1000)), (999, Err(1)), (1000, Ok(())), (1000, Err(1000))]),
            (
                1000,
                2,
                &[(0, Ok(())), (0, Ok(())), (0, Err(1000)), (1500, Ok(())), (1500, Err(500)), (2000, Ok(()))],
            ),
            // It holds no more than its burst.
            (1000, 2, &[(0, Ok(())), (99_000, Ok(())), (99_000, Ok(())), (99_000, Err(1000))]),
            // What is refused costs nothing.
            (1000, 1, &[(0, Ok(())), (500, Err(500)), (500, Err(500)), (1000, Ok(()))]),
            (1000, 0, &[(0, Err(1000)), (5000, Err(1000))]),
            (0, 1, &[(0, Ok(())), (0, Ok(()))]),
            (0, 0, &[(0, Ok(())), (0, Ok(()))]),
            // Time does not go back.
            (1000, 1, &[(1000, Ok(())), (0, Err(1000)), (1500, Err(500)), (2000, Ok(()))]),
        ];
        let start = Instant::now();
        for (row, (interval, burst, takes)) in table.iter().enumerate() {
            let mut bucket = Bucket::new(*interval * MS, *burst);
            for (take, (at, expected)) in takes.iter().enumerate() {
                let taken = bucket.take(start + *at * MS);
                assert_eq!(taken, expected.map_err(|retry| retry * MS), "row {row}, take {take}");
            }
        }
    }

    #[test]
    fn no_interval_is_too_long() {
        let start = Instant::now();
        for burst in [1, 2, 3, u32::MAX] {
            let mut bucket = Bucket::new(Duration::MAX, burst);
            for take in 0..burst.min(3) {
                assert_eq!(bucket.take(start), Ok(()), "{burst} {take}");
            }
            assert_eq!(bucket.take(start).is_err(), burst <= 3, "{burst}");
        }
    }

    #[test]
    fn a_token_that_is_put_back_can_be_taken() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000 * MS, 1);
        assert_eq!(bucket.take(start), Ok(()));
        bucket.give_back(start);
        bucket.give_back(start);
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(1000 * MS));
    }

    #[test]
    fn rounds_a_wait_up_to_seconds() {
        let table = [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2)];
        for (wait, expected) in table {
            assert_eq!(whole_seconds(wait * MS), expected, "{wait}");
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        /// As Go's `reserveN` and `advance` do it, with tokens.
        #[test]
        fn counts_as_go_does(interval in 1u32..5000, burst in 0u32..6, steps in prop::collection::vec(0u32..4000, 0..60)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(interval * MS, burst);
            // In units of 1/interval of a token.
            let (mut tokens, full) = (u64::from(burst * interval), u64::from(burst * interval));
            let mut at = 0;
            for step in steps {
                at += step;
                tokens = (tokens + u64::from(step)).min(full);
                let taken = bucket.take(start + at * MS);
                if tokens >= u64::from(interval) {
                    tokens -= u64::from(interval);
                    prop_assert_eq!(taken, Ok(()));
                } else if burst > 0 {
                    let missing = u64::from(interval) - tokens;
                    prop_assert_eq!(taken, Err(Duration::from_millis(missing)));
                } else {
                    prop_assert!(taken.is_err());
                }
            }
        }
    }
}
