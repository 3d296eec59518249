//! Without the feature `runtime` no runtime is watched. This keeps its absence out of everything else.

use prometheus::Registry;
use tokio::runtime::Handle;

/// Watches nothing.
#[derive(Debug, Default)]
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn watch(&self, _: &Handle) {}

    pub(crate) fn registry(&self) -> Option<&Registry> {
        None
    }

    pub(crate) fn tick(&self) {}

    pub(crate) fn end(&self) {}
}
