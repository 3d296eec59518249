//! The host program's runtimes.

use std::sync::OnceLock;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::collector::DefaultCollectors;

/// The runtime of hooks and probes, and the runtime that the default collectors watch.
#[derive(Debug, Default)]
pub(crate) struct HostRuntimes {
    pub(super) hooks: OnceLock<Handle>,
    /// The engine's own runtime, if the host program has none. A failed start leaves one that is gone.
    engine: Mutex<Option<Handle>>,
    watched: DefaultCollectors,
}

impl HostRuntimes {
    pub(crate) fn new(watched: DefaultCollectors) -> Self {
        HostRuntimes { watched, ..HostRuntimes::default() }
    }

    /// Makes hooks and probes run on the current runtime, if there is one and none was set before.
    pub(crate) fn run_hooks_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.hooks.get_or_init(|| runtime);
        }
    }

    /// Makes hooks and probes run on the current runtime, which is the engine's, unless another one was set.
    pub(crate) fn run_hooks_on_engine(&self) {
        *self.engine.lock() = Handle::try_current().ok();
    }

    /// Makes the default collectors watch the current runtime, if there is one and they watch none.
    pub(crate) fn watch_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.watched.watch(&runtime);
        }
    }

    /// Returns the runtime of hooks and probes, if it is set.
    pub(crate) fn runtime_of_hooks(&self) -> Option<Handle> {
        self.hooks.get().cloned().or_else(|| self.engine.lock().clone())
    }

    pub(crate) fn default_collectors(&self) -> &DefaultCollectors {
        &self.watched
    }
}
