//! Estimate of how many newcomers queue. No system call returns the length of a listener's backlog. A newcomer that
//! `accept` returns at once has queued.

/// Rises with each newcomer that had queued at the limit. Halves with every other newcomer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pressure(u32);

impl Pressure {
    /// Maximum pressure. The backlog holds 1,024 newcomers, and a scraper waits 10 s by default. At this pressure
    /// with 128 connections, the server admits 1,024 newcomers within a second.
    const MOST: u32 = 256;

    pub(super) fn rise(&mut self) {
        self.0 = (self.0 + 1).min(Self::MOST);
    }

    pub(super) fn fall(&mut self) {
        self.0 /= 2;
    }

    /// Returns the divisor of the grace periods. With fewer connections allowed, each must be evicted sooner.
    ///
    /// The divisor rises slowly, because a few newcomers above the limit are no attack.
    pub(super) fn divisor(self, max_connections: usize) -> u32 {
        let max = u32::try_from(max_connections).unwrap_or(u32::MAX).max(1);
        1 + 8 * self.0 / max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_grace_periods_by_queued_newcomers() {
        // How many newcomers have queued, the connection limit, the expected divisor.
        let table = [
            (0, 128, 1),
            (1, 128, 1),
            (16, 128, 2),
            (64, 128, 5),
            (128, 128, 9),
            (256, 128, 17),
            (100_000, 128, 17),
            (0, 1, 1),
            (1, 1, 9),
            (256, 1, 2049),
            (8, 32, 3),
            (256, 32, 65),
            (100_000, 2048, 2),
            (100_000, 1_000_000, 1),
            (100_000, usize::MAX, 1),
        ];
        for (queued, max_connections, divisor) in table {
            let mut pressure = Pressure::default();
            (0..queued).for_each(|_| pressure.rise());
            assert_eq!(pressure.divisor(max_connections), divisor, "{queued} of {max_connections}");
        }
    }

    #[test]
    fn pressure_falls_when_newcomers_no_longer_queue() {
        let mut pressure = Pressure::default();
        (0..1000).for_each(|_| pressure.rise());
        let fallen: Vec<u32> = (0..9)
            .map(|_| {
                pressure.fall();
                pressure.divisor(128)
            })
            .collect();
        assert_eq!(fallen, [9, 5, 3, 2, 1, 1, 1, 1, 1]);
    }
}
