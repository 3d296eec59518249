//! Shared code of the crate's tests, the library's tests and the faults.

pub mod alone;
pub mod client;
pub mod collectors;
pub mod port;
pub mod process;
pub mod scratch;
#[cfg(target_os = "linux")]
pub mod usage;
