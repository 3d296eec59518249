//! The host program's runtimes.

use std::sync::OnceLock;

use tokio::runtime::Handle;

use crate::collector::DefaultCollectors;

/// The runtime of hooks and probes, and the runtime that the default collectors watch.
#[derive(Debug, Default)]
pub(crate) struct HostRuntimes {
    hooks: OnceLock<Handle>,
    watched: DefaultCollectors,
}

impl HostRuntimes {
    pub(crate) fn new(watched: DefaultCollectors) -> Self {
        HostRuntimes { hooks: OnceLock::new(), watched }
    }

    /// Makes hooks and probes run on the current runtime, if there is one and none was set before.
    pub(crate) fn run_hooks_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.hooks.get_or_init(|| runtime);
        }
    }

    /// Makes the default collectors watch the current runtime, if there is one and they watch none.
    pub(crate) fn watch_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.watched.watch(&runtime);
        }
    }

    /// Returns the runtime of hooks and probes, if it is set.
    pub(crate) fn runtime_of_hooks(&self) -> Option<&Handle> {
        self.hooks.get()
    }

    pub(crate) fn default_collectors(&self) -> &DefaultCollectors {
        &self.watched
    }
}
