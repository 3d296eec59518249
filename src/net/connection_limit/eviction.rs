//! The choice of the connection to evict. No clock, no lock.

use tokio::time::Instant;

use crate::net::connection::Evictable;

/// Which connection may be evicted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction<C> {
    Now(C),
    /// No connection before `until`, unless one changes its phase.
    Later {
        until: Option<Instant>,
    },
}

/// Chooses among the connections that may be evicted now: the first reason, then the earliest time.
pub(super) fn choose<C: Copy>(
    connections: impl Iterator<Item = (C, [Option<Evictable>; 2])>,
    now: Instant,
) -> Eviction<C> {
    let (mut first, mut until): (Option<(Evictable, C)>, Option<Instant>) = (None, None);
    for (connection, evictable) in connections {
        for evictable in evictable.into_iter().flatten() {
            if evictable.from > now {
                until = Some(until.map_or(evictable.from, |until| until.min(evictable.from)));
            } else if first.is_none_or(|(first, _)| evictable < first) {
                first = Some((evictable, connection));
            }
        }
    }
    first.map_or(Eviction::Later { until }, |(_, connection)| Eviction::Now(connection))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::connection::Reason::{self, Handshakes, Lingers, Long, Slow, Waits};

    #[test]
    fn chooses_by_reason_then_by_age() {
        const NOW: u64 = 100;
        // Per connection: reasons and the seconds from which they apply. Then the chosen connection, or when one may
        // be evicted.
        type Row<'a> = (&'a [&'a [(Reason, u64)]], Result<usize, Option<u64>>);
        let table: &[Row<'_>] = &[
            (&[], Err(None)),
            (&[&[]], Err(None)),
            (&[&[(Waits, 90)], &[(Waits, 80)], &[]], Ok(1)),
            (&[&[(Waits, 10)], &[(Lingers, 100)]], Ok(1)),
            (&[&[(Slow, 10)], &[(Waits, 100)]], Ok(1)),
            (&[&[(Slow, 10)], &[(Waits, 101)]], Ok(0)),
            (&[&[(Slow, 90)], &[(Handshakes, 80)]], Ok(0)),
            (&[&[(Slow, 101), (Long, 10)], &[(Handshakes, 80)]], Ok(1)),
            (&[&[(Slow, 99), (Long, 1)], &[(Slow, 98), (Long, 2)]], Ok(1)),
            (&[&[(Slow, 101), (Long, 99)], &[(Slow, 102), (Long, 98)], &[]], Ok(1)),
            (&[&[(Slow, 101), (Long, 99)], &[(Slow, 100), (Long, 120)]], Ok(1)),
            (&[&[(Slow, 103), (Long, 120)], &[(Waits, 102)], &[(Slow, 105), (Long, 101)]], Err(Some(101))),
        ];
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        for (connections, expected) in table {
            let evictable = |claims: &[(Reason, u64)]| {
                let claim =
                    |n: usize| claims.get(n).map(|&(reason, from)| Evictable { reason, from: at(from) });
                [claim(0), claim(1)]
            };
            let connections = connections.iter().map(|claims| evictable(claims)).enumerate();
            let expected = match *expected {
                Ok(connection) => Eviction::Now(connection),
                Err(until) => Eviction::Later { until: until.map(at) },
            };
            assert_eq!(
                choose(connections.clone(), at(NOW)),
                expected,
                "{:?}",
                connections.collect::<Vec<_>>()
            );
        }
    }
}
