//! Collectors to put beside yours: what a Go or a Python program tells without a further line.
//!
//! The default registry is served with them ([`Builder::default_collectors`](crate::Builder::default_collectors)); into
//! any other registry they can be registered as any collector can.
//!
//! And [`from_fn`] and [`try_from_fn()`], which make a collector from a closure: for values that are copied from elsewhere. And
//! [`exposition()`], which makes one from a text: for what other metrics libraries in the program write.

mod build_info;
mod default_collector;
mod defaults;
mod exposition;
mod family;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "runtime")]
mod runtime;
mod samples;
mod skipped;
mod try_from_fn;

pub use build_info::BuildInfo;
pub use exposition::{Exposition, exposition};
#[cfg(feature = "process")]
pub use process::ProcessCollector;
#[cfg(feature = "runtime")]
pub use runtime::RuntimeCollector;
pub use samples::{FromFn, Samples, from_fn};
pub use try_from_fn::{TryFromFn, try_from_fn};

pub(crate) use defaults::DefaultCollectors;
pub(crate) use family::{by_series, registry_of};
pub(crate) use samples::is_metric_name;
pub(crate) use skipped::{Logged, keep_skipped, take_first_skipped, take_skipped};
