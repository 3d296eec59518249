//! The interface of the collectors that are served with the default registry.

use std::fmt;

use prometheus::Registry;
use tokio::runtime::Handle;

pub(crate) trait DefaultCollector: fmt::Debug + Send + Sync {
    /// Returns a private registry, because the crate registers nothing into registries of the host program. Returns
    /// `None` if there are no metrics.
    fn registry(&self) -> Option<&Registry>;

    /// Passes the runtime of the host program. Only the first call has an effect.
    fn watch(&self, _runtime: &Handle) {}

    /// Starts a measurement. The server calls it once a second, from a thread that a blocked runtime does not delay.
    fn tick(&self) {}

    /// Stops measuring, because the server ends.
    fn end(&self) {}
}
