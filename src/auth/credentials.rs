//! Which credentials are accepted: bearer tokens, and users with passwords. Nothing here can be turned back into what a client
//! must send, except the one password that is being verified.

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

/// The credentials that are accepted.
///
/// Passwords and tokens are not wiped from memory: they come in a request head, of which there are more copies.
#[derive(Default)]
pub(crate) struct Credentials {
    tokens: Vec<Sha>,
    users: Vec<User>,
    /// What cannot be used, beginning with the option's name.
    faults: Vec<String>,
}

struct User {
    name: String,
    name_sha: Sha,
    hash: Hash,
}

/// What a request's `Authorization` is, as far as that can be said without bcrypt.
#[derive(Debug)]
pub(super) enum Evaluation {
    /// Missing, or unreadable.
    Missing,
    /// A token that is accepted.
    Accepted,
    /// Wrong at first sight.
    Wrong,
    /// A password, which takes long to verify.
    Login(Login),
}

/// A name and a password that have yet to be verified.
pub(super) struct Login {
    /// The index of the user; unknown users have none.
    pub(super) user: Option<usize>,
    /// The key of the login cache.
    pub(super) digest: LoginDigest,
    hash: Hash,
    password: Vec<u8>,
}

impl Credentials {
    /// Accepts this token, of which the digest is kept.
    pub(crate) fn add_token(&mut self, token: &[u8]) {
        if authorization::is_b64token(token) {
            self.tokens.push(sha(token));
        } else {
            let reason = "a token consists of ASCII letters, digits and -._~+/, with = at its end only (RFC 6750, section \
                          2.1): no client can send this one. A newline at the end of a file is not part of the token";
            self.faults.push(format!("bearer_token: {reason}"));
        }
    }

    /// Accepts this user with the password of which this is the bcrypt hash.
    pub(crate) fn add_user(&mut self, name: &str, hash: &str) {
        // The hash is in no message: a password given in its place would be.
        let fault = if name.contains(':') || name.chars().any(char::is_control) {
            Some(
                "has a colon or a control character in its name, which no client can send (RFC 7617)"
                    .to_owned(),
            )
        } else if self.users.iter().any(|user| user.name == name) {
            Some("is there twice".to_owned())
        } else {
            match hash.parse() {
                Ok(hash) => {
                    self.users.push(User { name: name.to_owned(), name_sha: sha(name.as_bytes()), hash });
                    None
                }
                Err(error @ UnusableHash::TooCostly(_)) => Some(format!("has {error}")),
                Err(error) => Some(format!("has no bcrypt hash: {error}")),
            }
        };
        self.faults.extend(fault.map(|fault| format!("basic_auth: user {name:?} {fault}")));
    }

    /// What can not be used, beginning with the option's name.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether credentials are asked for. They are also if nobody has any because all that were given have a fault.
    pub(crate) fn are_required(&self) -> bool {
        !(self.tokens.is_empty() && self.users.is_empty() && self.faults.is_empty())
    }

    /// Whether nobody can log in, because all credentials that were given have a fault.
    #[cfg(any(feature = "web-config", test))]
    pub(crate) fn admit_nobody(&self) -> bool {
        self.are_required() && self.tokens.is_empty() && self.users.is_empty()
    }

    /// How many users there are.
    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// The values of `WWW-Authenticate`, each for a line of its own: some clients cannot read a list of them.
    pub(super) fn challenges(&self) -> impl Iterator<Item = String> {
        // A 401 has at least one (RFC 9110, section 15.5.2).
        let basic = !self.users.is_empty();
        let bearer = !self.tokens.is_empty() || !basic;
        // RFC 6750, section 3, and RFC 7617, section 2.1.
        let bearer = bearer.then(|| format!("Bearer realm=\"{REALM}\""));
        bearer.into_iter().chain(basic.then(|| format!("Basic realm=\"{REALM}\", charset=\"UTF-8\"")))
    }

    /// Evaluates the lines of `Authorization`.
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

    /// Digests are compared, and all of them, so that the time tells neither which nor how much of it was right.
    fn accepts(&self, token: &[u8]) -> bool {
        let given = sha(token);
        let accepted = |any: Choice, token: &Sha| any | token.ct_eq(&given);
        self.tokens.iter().fold(Choice::from(0), accepted).into()
    }

    /// An unknown user is verified against the hash of a known one, in vain, and so costs as much.
    ///
    /// The name decides which one, together with the hashes, which only we know: if they differ in cost, an unknown name costs
    /// as much as some user, and the same each time, also after a restart. One cost for all unknown names would tell them from
    /// users whose hash has another.
    fn login(&self, name: &str, password: Vec<u8>) -> Login {
        let name_sha = sha(name.as_bytes());
        let mut index = self.decoy(name.as_bytes());
        let mut known = Choice::from(0);
        for (other, user) in (0..).zip(&self.users) {
            let found = user.name_sha.ct_eq(&name_sha);
            index.conditional_assign(&other, found);
            known |= found;
        }
        // There are users, or there would be no login.
        let index = usize::try_from(index).unwrap_or_default();
        let hash = self.users[index].hash.clone();
        let digest = LoginDigest::new(&[name.as_bytes(), &hash.bytes(), &password]);
        Login { user: bool::from(known).then_some(index), digest, hash, password }
    }

    /// The index of the user whose hash an unknown user of this name is verified against.
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
    /// The index of the user, if there is this user and this is the password. Takes as long as bcrypt does, also if not.
    pub(super) fn verify(&self) -> Option<usize> {
        // An unknown user may have the password of the known one whose hash stands in for theirs.
        let is_right = self.hash.verify(&self.password);
        self.user.filter(|_| is_right)
    }
}

/// Checks that passwords can be verified against this text.
#[cfg(any(feature = "web-config", test))]
pub(crate) fn check_hash(text: &str) -> Result<(), UnusableHash> {
    text.parse::<Hash>().map(drop)
}

fn sha(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// No names either: people type their password where the name belongs.
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
