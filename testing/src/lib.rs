//! What the tests of the crate, those of its library and the faults share.

pub mod alone;
pub mod client;
pub mod collectors;
pub mod port;
pub mod process;
pub mod scratch;
#[cfg(target_os = "linux")]
pub mod usage;
