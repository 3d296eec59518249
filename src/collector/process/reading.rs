//! The values that a system provides about a process.

use once_cell::sync::OnceCell;
use parking_lot::Mutex;

/// The values that are kept because a later reading can fail or differ.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The first start time, because a later one differs if the clock is set.
    pub(super) start_time: OnceCell<f64>,
    /// The last limits. Without a free descriptor no file can be read, and then the limits are needed most.
    pub(super) limits: Mutex<String>,
}

/// The values of the process. `None` is a value that the system does not provide.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) virtual_bytes: Option<f64>,
    pub(super) virtual_max_bytes: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
    pub(super) start_time_seconds: Option<f64>,
    pub(super) threads: Option<f64>,
}
