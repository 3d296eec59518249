//! Keeps what goes wrong again and again from filling the host's log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a burst must have been over before its kind is worth another line.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// Lets the first of a burst pass: whatever follows within [`QUIET`] of the one before is of the same burst.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Whether this is the first of a burst.
    pub(crate) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let first = last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET);
        *last = Some(now);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_however_long_it_lasts() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let allowed: Vec<bool> =
            (0..100).map(|n| throttle.allows_at(start + n * (QUIET - Duration::from_secs(1)))).collect();
        assert_eq!(allowed.iter().filter(|&&allowed| allowed).count(), 1);
        assert!(allowed[0]);
        let after = start + 99 * (QUIET - Duration::from_secs(1)) + QUIET;
        assert!(throttle.allows_at(after));
    }
}
