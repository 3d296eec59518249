//! What a version of the file keeps others out with, compared with what a newer one does. Reads no file and no clock.
//!
//! A file that was cut, emptied or overwritten by mistake is well-formed more often than not, so that a newer version
//! which asks for less needs a restart, and so does one that admits nobody. One that asks somebody else is a change like
//! any other.

use super::{Loaded, Secret};
use crate::auth::credentials::Credentials;
use crate::net::tls::ClientAuth;

/// What a version keeps others out with.
pub(crate) struct Protection {
    tls: Option<Clients>,
    users: Vec<(String, Secret)>,
    /// Whether there are users, and none of them can log in.
    admits_nobody: bool,
    limits_rate: bool,
}

/// Which clients a TLS handshake lets in.
#[derive(PartialEq, Eq)]
struct Clients {
    auth: ClientAuth,
    ca: Option<Vec<u8>>,
    /// Any if there are none.
    allowed_sans: Vec<String>,
}

impl Protection {
    /// Returns that of a version whose users have these credentials.
    pub(crate) fn of(loaded: &Loaded, credentials: &Credentials) -> Protection {
        let Loaded { config, pem } = loaded;
        let clients = config.tls.as_ref().map(|tls| Clients {
            auth: tls.client_auth,
            ca: pem.as_ref().and_then(|pem| pem.client_ca.clone()),
            allowed_sans: tls.client_allowed_sans.clone(),
        });
        Protection {
            tls: clients,
            users: config.users.clone(),
            admits_nobody: credentials.admit_nobody(),
            limits_rate: config.rate_limit.is_some(),
        }
    }

    /// Why `new` may not take this one's place, if it may not.
    pub(crate) fn refuses(&self, new: &Protection) -> Option<&'static str> {
        let (old_tls, new_tls) = match (&self.tls, &new.tls) {
            (Some(_), None) => return Some("tls_server_config: no longer configures TLS"),
            (None, Some(_)) => {
                return Some("tls_server_config: configures TLS, which the server began without");
            }
            (Some(old), Some(new)) => (Some(old), Some(new)),
            (None, None) => (None, None),
        };
        let loses = |has: fn(&Clients) -> bool| old_tls.is_some_and(has) && !new_tls.is_some_and(has);
        let table = [
            (
                loses(|clients| clients.auth.is_mandatory()),
                "client_auth_type: no longer demands a client certificate",
            ),
            (
                loses(|clients| clients.auth.is_verified()),
                "client_auth_type: no longer verifies client certificates by a CA",
            ),
            (
                loses(|clients| !clients.allowed_sans.is_empty()),
                "client_allowed_sans: no longer names the clients that are allowed",
            ),
            (!self.users.is_empty() && new.users.is_empty(), "basic_auth_users: no longer has a user"),
            (!self.admits_nobody && new.admits_nobody, "basic_auth_users: none of the users can log in"),
            (self.limits_rate && !new.limits_rate, "rate_limit: no longer limits requests"),
        ];
        table.into_iter().find_map(|(refused, why)| refused.then_some(why))
    }

    /// Whether `new` may keep somebody out whom this one has let in: other demands on client certificates, or a user who is
    /// gone or has another password.
    pub(crate) fn is_revoked_by(&self, new: &Protection) -> bool {
        self.tls != new.tls || self.users.iter().any(|user| !new.users.contains(user))
    }

    /// Whether both have the same users with the same passwords.
    pub(crate) fn has_users_of(&self, other: &Protection) -> bool {
        self.users == other.users
    }
}
