//! What several layers need and none owns.

pub(crate) mod io_error;
pub(crate) mod limits;
#[cfg(feature = "tls")]
pub(crate) mod reload;
pub(crate) mod task;
pub(crate) mod throttle;
pub(crate) mod unwind;
pub(crate) mod worker;

use std::error::Error;

/// What a hook, or a function of [`collector::exposition`](crate::collector::exposition), may fail with: any error.
pub type BoxError = Box<dyn Error + Send + Sync>;
