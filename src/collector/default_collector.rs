//! What a collector must do to come with the default registry.

use std::fmt;

use prometheus::Registry;
use tokio::runtime::Handle;

pub(crate) trait DefaultCollector: fmt::Debug + Send + Sync {
    /// A private registry, because nothing is ever registered into one that is not ours. None if there is nothing to tell.
    fn registry(&self) -> Option<&Registry>;

    /// The runtime of the host program. The first one counts.
    fn watch(&self, _runtime: &Handle) {}

    /// Called once a second, from a thread that the runtime does not keep waiting.
    fn tick(&self) {}

    /// The server ends.
    fn end(&self) {}
}
