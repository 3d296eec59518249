//! Accepted credentials: bearer tokens, and users with passwords. Only digests are stored. The one clear text is the
//! password under verification.

mod authorization;
mod password;

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::login_cache::LoginDigest;

pub(crate) use password::UnusableHash;

use authorization::Presented;
use password::Hash;

/// The realm in `WWW-Authenticate`.
const REALM: &str = "metrics";

type Sha = [u8; 32];

/// Accepted credentials.
///
/// Passwords and tokens are not wiped from memory, because the request head that carries them has further copies.
#[derive(Default)]
pub(crate) struct Credentials {
    tokens: Vec<Sha>,
    users: Vec<User>,
    /// Faults of the given credentials, each beginning with the option's name.
    pub(crate) faults: Vec<String>,
}

struct User {
    name: String,
    name_sha: Sha,
    hash: Hash,
}

/// Result of an `Authorization` header before any bcrypt.
#[derive(Debug)]
pub(super) enum Evaluation {
    /// No header, or an unreadable one.
    Missing,
    /// An accepted token.
    Accepted,
    /// A wrong token, or a password without configured users.
    Wrong,
    /// A password, which is slow to verify.
    Login(Login),
}

/// A user name and a password that still need verification.
pub(super) struct Login {
    /// The index of the user. `None` for an unknown user.
    pub(super) user: Option<usize>,
    /// The key in the login cache.
    pub(super) digest: LoginDigest,
    hash: Hash,
    password: Vec<u8>,
}

impl Credentials {
    /// Adds a token, of which only the digest is stored.
    pub(crate) fn add_token(&mut self, token: &[u8]) {
        if authorization::is_b64token(token) {
            self.tokens.push(sha(token));
        } else {
            let reason = "invalid token (expected ASCII letters, digits and -._~+/, with = only at its end, RFC 6750, \
                          section 2.1); remove the newline at the end of a token file";
            self.faults.push(format!("bearer_token: {reason}"));
        }
    }

    /// Adds a user with the bcrypt hash of the password.
    pub(crate) fn add_user(&mut self, name: &str, hash: &str) {
        // No message contains the hash, because users may give a password in its place.
        let fault = if name.contains(':') || name.chars().any(char::is_control) {
            Some("has a colon or a control character in its name (RFC 7617 forbids both)".to_owned())
        } else if self.users.iter().any(|user| user.name == name) {
            Some("is defined twice".to_owned())
        } else {
            match hash.parse() {
                Ok(hash) => {
                    self.users.push(User { name: name.to_owned(), name_sha: sha(name.as_bytes()), hash });
                    None
                }
                Err(error @ UnusableHash::TooCostly(_)) => Some(format!("has {error}")),
                Err(error) => Some(format!("has an invalid bcrypt hash: {error}")),
            }
        };
        self.faults.extend(fault.map(|fault| format!("basic_auth: user {name:?} {fault}")));
    }

    /// Returns whether requests need credentials. They do even if all given credentials have a fault, so that a fault
    /// does not open access.
    pub(crate) fn are_required(&self) -> bool {
        !(self.tokens.is_empty() && self.users.is_empty() && self.faults.is_empty())
    }

    /// Returns whether no request can be admitted, because all given credentials have a fault.
    #[cfg(any(feature = "web-config", test))]
    pub(crate) fn admit_nobody(&self) -> bool {
        self.are_required() && self.tokens.is_empty() && self.users.is_empty()
    }

