//! How many newcomers queue for a connection. No call asks a listener for the length of its backlog; that a newcomer is
//! there at once when one is looked for tells that it has queued.

/// Rises with each newcomer that had queued and found the limit reached; halves with each other one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pressure(u32);

impl Pressure {
    /// The backlog holds 1,024 newcomers, and a scraper waits 10 s by default. At this pressure, and 128 connections, so
    /// many get one within a second.
    const MOST: u32 = 256;

    pub(super) fn rise(&mut self) {
        self.0 = (self.0 + 1).min(Self::MOST);
    }

    pub(super) fn fall(&mut self) {
        self.0 /= 2;
    }

    /// By what grace periods are divided where so many connections may be open: fewer connections have to go faster.
    ///
    /// It rises gently, because a few newcomers more than there are connections are no attack.
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
        // How many have queued, how many connections there may be, by what grace periods are divided.
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
    fn falls_when_newcomers_no_longer_queue() {
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
