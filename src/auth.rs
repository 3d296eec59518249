//! Credentials: who is known, who failed too often, and how often anybody may ask.

#[cfg_attr(not(feature = "auth"), path = "auth/authenticator/disabled.rs")]
pub(crate) mod authenticator;
#[cfg_attr(not(feature = "auth"), path = "auth/credentials/disabled.rs")]
pub(crate) mod credentials;
pub(crate) mod grants;
pub(crate) mod rate_limit;

use std::time::Duration;

/// What credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admitted,
    /// 401
    Unauthorized,
    /// 429
    TooMany {
        retry_after: Duration,
    },
}
