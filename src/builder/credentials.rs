//! Options of tokens and users.

use std::sync::Arc;

use super::Builder;
use super::options::access::CredentialOptions;
use crate::auth::authenticator::Authenticator;
use crate::auth::credentials::Credentials;
use crate::http::access::Authenticate;
use crate::telemetry::Telemetry;

impl Builder {
    /// Admits clients that send this token (RFC 6750); repeatable, so that one can replace another.
    ///
    /// A token consists of ASCII letters, digits and `-._~+/`, with `=` only at its end. Make it long and random. The server
    /// keeps a digest and compares in constant time. A client with a wrong token, or none, gets a 401. With
    /// [`basic_auth`](Self::basic_auth) either is enough. `/-/healthy` and `/-/ready` stay open; see
    /// [`auth_for_health`](Self::auth_for_health). Without TLS anybody on the way can read the token.
    ///
    /// Default: none, and everybody is admitted.
    pub fn bearer_token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.credentials().add_token(token.as_ref());
        self
    }

    /// Admits this user (RFC 7617) with the password of this bcrypt hash; repeatable. `htpasswd -nBC 10 USER` makes a hash.
    ///
    /// Passwords are verified on a thread of their own, one at a time, and at most eight logins wait. Beyond that, and after ten wrong
    /// passwords from one address, the response is a 429 with `Retry-After`. A login that succeeded is remembered as a digest, and is
    /// free from then on for the addresses that it came from. An unknown user takes as long as a known one.
    ///
    /// The cost of the hash is at most 16, which takes about four seconds. A higher one is an error of [`bind`](Self::bind).
    ///
    /// Default: none, and everybody is admitted.
    pub fn basic_auth(mut self, user: impl AsRef<str>, bcrypt_hash: impl AsRef<str>) -> Self {
        self.credentials().add_user(user.as_ref(), bcrypt_hash.as_ref());
        self
    }

    fn credentials(&mut self) -> &mut dyn CredentialOptions {
        &mut **self.access.credentials.get_or_insert_with(|| Box::<Credentials>::default())
    }
}

impl CredentialOptions for Credentials {
    fn add_token(&mut self, token: &[u8]) {
        self.add_token(token);
    }

    fn add_user(&mut self, name: &str, hash: &str) {
        self.add_user(name, hash);
    }

    fn faults(&self) -> &[String] {
        &self.faults
    }

    fn authenticator(self: Box<Self>, telemetry: &Arc<Telemetry>) -> Option<Arc<dyn Authenticate>> {
        Authenticator::of(*self, telemetry).map(|authenticator| authenticator as _)
    }
}
