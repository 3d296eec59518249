//! A rate limit: a token bucket, like Go's `golang.org/x/time/rate.Limiter`.

use std::time::{Duration, Instant};

/// A bucket of `burst` tokens, full at first, that regains one token per `interval`.
///
/// It counts the debt and not the tokens left, so that all values are whole nanoseconds and no interval is too long.
#[derive(Clone, Debug)]
pub(crate) struct RateLimiter {
    interval: Duration,
    burst: u32,
    /// The time from `at` until the bucket would be full.
    debt: Duration,
    at: Option<Instant>,
}

impl RateLimiter {
    /// Creates a bucket. An interval of zero means no limit, whatever the burst. A burst of zero rejects everything.
    /// Both as in Go.
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        // Limited, so that the debt of a whole burst does not overflow.
        let interval = interval.min(Duration::MAX / burst.max(1));
        RateLimiter { interval, burst, debt: Duration::ZERO, at: None }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// Returns the time until a token is available.
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

    /// Returns a token to the bucket.
    #[cfg(any(feature = "auth", test))]
    pub(crate) fn give_back(&mut self, now: Instant) {
        self.settle(now);
        self.debt = self.debt.saturating_sub(self.interval);
    }

    /// Returns the time until the bucket is full.
    pub(crate) fn debt(&self, now: Instant) -> Duration {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.debt.saturating_sub(passed)
    }

    fn settle(&mut self, now: Instant) {
        self.debt = self.debt(now);
        // Concurrent callers come in any order, so `now` may be before the last call.
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

/// Returns the value of `Retry-After` in whole seconds (RFC 9110, section 10.2.3). Rounded up, so that a client that
/// waits for them is not too early.
pub(crate) fn whole_seconds(retry_after: Duration) -> u64 {
    retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn regains_tokens_one_by_one() {
        // (interval, burst), then (time, result), all in milliseconds.
        type Row = (u32, u32, &'static [(u32, Result<(), u32>)]);
        let table: &[Row] = &[
            (1000, 1, &[(0, Ok(())), (0, Err(1000)), (999, Err(1)), (1000, Ok(())), (1000, Err(1000))]),
            (
                1000,
                2,
                &[(0, Ok(())), (0, Ok(())), (0, Err(1000)), (1500, Ok(())), (1500, Err(500)), (2000, Ok(()))],
            ),
            // The bucket holds at most its burst.
            (1000, 2, &[(0, Ok(())), (99_000, Ok(())), (99_000, Ok(())), (99_000, Err(1000))]),
            // A rejection costs no token.
            (1000, 1, &[(0, Ok(())), (500, Err(500)), (500, Err(500)), (1000, Ok(()))]),
            (1000, 0, &[(0, Err(1000)), (5000, Err(1000))]),
            (0, 1, &[(0, Ok(())), (0, Ok(()))]),
            (0, 0, &[(0, Ok(())), (0, Ok(()))]),
            // An older time does not turn the clock back.
            (1000, 1, &[(1000, Ok(())), (0, Err(1000)), (1500, Err(500)), (2000, Ok(()))]),
        ];
        let start = Instant::now();
        for (row, (interval, burst, takes)) in table.iter().enumerate() {
            let mut bucket = RateLimiter::new(*interval * MS, *burst);
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
            let mut bucket = RateLimiter::new(Duration::MAX, burst);
            for take in 0..burst.min(3) {
                assert_eq!(bucket.take(start), Ok(()), "{burst} {take}");
            }
            assert_eq!(bucket.take(start).is_err(), burst <= 3, "{burst}");
        }
    }

    #[test]
    fn a_returned_token_can_be_taken_again() {
        let start = Instant::now();
        let mut bucket = RateLimiter::new(1000 * MS, 1);
        assert_eq!(bucket.take(start), Ok(()));
        bucket.give_back(start);
        bucket.give_back(start);
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(1000 * MS));
    }

    #[test]
    fn rounds_a_wait_up_to_whole_seconds() {
        let table = [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2)];
        for (wait, expected) in table {
            assert_eq!(whole_seconds(wait * MS), expected, "{wait}");
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        /// Go's `reserveN` and `advance`, which count tokens.
        #[test]
        fn counts_like_go(interval in 1u32..5000, burst in 0u32..6, steps in prop::collection::vec(0u32..4000, 0..60)) {
            let start = Instant::now();
            let mut bucket = RateLimiter::new(interval * MS, burst);
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
