//! Who may ask: verdicts as functions of their arguments. What knows the time, waits or computes for long is elsewhere.

mod crowd;
mod hosts;
mod network;
mod rate;

#[cfg(feature = "auth")]
pub(crate) mod credentials;
#[cfg(not(feature = "auth"))]
#[path = "access/credentials/disabled.rs"]
pub(crate) mod credentials;

pub(crate) use crowd::{Crowd, Place};
pub(crate) use hosts::Hosts;
pub(crate) use network::{AllowList, Network};
pub(crate) use rate::{RateLimit, whole_seconds};

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
