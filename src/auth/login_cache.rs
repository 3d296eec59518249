//! A cache of successful logins, so that bcrypt runs only for the first of them.

use std::collections::VecDeque;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::failed_logins::Origin;

/// Maximum number of cached addresses per user.
const ORIGINS: usize = 16;

/// A digest of user, hash and password.
///
/// Each part is preceded by its length, so that no byte of one part can count as part of the next. In CVE-2022-46146
/// the parts were concatenated, and a known hash was as good as the password. The digest uses no secret key, because
/// the key would be in the same memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LoginDigest([u8; 32]);

/// The last successful login of each user. One entry per user, so that no login evicts another user's. Failed logins
/// are not cached. A cache belongs to one set of credentials, and new ones begin with an empty cache.
pub(super) struct LoginCache(Vec<Option<Success>>);

struct Success {
    digest: LoginDigest,
    /// The addresses that it came from, the newest last.
    origins: VecDeque<Origin>,
}

/// Whether a login is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cached {
    /// It succeeded before from this address.
    Here,
    /// It succeeded before, but from another address. It counts against the limit of failed logins: a 200 above the
    /// limit would tell an attacker that this is the password.
    Elsewhere,
    No,
}

impl LoginDigest {
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        let mut sha = Sha256::new();
        for part in parts {
            sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            sha.update(part);
        }
        LoginDigest(sha.finalize().into())
    }
}

impl LoginCache {
    pub(super) fn new(users: usize) -> Self {
        LoginCache((0..users).map(|_| None).collect())
    }

    pub(super) fn insert(&mut self, user: usize, digest: LoginDigest, origin: Origin) {
        let Some(last) = self.0.get_mut(user) else { return };
        let same = last.take().filter(|last| last.digest == digest);
        let mut origins = same.map(|last| last.origins).unwrap_or_default();
        origins.retain(|other| *other != origin);
        if origins.len() == ORIGINS {
            origins.pop_front();
        }
        origins.push_back(origin);
        *last = Some(Success { digest, origins });
    }

    /// Finds a login. Compares all entries, so that the time does not reveal which one matched.
    pub(super) fn find(&self, digest: &LoginDigest, origin: Origin) -> Cached {
        let (mut known, mut here) = (Choice::from(0), false);
        for success in self.0.iter().flatten() {
            let same = success.digest.0.ct_eq(&digest.0);
            known |= same;
            here |= bool::from(same) && success.origins.contains(&origin);
        }
        match (bool::from(known), here) {
            (true, true) => Cached::Here,
            (true, false) => Cached::Elsewhere,
            (false, _) => Cached::No,
        }
    }
}

impl fmt::Debug for LoginDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginDigest")
    }
}

impl fmt::Debug for LoginCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoginCache").field(&self.0.iter().flatten().count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// All ways to split the same bytes into three parts.
    #[test]
    fn different_splits_have_different_digests() {
        let bytes = [0, 0, 0, 0, 0, 0, 0, 1, b'a', b'a', 0, 0, 0, 0, 0, 0, 0, 1, b'b', b':', b'c'];
        let mut entries = HashSet::new();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert!(entries.insert(LoginDigest::new(&parts).0), "{first} {second}");
            }
        }
    }

    #[test]
    fn keeps_the_last_login_of_each_user_and_its_addresses() {
        let digest = |text: &str| LoginDigest::new(&[text.as_bytes()]);
        let origin = Origin::V6;
        let mut cache = LoginCache::new(2);
        let mut expect = |step: &[(usize, &str, u64)], known: &[(&str, u64, Cached)]| {
            step.iter().for_each(|(user, text, from)| cache.insert(*user, digest(text), origin(*from)));
            for (text, from, expected) in known {
                assert_eq!(cache.find(&digest(text), origin(*from)), *expected, "{step:?} {text} {from}");
            }
        };
        use Cached::{Elsewhere, Here, No};
        expect(&[], &[("a", 1, No)]);
        expect(
            &[(0, "a", 1), (1, "b", 2)],
            &[("a", 1, Here), ("a", 2, Elsewhere), ("b", 1, Elsewhere), ("b", 2, Here)],
        );
        expect(&[(0, "a", 2)], &[("a", 1, Here), ("a", 2, Here)]);
        expect(&[(0, "c", 3)], &[("a", 1, No), ("c", 3, Here), ("c", 1, Elsewhere), ("b", 2, Here)]);
        // This user does not exist.
        expect(&[(2, "d", 1)], &[("d", 1, No)]);
        for from in 0..100 {
            expect(&[(0, "c", from)], &[("c", from, Here)]);
        }
        expect(&[], &[("c", 84, Here), ("c", 83, Elsewhere)]);
    }
}
