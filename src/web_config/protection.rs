//! The protections of a version of the file, and their comparison with a newer version. Reads no file and no clock.
//!
//! A file that was truncated, emptied or overwritten by mistake is often well-formed. So a version with fewer
//! protections needs a restart, and so does one that admits no user. A version with other users or clients is a
//! normal change.

use super::{LoadedConfig, RateLimit, Secret};
use crate::auth::credentials::Credentials;
use crate::net::tls::ClientAuth;

/// The protections of a version.
pub(crate) struct Protection {
    tls: Option<Clients>,
    users: Vec<(String, Secret)>,
    /// Whether there are users, but none of them can log in.
    admits_nobody: bool,
    rate_limit: Option<RateLimit>,
}

/// The clients that a TLS handshake admits.
#[derive(PartialEq, Eq)]
struct Clients {
    auth: ClientAuth,
    ca: Option<Vec<u8>>,
    /// Empty: any name.
    allowed_sans: Vec<String>,
}

impl Protection {
    /// Returns the protections of a version whose users have these credentials.
    pub(crate) fn of(loaded: &LoadedConfig, credentials: &Credentials) -> Protection {
        let LoadedConfig { config, pem } = loaded;
        let clients = config.tls.as_ref().map(|tls| Clients {
            auth: tls.client_auth,
            ca: pem.as_ref().and_then(|pem| pem.client_ca.clone()),
            allowed_sans: tls.client_allowed_sans.clone(),
        });
        Protection {
            tls: clients,
            users: config.users.clone(),
            admits_nobody: credentials.admit_nobody(),
            rate_limit: config.rate_limit,
        }
    }

    /// Returns why `new` must not replace this version, if it must not.
    pub(crate) fn refuses(&self, new: &Protection) -> Option<&'static str> {
        let (old_tls, new_tls) = (self.tls.as_ref(), new.tls.as_ref());
        let loses = |has: fn(&Clients) -> bool| old_tls.is_some_and(has) && !new_tls.is_some_and(has);
        let table = [
            (old_tls.is_some() && new_tls.is_none(), "tls_server_config: no longer configures TLS"),
            (
                old_tls.is_none() && new_tls.is_some(),
                "tls_server_config: configures TLS, but the server started without it",
            ),
            (
                loses(|clients| clients.auth.is_mandatory()),
                "client_auth_type: no longer requires a client certificate",
            ),
            (
                loses(|clients| clients.auth.is_verified()),
                "client_auth_type: no longer verifies client certificates against a CA",
            ),
            (
                loses(|clients| !clients.allowed_sans.is_empty()),
                "client_allowed_sans: no longer lists allowed clients",
            ),
            (!self.users.is_empty() && new.users.is_empty(), "basic_auth_users: no longer has a user"),
            (!self.admits_nobody && new.admits_nobody, "basic_auth_users: none of the users can log in"),
            (self.rate_limit.is_some() && new.rate_limit.is_none(), "rate_limit: no longer limits requests"),
        ];
        table.into_iter().find_map(|(refused, why)| refused.then_some(why))
    }

    /// Returns whether `new` may reject a client or user that this version admits. It does if client certificates
    /// have other requirements, or if a user is gone or has another password.
    pub(crate) fn is_revoked_by(&self, new: &Protection) -> bool {
        self.tls != new.tls || self.users.iter().any(|user| !new.users.contains(user))
    }

    /// Returns whether both have the same users with the same passwords, in any order. No user occurs twice.
    pub(crate) fn has_users_of(&self, other: &Protection) -> bool {
        self.users.len() == other.users.len() && self.users.iter().all(|user| other.users.contains(user))
    }

    /// Returns whether both have the same rate limit.
    pub(crate) fn has_rate_limit_of(&self, other: &Protection) -> bool {
        self.rate_limit == other.rate_limit
    }
}
