//! Runtimes as hosts have them.

/// The host's runtime, as most tests want it.
pub(crate) fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
