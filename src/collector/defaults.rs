//! The collectors that are served with the default registry.

use prometheus::Registry;
use tokio::runtime::Handle;

use super::default_collector::DefaultCollector;
#[cfg(feature = "process")]
use super::process;
#[cfg(feature = "runtime")]
use super::runtime;

const ALL: &[fn() -> Box<dyn DefaultCollector>] = &[
    #[cfg(feature = "process")]
    process::by_default,
    #[cfg(feature = "runtime")]
    runtime::by_default,
];

/// The default collectors of a server. None by default.
#[derive(Debug, Default)]
pub(crate) struct DefaultCollectors(Vec<Box<dyn DefaultCollector>>);

impl DefaultCollectors {
    /// Returns the collectors of the enabled features.
    pub(crate) fn all() -> Self {
        DefaultCollectors(ALL.iter().map(|make| make()).collect())
    }

    pub(crate) fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.0.iter().filter_map(|collector| collector.registry())
    }

    pub(crate) fn watch(&self, runtime: &Handle) {
        self.0.iter().for_each(|collector| collector.watch(runtime));
    }

    pub(crate) fn tick(&self) {
        self.0.iter().for_each(|collector| collector.tick());
    }

    pub(crate) fn end(&self) {
        self.0.iter().for_each(|collector| collector.end());
    }
}
