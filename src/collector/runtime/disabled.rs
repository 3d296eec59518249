//! Without the feature `runtime` no runtime is watched. This keeps its absence out of everything else.

use std::future;

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

    pub(crate) async fn probe(&self) {
        future::pending().await
    }
}