    /// Returns the number of users.
    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// Returns the values of `WWW-Authenticate` for rejected `Authorization` lines, one per line, because some clients
    /// cannot parse a list.
    pub(super) fn challenges<'h>(&self, lines: impl Iterator<Item = &'h [u8]>) -> Vec<String> {
        // A 401 contains at least one challenge (RFC 9110, section 15.5.2).
        let basic = !self.users.is_empty();
        let bearer = !self.tokens.is_empty() || !basic;
        // RFC 6750, section 3, and RFC 7617, section 2.1.
        let has_token = matches!(authorization::read(lines), Presented::Bearer(_));
        let error = if has_token { ", error=\"invalid_token\"" } else { "" };
        let bearer = bearer.then(|| format!("Bearer realm=\"{REALM}\"{error}"));
        let basic = basic.then(|| format!("Basic realm=\"{REALM}\", charset=\"UTF-8\""));
        bearer.into_iter().chain(basic).collect()
    }

    /// Evaluates the `Authorization` lines.
    pub(super) fn evaluate<'h>(&self, lines: impl Iterator<Item = &'h [u8]>) -> Evaluation {
        match authorization::read(lines) {
            Presented::Nothing => Evaluation::Missing,
            Presented::Bearer(token) if self.accepts(token) => Evaluation::Accepted,
            Presented::Basic { user, password } if !self.users.is_empty() => {
                Evaluation::Login(self.login(&user, password.into_bytes()))
            }
            Presented::Bearer(_) | Presented::Basic { .. } => Evaluation::Wrong,
        }
    }

    /// Compares digests, and all of them, so that the time reveals neither which token matched nor how much of it.
    fn accepts(&self, token: &[u8]) -> bool {
        let given = sha(token);
        let accepted = |any: Choice, token: &Sha| any | token.ct_eq(&given);
        self.tokens.iter().fold(Choice::from(0), accepted).into()
    }

    /// Prepares a login. An unknown user is verified against the hash of a known one, and fails at the same cost.
    ///
    /// The name and all hashes select that known user, so an attacker cannot predict which one. If the hashes differ
    /// in cost, an unknown name costs as much as some user, and the same each time, also after a restart. A single
    /// cost for all unknown names would distinguish them from users whose hash has another cost.
    fn login(&self, name: &str, password: Vec<u8>) -> Login {
        let name_sha = sha(name.as_bytes());
        let mut index = self.decoy(name.as_bytes());
        let mut known = Choice::from(0);
        for (other, user) in (0..).zip(&self.users) {
            let found = user.name_sha.ct_eq(&name_sha);
            index.conditional_assign(&other, found);
            known |= found;
        }
        // There are users: the caller has checked that.
        let index = usize::try_from(index).unwrap_or_default();
        let hash = self.users[index].hash.clone();
        let digest = LoginDigest::new(&[name.as_bytes(), &hash.bytes(), &password]);
        Login { user: bool::from(known).then_some(index), digest, hash, password }
    }

    /// Returns the index of the user whose hash stands in for that of an unknown user.
    fn decoy(&self, name: &[u8]) -> u64 {
        let mut digest = Sha256::new();
        for user in &self.users {
            digest.update(user.hash.bytes());
        }
        digest.update(name);
        let [a, b, c, d, e, f, g, h, ..] = Sha::from(digest.finalize());
        let users = u64::try_from(self.users.len()).unwrap_or(u64::MAX).max(1);
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % users
    }
}

impl Login {
    /// Returns the index of the user if the user exists and the password is right. Takes as long as bcrypt in all
    /// cases.
    pub(super) fn verify(&self) -> Option<usize> {
        // The password may match the stand-in hash of another user, which must not admit an unknown user.
        let is_right = self.hash.verify(&self.password);
        self.user.filter(|_| is_right)
    }
}

/// Checks that this text is a bcrypt hash that the server can use.
#[cfg(any(feature = "web-config", test))]
pub(crate) fn check_hash(text: &str) -> Result<(), UnusableHash> {
    text.parse::<Hash>().map(drop)
}

fn sha(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// Omits the names too, because people type their password as the user name.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Credentials { tokens, users, faults } = self;
        f.debug_struct("Credentials")
            .field("tokens", &tokens.len())
            .field("users", &users.len())
            .field("faults", &faults.len())
            .finish()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
