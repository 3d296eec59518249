//! bcrypt hashes, and the verification of passwords against them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq;

use crate::util::error::ensure;

const PREFIXES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// A hash of this cost takes about four seconds, and all other new logins wait. Each further cost doubles the time.
const MAX_COST: u32 = 16;
/// bcrypt ignores the bytes of a password after these.
const MAX_PASSWORD: usize = 72;

const DIGEST: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);
/// Some old tools set unused bits at the end of the salt.
const SALT: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// A bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash {
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

/// Reason why a text is not a usable hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnusableHash {
    Prefix,
    Cost,
    Salt,
    Digest,
    /// A bcrypt hash whose verification would take too long.
    TooCostly(u32),
}

impl Hash {
    /// Returns the hash in a fixed number of bytes.
    pub(super) fn bytes(&self) -> [u8; 40] {
        let Hash { cost, salt, digest } = self;
        let mut bytes = [0; 40];
        bytes[0] = u8::try_from(*cost).unwrap_or_default();
        bytes[1..17].copy_from_slice(salt);
        bytes[17..].copy_from_slice(digest);
        bytes
    }

    /// Returns whether this is the password. Takes 2^cost rounds of bcrypt, about 50 ms at cost 10.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // As in C and Go, the final zero byte is part of the key if it fits.
        let mut key = password[..password.len().min(MAX_PASSWORD)].to_vec();
        if key.len() < MAX_PASSWORD {
            key.push(0);
        }
        let digest = bcrypt::bcrypt(self.cost, self.salt, &key);
        digest[..self.digest.len()].ct_eq(&self.digest).into()
    }
}

impl FromStr for Hash {
    type Err = UnusableHash;

    /// Parses `$2b$10$`, 22 characters of salt and 31 of digest. Except for the limit of the cost, this accepts the
    /// same hashes as Go's `golang.org/x/crypto/bcrypt`. `$2x$` marks hashes of a faulty implementation, `$2$` those
    /// of an older one.
    fn from_str(text: &str) -> Result<Self, UnusableHash> {
        let rest =
            PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).ok_or(UnusableHash::Prefix)?;
        let (cost, rest) = rest.split_once('$').ok_or(UnusableHash::Cost)?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost =
            cost.parse().ok().filter(|cost| digits && COSTS.contains(cost)).ok_or(UnusableHash::Cost)?;
        let (salt, digest) = rest.as_bytes().split_at_checked(22).ok_or(UnusableHash::Salt)?;
        let salt = SALT.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(UnusableHash::Salt)?;
        let digest = DIGEST.decode(digest).ok().and_then(|digest| digest.try_into().ok());
        let digest = digest.ok_or(UnusableHash::Digest)?;
        ensure(cost <= MAX_COST, UnusableHash::TooCostly(cost))?;
        Ok(Hash { cost, salt, digest })
    }
}

impl fmt::Display for UnusableHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnusableHash::Prefix => "expected a $2a$, $2b$ or $2y$ prefix",
            UnusableHash::Cost => "expected a cost of two digits, 04 to 16",
            UnusableHash::Salt => "expected a salt of 22 characters of bcrypt's base64",
            UnusableHash::Digest => "expected 31 characters of bcrypt's base64 after the salt",
            UnusableHash::TooCostly(cost) => {
                return write!(
                    f,
                    "a bcrypt cost of {cost}, above {MAX_COST}: every login would delay all others by many seconds"
                );
            }
        })
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verify(password: &[u8], hash: &str) -> bool {
        hash.parse::<Hash>().unwrap().verify(password)
    }

    /// From the tests of OpenBSD, jBCrypt, Go and crypt_blowfish.
    #[test]
    fn verifies_the_known_vectors() {
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
    fn parses_hashes_as_go_does_up_to_cost_16() {
        let rest = "XajjQvNhvvRt5GSeFk1xFe5l47dONXg781AmZtd869sO8zfsHuw7C";
        let table: &[(String, Option<UnusableHash>)] = &[
            (format!("$2a$10${rest}"), None),
            (format!("$2b$04${rest}"), None),
            (format!("$2y$16${rest}"), None),
            (format!("$2y$17${rest}"), Some(UnusableHash::TooCostly(17))),
            (format!("$2y$31${rest}"), Some(UnusableHash::TooCostly(31))),
            (format!("$2y$31${rest}\n"), Some(UnusableHash::Digest)),
            (format!("$2x$10${rest}"), Some(UnusableHash::Prefix)),
            (format!("$2$10${rest}"), Some(UnusableHash::Prefix)),
            (format!("$3a$10${rest}"), Some(UnusableHash::Prefix)),
            (format!("%2a$10${rest}"), Some(UnusableHash::Prefix)),
            (format!(" $2a$10${rest}"), Some(UnusableHash::Prefix)),
            ("$a$a$".to_owned(), Some(UnusableHash::Prefix)),
            (String::new(), Some(UnusableHash::Prefix)),
            ("hunter2".to_owned(), Some(UnusableHash::Prefix)),
            ("$2a$".to_owned(), Some(UnusableHash::Cost)),
            (format!("$2a$03${rest}"), Some(UnusableHash::Cost)),
            (format!("$2a$32${rest}"), Some(UnusableHash::Cost)),
            (format!("$2a$5${rest}"), Some(UnusableHash::Cost)),
            (format!("$2a$+5${rest}"), Some(UnusableHash::Cost)),
            (format!("$2a$010${rest}"), Some(UnusableHash::Cost)),
            ("$2a$10$fooo".to_owned(), Some(UnusableHash::Salt)),
            (format!("$2a$10$!{}", &rest[1..]), Some(UnusableHash::Salt)),
            (format!("$2a$10${}", &rest[..52]), Some(UnusableHash::Digest)),
            (format!("$2a$10${rest}\n"), Some(UnusableHash::Digest)),
            (format!("$2a$10${}D", &rest[..52]), Some(UnusableHash::Digest)),
            (format!("$2a$10${}é", &rest[..51]), Some(UnusableHash::Digest)),
            (format!("$2a$10${}é", &rest[..21]), Some(UnusableHash::Salt)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Hash>().err(), *expected, "{text:?}");
        }
    }

    /// As in Go's `CompareHashAndPassword`, only the first 72 bytes count.
    #[test]
    fn only_72_bytes_of_a_password_count() {
        for length in [71, 72, 73, 100] {
            let password = "x".repeat(length);
            let hash = bcrypt::hash_with_salt(&password, 4, [7; 16]).unwrap().to_string();
            for given in [70, 71, 72, 73, 100, 16_384] {
                let right = given.min(72) == length.min(72);
                assert_eq!(verify("x".repeat(given).as_bytes(), &hash), right, "{length} {given}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn verifies_like_the_crate(password in prop::collection::vec(any::<u8>(), 0..80), salt: [u8; 16], other in prop::collection::vec(any::<u8>(), 0..80)) {
            let hash = bcrypt::hash_with_salt(&password, 4, salt).unwrap().to_string();
            prop_assert!(verify(&password, &hash));
            prop_assert_eq!(verify(&other, &hash), bcrypt::verify(&other, &hash).unwrap());
        }
    }
}
