//! What the server knows of the host program's runtimes.

use std::sync::OnceLock;

use tokio::runtime::Handle;

use crate::collector::DefaultCollectors;

/// Where hooks and probes run, and what the default collectors watch.
#[derive(Debug, Default)]
pub(crate) struct Host {
    hooks: OnceLock<Handle>,
    watched: DefaultCollectors,
}

impl Host {
    pub(crate) fn new(watched: DefaultCollectors) -> Self {
        Host { hooks: OnceLock::new(), watched }
    }

    /// Lets hooks and probes run on the runtime around this call, if there is one and they have none.
    pub(crate) fn run_hooks_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.hooks.get_or_init(|| runtime);
        }
    }

    /// Lets the default collectors watch the runtime around this call, if there is one and they watch none.
    pub(crate) fn watch_here(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.watched.watch(&runtime);
        }
    }

    /// Returns where hooks and probes run, once it is known.
    pub(crate) fn runtime_of_hooks(&self) -> Option<&Handle> {
        self.hooks.get()
    }

    pub(crate) fn default_collectors(&self) -> &DefaultCollectors {
        &self.watched
    }
}
