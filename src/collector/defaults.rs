//! The collectors that come with the default registry.

use prometheus::Registry;
use tokio::runtime::Handle;

use super::{process, runtime::Watch};

/// What there is of them: made when they are needed, those of the process once for all servers.
#[derive(Debug, Default)]
pub(crate) struct DefaultCollectors {
    runtime: Watch,
}

impl DefaultCollectors {
    /// Watches this runtime, unless there is one already.
    pub(crate) fn watch(&self, runtime: &Handle) {
        self.runtime.watch(runtime);
    }

    /// Their registries, which are private: nothing is registered into one that is not ours.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &Registry> {
        process::registry().into_iter().chain(self.runtime.registry())
    }

    /// Measures how long the runtime keeps a ready task waiting. To be called once a second.
    pub(crate) fn tick(&self) {
        self.runtime.tick();
    }

    /// Ends that measurement.
    pub(crate) fn end(&self) {
        self.runtime.end();
    }
}
