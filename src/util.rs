//! Helpers that several layers share.

pub(crate) mod error;
pub(crate) mod io_error;
pub(crate) mod limits;
#[cfg(feature = "tls")]
pub(crate) mod reload;
pub(crate) mod task;
pub(crate) mod texts;
pub(crate) mod throttle;
pub(crate) mod unwind;
pub(crate) mod worker;
