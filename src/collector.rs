//! Collectors to put beside yours: what a Go or a Python program tells without a further line.
//!
//! The default registry is served with them ([`Builder::default_collectors`](crate::Builder::default_collectors)); into
//! any other registry they can be registered as any collector can.
//!
//! And [`samples()`], which makes a collector from a closure: for values that are copied from elsewhere.

mod build_info;
mod defaults;
mod family;
mod left_out;
#[cfg_attr(not(feature = "process"), path = "collector/process/disabled.rs")]
mod process;
#[cfg_attr(not(feature = "runtime"), path = "collector/runtime/disabled.rs")]
mod runtime;
mod samples;

use prometheus::Registry;
use prometheus::core::Collector;

pub use build_info::BuildInfo;
#[cfg(feature = "process")]
pub use process::ProcessCollector;
#[cfg(feature = "runtime")]
pub use runtime::{DEFAULT_RUNTIME_NAME, RuntimeCollector};
pub use samples::{Sample, Samples, SamplesCollector, samples};

pub(crate) use defaults::DefaultCollectors;
pub(crate) use family::by_series;
pub(crate) use left_out::{keep_what_is_left_out, take_first_left_out, take_left_out};

/// A registry with this collector alone: nothing is registered into one that is not ours.
#[expect(clippy::expect_used, reason = "names that are constant or made valid, in a registry of their own")]
pub(crate) fn registry_of(collector: impl Collector + 'static) -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(collector)).expect("valid names, registered once");
    registry
}
