//! What a system tells of a process.

use once_cell::sync::OnceCell;
use parking_lot::Mutex;

/// What was read once, for when it can not be read again.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// It moves whenever the clock is set.
    pub(super) start_time: OnceCell<f64>,
    /// The last ones: without a free descriptor no file can be read, and then these are wanted most.
    pub(super) limits: Mutex<String>,
}

/// What the system says about the process, as far as it does.
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
