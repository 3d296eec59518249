//! How many wrong guesses an address has.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::auth::rate_limit::Bucket;

/// Guesses that an address has at once: a person who mistypes, a fleet that starts with yesterday's password.
pub(super) const GUESSES: u32 = 10;
/// In which it gets one more.
const INTERVAL: Duration = Duration::from_secs(6);
/// Of which no more is kept: some ten kilobytes.
const ADDRESSES: usize = 1024;

/// Where a request comes from, as far as limits are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    V4(Ipv4Addr),
    /// The first 64 bits: whoever has one address of such a network has all of it.
    V6(u64),
    /// Unix sockets have no addresses.
    Local,
}

impl Origin {
    pub(crate) fn of(peer: Option<IpAddr>) -> Self {
        match peer.map(|peer| peer.to_canonical()) {
            None => Origin::Local,
            Some(IpAddr::V4(address)) => Origin::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments().map(u64::from);
                Origin::V6(a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

/// A bucket of guesses for each address that has made some lately. There is none for all: addresses lock out nobody but
/// themselves.
#[derive(Debug, Default)]
pub(crate) struct Failures(HashMap<Origin, Bucket>);

impl Failures {
    /// Counts a guess before it is known to be wrong, so that many at once are not all let through; says when there may be
    /// another, if this one may not be.
    pub(crate) fn guess(&mut self, origin: Origin, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&origin) {
            self.forget_one(now);
        }
        self.0.entry(origin).or_insert_with(|| Bucket::new(INTERVAL, GUESSES)).take(now)
    }

    /// That one was not wrong.
    pub(crate) fn take_back(&mut self, origin: Origin, now: Instant) {
        if let Some(bucket) = self.0.get_mut(&origin) {
            bucket.give_back(now);
            if bucket.debt(now).is_zero() {
                self.0.remove(&origin);
            }
        }
    }

    /// Forgets who has the fewest failures on record. Not who came first: a guess from each of a thousand addresses would
    /// wipe the slate of the one that guesses most.
    fn forget_one(&mut self, now: Instant) {
        let least = self.0.iter().min_by_key(|(_, bucket)| bucket.debt(now)).map(|(origin, _)| *origin);
        if let Some(origin) = least {
            self.0.remove(&origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn which_addresses_are_one() {
        let table: &[(&str, &str, bool)] = &[
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("2001:db8:1:2::1", "2001:db9:1:2::1", false),
            ("::1", "::2", true),
            ("::1", "127.0.0.1", false),
        ];
        for (one, other, same) in table {
            assert_eq!(origin(one) == origin(other), *same, "{one} {other}");
        }
        assert_ne!(Origin::of(None), origin("::1"));
    }

    #[test]
    fn an_address_locks_out_itself_alone_and_not_for_long() {
        let mut failures = Failures::default();
        let (bad, good, start) = (origin("192.0.2.1"), origin("192.0.2.2"), Instant::now());
        for guess in 0..GUESSES {
            assert_eq!(failures.guess(bad, start), Ok(()), "{guess}");
        }
        assert_eq!(failures.guess(bad, start), Err(INTERVAL));
        assert_eq!(failures.guess(good, start), Ok(()));
        assert_eq!(failures.guess(bad, start + INTERVAL), Ok(()));
        assert_eq!(failures.guess(bad, start + INTERVAL), Err(INTERVAL));
    }

    #[test]
    fn what_is_not_wrong_leaves_no_trace() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for _ in 0..10 * GUESSES {
            assert_eq!(failures.guess(Origin::Local, start), Ok(()));
            failures.take_back(Origin::Local, start);
        }
        assert!(failures.0.is_empty());
    }

    #[test]
    fn many_addresses_neither_grow_it_nor_clear_a_name() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let bad = origin("192.0.2.1");
        (0..GUESSES).for_each(|_| failures.guess(bad, start).unwrap());
        for network in 0..10 * ADDRESSES as u64 {
            assert_eq!(failures.guess(Origin::V6(network), start), Ok(()), "{network}");
            assert!(failures.0.len() <= ADDRESSES);
        }
        assert_eq!(failures.guess(bad, start), Err(INTERVAL));
    }
}
