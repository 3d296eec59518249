//! bcrypt, in steps.
//!
//! Blowfish is RustCrypto's; the loop around it is ours, for those of crates run to their end: one hash of cost 18 would
//! keep all others waiting for a quarter of a minute, and one of cost 31 a thread for days after the server is gone.

use std::fmt;
use std::str::FromStr;

use blowfish::Blowfish;
use subtle::ConstantTimeEq;

use super::base64::{self, Rest};

const PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// As many bytes of a password as bcrypt looks at.
const MAX_PASSWORD: usize = 72;

/// A bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash {
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

/// Why a text is no bcrypt hash that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAHash {
    Prefix,
    Cost,
    Salt,
    Digest,
}

/// A password on its way to a verdict.
pub(crate) struct Verification {
    hash: Hash,
    /// What bcrypt takes for its key.
    key: Vec<u8>,
    stage: Stage,
}

/// Boxed: it is 4 KiB.
enum Stage {
    Waiting,
    Expanding { state: Box<Blowfish>, rounds_left: u64 },
    Done(bool),
}

impl Hash {
    /// All of it, in as many bytes for each.
    pub(super) fn bytes(&self) -> [u8; 40] {
        let Hash { cost, salt, digest } = self;
        let mut bytes = [0; 40];
        // At most 31.
        bytes[0] = u8::try_from(*cost).unwrap_or_default();
        bytes[1..17].copy_from_slice(salt);
        bytes[17..].copy_from_slice(digest);
        bytes
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    /// `$2b$10$`, 22 characters of salt, 31 of digest. What Go's `golang.org/x/crypto/bcrypt` refuses is refused, and what
    /// it takes though no password can match it. `$2x$` marks hashes of a faulty implementation, `$2$` of one before them.
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let rest = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).ok_or(NotAHash::Prefix)?;
        let (cost, rest) = rest.split_once('$').ok_or(NotAHash::Cost)?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost.parse().ok().filter(|cost| digits && COSTS.contains(cost)).ok_or(NotAHash::Cost)?;
        let (salt, digest) = rest.as_bytes().split_at_checked(22).ok_or(NotAHash::Salt)?;
        // There are old tools that leave something in the last bits of the salt.
        let salt = base64::decode_bcrypt(salt, Rest::Any).and_then(|salt| salt.try_into().ok());
        let digest = base64::decode_bcrypt(digest, Rest::Zero).and_then(|digest| digest.try_into().ok());
        Ok(Hash { cost, salt: salt.ok_or(NotAHash::Salt)?, digest: digest.ok_or(NotAHash::Digest)? })
    }
}

impl Verification {
    pub(super) fn new(hash: Hash, password: &[u8]) -> Self {
        // As C's and Go's do it: the zero at the end belongs to the key, where there is room for it.
        let mut key = password[..password.len().min(MAX_PASSWORD)].to_vec();
        if key.len() < MAX_PASSWORD {
            key.push(0);
        }
        Verification { hash, key, stage: Stage::Waiting }
    }

    /// Goes on for so many of the 2^cost rounds; says whether the password is right once it is known.
    pub(crate) fn advance(&mut self, rounds: u64) -> Option<bool> {
        let Verification { hash, key, stage } = self;
        if let Stage::Waiting = stage {
            let mut state = Box::new(Blowfish::bc_init_state());
            state.salted_expand_key(&hash.salt, key);
            *stage = Stage::Expanding { state, rounds_left: 1 << hash.cost };
        }
        if let Stage::Expanding { state, rounds_left } = stage {
            let rounds = rounds.min(*rounds_left);
            for _ in 0..rounds {
                state.bc_expand_key(key);
                state.bc_expand_key(&hash.salt);
            }
            *rounds_left -= rounds;
            if *rounds_left == 0 {
                *stage = Stage::Done(digest(state).ct_eq(&hash.digest).into());
            }
        }
        match stage {
            Stage::Done(right) => Some(*right),
            Stage::Waiting | Stage::Expanding { .. } => None,
        }
    }
}

