//! Limits repeated log lines, so that they do not fill the host program's log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Minimum time between two lines of the same kind.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

/// A limit of one line per [`QUIET`].
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Returns whether a line may be logged now.
    pub(crate) fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    /// Returns whether a line may be logged at this time.
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
    fn allows_one_line_a_minute() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let passed: Vec<u32> =
            (0..=150).filter(|second| throttle.allows_at(start + *second * Duration::from_secs(1))).collect();
        assert_eq!(passed, [0, 60, 120]);
    }
}
