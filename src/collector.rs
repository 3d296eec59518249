//! Collectors to put beside yours: what a Go or a Python program tells without a further line.
//!
//! The default registry is served with them ([`Builder::default_collectors`](crate::Builder::default_collectors)); into
//! any other registry they can be registered as any collector can.

mod build_info;
mod defaults;
#[cfg(any(feature = "process", feature = "runtime"))]
mod family;
#[cfg(feature = "process")]
mod process;
#[cfg(not(feature = "process"))]
#[path = "collector/process/disabled.rs"]
mod process;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(not(feature = "runtime"))]
#[path = "collector/runtime/disabled.rs"]
mod runtime;

pub use build_info::BuildInfo;
#[cfg(feature = "process")]
pub use process::ProcessCollector;
#[cfg(feature = "runtime")]
pub use runtime::{DEFAULT_RUNTIME_NAME, RuntimeCollector};

pub(crate) use defaults::DefaultCollectors;
