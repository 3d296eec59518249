//! Passwords that were right: remembered, so that bcrypt is for the first time.

use std::collections::VecDeque;
use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Origin;

/// Of so many addresses it is remembered that a user came from there.
const ORIGINS: usize = 16;

/// A user, a hash and a password, as one digest.
///
/// Each part is preceded by its length, so that no byte of one can pass for a byte of the next (CVE-2022-46146: there the
/// parts were strung together, and a hash that was known was as good as the password). Without a secret: it would lie in
/// the same memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry([u8; 32]);

/// The last right one of each user: bounded by their number, and nobody's success drives out another's. Failures are not
/// remembered. It belongs to one keyring; another begins with an empty one.
pub(crate) struct Remembered(Vec<Option<Right>>);

struct Right {
    entry: Entry,
    /// Where it came from, the latest last.
    origins: VecDeque<Origin>,
}

/// What is known of a password without verifying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was right, and came from there.
    Here,
    /// It was right, but came from elsewhere. Were that not limited, anybody could guess without end: what is answered in
    /// spite of the limit is the password.
    Elsewhere,
    Not,
}

impl Entry {
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        Entry(digest.finalize().into())
    }
}

impl Remembered {
    pub(crate) fn new(users: usize) -> Self {
        Remembered((0..users).map(|_| None).collect())
    }

    pub(crate) fn remember(&mut self, user: usize, entry: Entry, origin: Origin) {
        let Some(place) = self.0.get_mut(user) else { return };
        let right = place.get_or_insert_with(|| Right { entry, origins: VecDeque::new() });
        if right.entry != entry {
            *right = Right { entry, origins: VecDeque::new() };
        }
        right.origins.retain(|other| *other != origin);
        if right.origins.len() == ORIGINS {
            right.origins.pop_front();
        }
        right.origins.push_back(origin);
    }

    /// Looks at all of them, so that time does not tell which.
    pub(crate) fn knows(&self, entry: &Entry, origin: Origin) -> Known {
        let (mut known, mut here) = (Choice::from(0), false);
        for right in self.0.iter().flatten() {
            let same = right.entry.0.ct_eq(&entry.0);
            known |= same;
            here |= bool::from(same) && right.origins.contains(&origin);
        }
        match (bool::from(known), here) {
            (true, true) => Known::Here,
            (true, false) => Known::Elsewhere,
            (false, _) => Known::Not,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry")
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remembered").field(&self.0.iter().flatten().count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// All ways to cut the same bytes in three.
    #[test]
    fn no_byte_of_one_part_passes_for_a_byte_of_another() {
        let bytes = [0, 0, 0, 0, 0, 0, 0, 1, b'a', b'a', 0, 0, 0, 0, 0, 0, 0, 1, b'b', b':', b'c'];
        let mut entries = HashSet::new();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert!(entries.insert(Entry::new(&parts).0), "{first} {second}");
            }
        }
    }

    #[test]
    fn the_last_of_each_user_is_known_where_it_came_from() {
        let entry = |text: &str| Entry::new(&[text.as_bytes()]);
        let origin = Origin::V6;
        let mut remembered = Remembered::new(2);
        let mut expect = |step: &[(usize, &str, u64)], known: &[(&str, u64, Known)]| {
            step.iter().for_each(|(user, text, from)| remembered.remember(*user, entry(text), origin(*from)));
            for (text, from, expected) in known {
                assert_eq!(
                    remembered.knows(&entry(text), origin(*from)),
                    *expected,
                    "{step:?} {text} {from}"
                );
            }
        };
        use Known::{Elsewhere, Here, Not};
        expect(&[], &[("a", 1, Not)]);
        expect(
            &[(0, "a", 1), (1, "b", 2)],
            &[("a", 1, Here), ("a", 2, Elsewhere), ("b", 1, Elsewhere), ("b", 2, Here)],
        );
        expect(&[(0, "a", 2)], &[("a", 1, Here), ("a", 2, Here)]);
        expect(&[(0, "c", 3)], &[("a", 1, Not), ("c", 3, Here), ("c", 1, Elsewhere), ("b", 2, Here)]);
        // There is no such user.
        expect(&[(2, "d", 1)], &[("d", 1, Not)]);
        for from in 0..100 {
            expect(&[(0, "c", from)], &[("c", from, Here)]);
        }
        expect(&[], &[("c", 84, Here), ("c", 83, Elsewhere)]);
    }
}
