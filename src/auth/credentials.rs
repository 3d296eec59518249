//! Which credentials open the door: bearer tokens and users with passwords. Nothing here can be turned back into what a
//! client must send, but for the one password that is being verified.

mod authorization;
mod base64;
mod failures;
mod password;
mod remembered;

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

pub(crate) use failures::{Failures, Origin};
pub(crate) use password::Verification;
pub(crate) use remembered::{Entry, Known, Remembered};

use authorization::Presented;
use password::Hash;

/// What `WWW-Authenticate` calls that which is locked.
const REALM: &str = "metrics";

type Sha = [u8; 32];

/// The credentials that are accepted.
///
/// Passwords and tokens are not wiped from memory: they come in a request head, of which there are more copies.
#[derive(Default)]
pub(crate) struct Keyring {
    tokens: Vec<Sha>,
    users: Vec<User>,
    /// What can not be used, beginning with the option's name.
    faults: Vec<String>,
}

struct User {
    name: String,
    name_sha: Sha,
    hash: Hash,
}

/// What a request's `Authorization` is worth.
pub(crate) enum Claim {
    /// It says nothing, or nothing that can be read.
    None,
    /// A token that is accepted.
    Proven,
    /// A guess that is wrong at first sight.
    Wrong,
    /// A password, which takes long to verify.
    Login(Login),
}

/// A name and a password whose worth is not known yet.
pub(crate) struct Login {
    /// The place of the user in the keyring; unknown users have none.
    pub(crate) user: Option<usize>,
    /// By which a success is remembered.
    pub(crate) entry: Entry,
    pub(crate) verification: Verification,
}

impl Keyring {
    /// Accepts this token, of which the digest is kept.
    pub(crate) fn push_token(&mut self, token: &[u8]) {
        if authorization::is_b64token(token) {
            self.tokens.push(sha(token));
        } else {
            let reason = "a token consists of ASCII letters, digits and -._~+/, with = at its end only (RFC 6750, section \
                          2.1): no client can send this one. A newline at the end of a file is not part of the token";
            self.faults.push(format!("bearer_token: {reason}"));
        }
    }

    /// Accepts this user with the password of which this is the bcrypt hash.
    pub(crate) fn push_user(&mut self, name: &str, hash: &str) {
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
                Err(error) => Some(format!("has no bcrypt hash: {error}")),
            }
        };
        self.faults.extend(fault.map(|fault| format!("basic_auth: user {name:?} {fault}")));
    }

    /// What can not be used, beginning with the option's name.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether there is a lock at all. There is one also if nothing opens it because all that was given has a fault.
    pub(crate) fn is_locked(&self) -> bool {
        !(self.tokens.is_empty() && self.users.is_empty() && self.faults.is_empty())
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    /// The values of `WWW-Authenticate`, each for a line of its own: there are clients that can not read a list of them.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = String> {
        // A 401 has at least one (RFC 9110, section 15.5.2).
        let basic = !self.users.is_empty();
        let bearer = !self.tokens.is_empty() || !basic;
        // RFC 6750, section 3, and RFC 7617, section 2.1.
        let bearer = bearer.then(|| format!("Bearer realm=\"{REALM}\""));
        bearer.into_iter().chain(basic.then(|| format!("Basic realm=\"{REALM}\", charset=\"UTF-8\"")))
    }

    /// What the lines of `Authorization` are worth.
    pub(crate) fn judge<'h>(&self, lines: impl Iterator<Item = &'h [u8]>) -> Claim {
        match authorization::read(lines) {
            Presented::Nothing => Claim::None,
            Presented::Bearer(token) if self.accepts(token) => Claim::Proven,
            Presented::Basic { user, password } if !self.users.is_empty() => {
                Claim::Login(self.login(&user, &password))
            }
            Presented::Bearer(_) | Presented::Basic { .. } => Claim::Wrong,
        }
    }

    /// Digests are compared, and all of them, so that time tells neither which nor how much of it was right.
    fn accepts(&self, token: &[u8]) -> bool {
        let given = sha(token);
        let accepted = |any: Choice, token: &Sha| any | token.ct_eq(&given);
        self.tokens.iter().fold(Choice::from(0), accepted).into()
    }

    /// An unknown user is verified against the hash of a known one, in vain, and so costs what that one costs.
    ///
    /// Which one, the name decides, together with what only we know: if users' hashes cost differently, an unknown name
    /// costs what some user's costs, the same each time, also after a restart. One cost for all who are unknown would tell
    /// them from those whose hash costs something else.
    fn login(&self, name: &str, password: &str) -> Login {
        let name_sha = sha(name.as_bytes());
        let mut place = self.decoy(name.as_bytes());
        let mut known = Choice::from(0);
        for (index, user) in (0..).zip(&self.users) {
            let found = user.name_sha.ct_eq(&name_sha);
            place.conditional_assign(&index, found);
            known |= found;
        }
        // One of theirs: there are users, or there would be no login.
        let place = usize::try_from(place).unwrap_or_default();
        let hash = &self.users[place].hash;
        Login {
            user: bool::from(known).then_some(place),
            entry: Entry::new(&[name.as_bytes(), &hash.bytes(), password.as_bytes()]),
            verification: Verification::new(hash.clone(), password.as_bytes()),
        }
    }

    /// The place of the user whose hash an unknown user of this name is verified against.
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

/// Whether passwords can be verified against this text.
pub(crate) fn is_hash(text: &str) -> bool {
    text.parse::<Hash>().is_ok()
}

fn sha(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// No names either: people type their password where the name belongs.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keyring { tokens, users, faults } = self;
        f.debug_struct("Keyring")
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

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Claim::None => "None",
            Claim::Proven => "Proven",
            Claim::Wrong => "Wrong",
            Claim::Login(_) => "Login",
        })
    }
}

#[cfg(test)]
mod tests;
