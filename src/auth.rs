//! Credentials, the limit of failed logins, and rate limits.

#[cfg(feature = "auth")]
pub(crate) mod authenticator;
#[cfg(feature = "auth")]
pub(crate) mod credentials;
#[cfg(feature = "auth")]
mod failed_logins;
pub(crate) mod grants;
#[cfg(feature = "auth")]
mod login_cache;
#[cfg(feature = "auth")]
mod login_queue;
pub(crate) mod rate_limit;
