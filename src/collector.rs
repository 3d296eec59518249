//! Collectors to use in addition to yours.
//!
//! * The collector of the process has the metrics `process_*` of the Go and Python clients, that of a tokio runtime has
//!   `tokio_*`. The server serves them with the default registry
//!   ([`Builder::default_collectors`](crate::Builder::default_collectors)). You can register them into any other
//!   registry.
//! * [`from_fn()`] and [`try_from_fn()`] return a collector that calls a closure, which copies values from elsewhere.
//! * [`exposition()`] returns a collector that reads the exposition of another metrics library in your program.

mod build_info;
mod default_collector;
mod defaults;
mod exposition;
mod family;
mod from_fn;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "runtime")]
mod runtime;
mod samples;
mod skipped;

pub use build_info::BuildInfo;
pub use exposition::{Exposition, exposition};
pub use from_fn::{FromFn, from_fn, try_from_fn};
#[cfg(feature = "process")]
pub use process::ProcessCollector;
#[cfg(feature = "runtime")]
pub use runtime::RuntimeCollector;
pub use samples::Samples;

pub(crate) use defaults::DefaultCollectors;
pub(crate) use family::{by_series, registry_of};
pub(crate) use skipped::{Logged, keep_skipped, take_first_skipped, take_skipped};
