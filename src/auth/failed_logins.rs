//! How many wrong logins an address may try.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::auth::rate_limit::Bucket;

/// Guesses that an address may make at once: a person who mistypes, a fleet that starts with yesterday's password.
const GUESSES: u32 = 10;
/// After which it may make one more.
const INTERVAL: Duration = Duration::from_secs(6);
/// The most addresses that are kept: some ten kilobytes.
const ADDRESSES: usize = 1024;

/// Where a request comes from, as the limits tell clients apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    V4(Ipv4Addr),
    /// The first 64 bits: a client that has one address of such a network has all of them.
    V6(u64),
    /// Unix sockets have no addresses.
    Local,
}

impl Origin {
    pub(super) fn of(peer: Option<IpAddr>) -> Self {
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

/// A bucket of guesses for each address that has made some lately. There is none for all addresses together: an address cannot
/// keep others from logging in.
#[derive(Debug, Default)]
pub(super) struct FailedLogins(HashMap<Origin, Bucket>);

impl FailedLogins {
    /// Counts a login as failed before it is known to be, so that many at once do not all pass.
    ///
    /// # Errors
    ///
    /// The time until the next login may be tried, if this one may not be.
    pub(super) fn count(&mut self, origin: Origin, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&origin) {
            self.forget_one(now);
        }
        self.0.entry(origin).or_insert_with(|| Bucket::new(INTERVAL, GUESSES)).take(now)
    }

    /// Takes one back that has not failed.
    pub(super) fn take_back(&mut self, origin: Origin, now: Instant) {
        if let Some(bucket) = self.0.get_mut(&origin) {
            bucket.give_back(now);
            if bucket.debt(now).is_zero() {
                self.0.remove(&origin);
            }
        }
    }

    /// Forgets the address with the fewest failures. Not the oldest one: a guess from each of a thousand addresses would clear
    /// the record of the one that guesses most.
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
    fn one_ipv6_network_is_one_origin() {
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
    fn limits_each_address_by_itself() {
        let mut failures = FailedLogins::default();
        let (bad, good, start) = (origin("192.0.2.1"), origin("192.0.2.2"), Instant::now());
        for guess in 0..GUESSES {
            assert_eq!(failures.count(bad, start), Ok(()), "{guess}");
        }
        assert_eq!(failures.count(bad, start), Err(INTERVAL));
        assert_eq!(failures.count(good, start), Ok(()));
        assert_eq!(failures.count(bad, start + INTERVAL), Ok(()));
        assert_eq!(failures.count(bad, start + INTERVAL), Err(INTERVAL));
    }

    #[test]
    fn a_login_that_succeeds_leaves_no_record() {
        let (mut failures, start) = (FailedLogins::default(), Instant::now());
        for _ in 0..10 * GUESSES {
            assert_eq!(failures.count(Origin::Local, start), Ok(()));
            failures.take_back(Origin::Local, start);
        }
        assert!(failures.0.is_empty());
    }

    #[test]
    fn many_addresses_neither_grow_it_nor_clear_a_record() {
        let (mut failures, start) = (FailedLogins::default(), Instant::now());
        let bad = origin("192.0.2.1");
        (0..GUESSES).for_each(|_| failures.count(bad, start).unwrap());
        for network in 0..10 * ADDRESSES as u64 {
            assert_eq!(failures.count(Origin::V6(network), start), Ok(()), "{network}");
            assert!(failures.0.len() <= ADDRESSES);
        }
        assert_eq!(failures.count(bad, start), Err(INTERVAL));
    }
}