/// "OrpheanBeholderScryDoubt", encrypted 64 times; its last byte is left out, as it has been since 1997.
fn digest(state: &Blowfish) -> [u8; 23] {
    let mut digest = [0; 23];
    for (out, text) in digest.chunks_mut(8).zip(b"OrpheanBeholderScryDoubt".chunks(8)) {
        let word = |at: usize| text[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let [left, right] = (0..64).fold([word(0), word(4)], |block, _| state.bc_encrypt(block));
        let block = (u64::from(left) << 32 | u64::from(right)).to_be_bytes();
        out.copy_from_slice(&block[..out.len()]);
    }
    digest
}

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotAHash::Prefix => "it begins with $2a$, $2b$ or $2y$",
            NotAHash::Cost => "its cost is of two digits, 04 to 31",
            NotAHash::Salt => "its salt is of 22 characters of bcrypt's base64",
            NotAHash::Digest => "after the salt come 31 characters of bcrypt's base64",
        })
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verification")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verify(password: &[u8], hash: &str) -> bool {
        Verification::new(hash.parse().unwrap(), password).advance(u64::MAX).unwrap()
    }

    /// Of OpenBSD's and jBCrypt's tests, of Go's, and of crypt_blowfish's.
    #[test]
    fn the_known_vectors() {
        let table: &[(&[u8], &str)] = &[
            (b"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            (b"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            (b"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            (b"abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
            (
                b"~!@#$%^&*()      ~!@#$%^&*()PNBFRD",
                "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO",
            ),
            (b"allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"),
            (
                b"012345678901234567890123456789012345678901234567890123456",
                "$2a$10$XajjQvNhvvRt5GSeFk1xFe5l47dONXg781AmZtd869sO8zfsHuw7C",
            ),
            (b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            (b"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            (b"\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
            (b"fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"),
        ];
        for (password, hash) in table {
            assert!(verify(password, hash), "{hash}");
            assert!(!verify(&[password, &b"x"[..]].concat(), hash), "{hash}");
        }
    }

    #[test]
    fn hashes_as_they_are_written() {
        let rest = "XajjQvNhvvRt5GSeFk1xFe5l47dONXg781AmZtd869sO8zfsHuw7C";
        let table: &[(String, Option<NotAHash>)] = &[
            (format!("$2a$10${rest}"), None),
            (format!("$2b$04${rest}"), None),
            (format!("$2y$31${rest}"), None),
            (format!("$2x$10${rest}"), Some(NotAHash::Prefix)),
            (format!("$2$10${rest}"), Some(NotAHash::Prefix)),
            (format!("$3a$10${rest}"), Some(NotAHash::Prefix)),
            (format!("%2a$10${rest}"), Some(NotAHash::Prefix)),
            (format!(" $2a$10${rest}"), Some(NotAHash::Prefix)),
            ("$a$a$".to_owned(), Some(NotAHash::Prefix)),
            (String::new(), Some(NotAHash::Prefix)),
            ("hunter2".to_owned(), Some(NotAHash::Prefix)),
            ("$2a$".to_owned(), Some(NotAHash::Cost)),
            (format!("$2a$03${rest}"), Some(NotAHash::Cost)),
            (format!("$2a$32${rest}"), Some(NotAHash::Cost)),
            (format!("$2a$5${rest}"), Some(NotAHash::Cost)),
            (format!("$2a$+5${rest}"), Some(NotAHash::Cost)),
            (format!("$2a$010${rest}"), Some(NotAHash::Cost)),
            ("$2a$10$fooo".to_owned(), Some(NotAHash::Salt)),
            (format!("$2a$10$!{}", &rest[1..]), Some(NotAHash::Salt)),
            (format!("$2a$10${}", &rest[..52]), Some(NotAHash::Digest)),
            (format!("$2a$10${rest}\n"), Some(NotAHash::Digest)),
            (format!("$2a$10${}D", &rest[..52]), Some(NotAHash::Digest)),
            (format!("$2a$10${}é", &rest[..51]), Some(NotAHash::Digest)),
            (format!("$2a$10${}é", &rest[..21]), Some(NotAHash::Salt)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Hash>().err(), *expected, "{text:?}");
        }
    }

    /// As Go's `CompareHashAndPassword`: the first 72 bytes count.
    #[test]
    fn a_long_password_counts_as_far_as_bcrypt_reads() {
        for length in [71, 72, 73, 100] {
            let password = "x".repeat(length);
            let hash = bcrypt::hash_with_salt(&password, 4, [7; 16]).unwrap().to_string();
            for given in [70, 71, 72, 73, 100, 16_384] {
                let right = given.min(72) == length.min(72);
                assert_eq!(verify("x".repeat(given).as_bytes(), &hash), right, "{length} {given}");
            }
        }
    }

    #[test]
    fn it_can_be_done_in_any_steps() {
        let hash = bcrypt::hash_with_salt("secret", 5, [7; 16]).unwrap().to_string();
        for step in [1, 3, 31, 32, 33] {
            let mut verification = Verification::new(hash.parse().unwrap(), b"secret");
            let steps = (1..).find(|_| verification.advance(step).is_some());
            assert_eq!(steps, Some(32_u64.div_ceil(step)), "{step}");
            assert_eq!(verification.advance(step), Some(true), "{step}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn as_the_crate_verifies(password in prop::collection::vec(any::<u8>(), 0..80), salt: [u8; 16], other in prop::collection::vec(any::<u8>(), 0..80)) {
            let hash = bcrypt::hash_with_salt(&password, 4, salt).unwrap().to_string();
            prop_assert!(verify(&password, &hash));
            prop_assert_eq!(verify(&other, &hash), bcrypt::verify(&other, &hash).unwrap());
        }
    }
}
