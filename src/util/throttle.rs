//! Keeps what goes wrong again and again from filling the host's log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a line is enough for all that follows of its kind.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// Lets one pass, and no other for as long as [`QUIET`].
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Whether this one passes.
    pub(crate) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    /// The same, at this time.
    pub(crate) fn allows_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock();
        let passes = last.is_none_or(|last| now.saturating_duration_since(last) >= QUIET);
        if passes {
            *last = Some(now);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_passes_however_many_there_are() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let passed: Vec<u32> =
            (0..=150).filter(|second| throttle.allows_at(start + *second * Duration::from_secs(1))).collect();
        assert_eq!(passed, [0, 60, 120]);
    }
}
