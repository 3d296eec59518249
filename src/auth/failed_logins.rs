//! The limit of failed logins per address.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::auth::rate_limit::RateLimiter;

/// Failed logins that an address may make at once. It allows for typing errors, and for a fleet that restarts with an
/// old password.
const GUESSES: u32 = 10;
/// Interval after which an address may fail once more.
const INTERVAL: Duration = Duration::from_secs(6);
/// Maximum number of tracked addresses, which take about ten kilobytes.
const ADDRESSES: usize = 1024;

/// The origin of a request. Limits apply per origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    V4(Ipv4Addr),
    /// The first 64 bits, because a client with one address of such a network has all of them.
    V6(u64),
    /// A Unix socket, which has no address.
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

/// A bucket for each address with recent failures. There is no common bucket, so that one address cannot lock out
/// others.
#[derive(Debug, Default)]
pub(super) struct FailedLogins(HashMap<Origin, RateLimiter>);

impl FailedLogins {
    /// Counts a login as failed before its result is known, so that many concurrent ones cannot all pass.
    ///
    /// # Errors
    ///
    /// Returns the time until the next login is allowed.
    pub(super) fn count(&mut self, origin: Origin, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&origin) {
            self.forget_one(now);
        }
        self.0.entry(origin).or_insert_with(|| RateLimiter::new(INTERVAL, GUESSES)).take(now)
    }

    /// Takes a count back, after a login that did not fail.
    pub(super) fn take_back(&mut self, origin: Origin, now: Instant) {
        if let Some(bucket) = self.0.get_mut(&origin) {
            bucket.give_back(now);
            if bucket.debt(now).is_zero() {
                self.0.remove(&origin);
            }
        }
    }

    /// Removes the address with the fewest failures. Removing the oldest would let one guess from each of a thousand
    /// addresses erase the record of the worst address.
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
    fn an_ipv6_network_is_one_origin() {
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
    fn limits_each_address_separately() {
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
    fn successful_logins_do_not_count() {
        let (mut failures, start) = (FailedLogins::default(), Instant::now());
        for login in 0..10 * GUESSES {
            assert_eq!(failures.count(Origin::Local, start), Ok(()), "{login}");
            failures.take_back(Origin::Local, start);
        }
        assert!(failures.0.is_empty());
    }

    /// Counts failures until the limit, and returns their number.
    fn guesses(failures: &mut FailedLogins, origin: Origin, now: Instant) -> usize {
        (0..).take_while(|_| failures.count(origin, now).is_ok()).count()
    }

    #[test]
    fn forgets_the_address_with_the_fewest_failures() {
        for (addresses, expected) in [(ADDRESSES - 1, GUESSES - 1), (ADDRESSES, GUESSES)] {
            let (mut failures, start) = (FailedLogins::default(), Instant::now());
            let least = origin("192.0.2.1");
            failures.count(least, start).unwrap();
            for network in 0..addresses as u64 {
                (0..2).for_each(|_| failures.count(Origin::V6(network), start).unwrap());
            }
            assert_eq!(guesses(&mut failures, least, start), expected as usize, "{addresses} others");
        }
    }

    #[test]
    fn many_addresses_do_not_clear_the_records() {
        let (mut failures, start) = (FailedLogins::default(), Instant::now());
        let bad = origin("192.0.2.1");
        (0..GUESSES).for_each(|_| failures.count(bad, start).unwrap());
        for network in 0..10 * ADDRESSES as u64 {
            assert_eq!(failures.count(Origin::V6(network), start), Ok(()), "{network}");
        }
        assert_eq!(failures.count(bad, start), Err(INTERVAL));
    }
}
