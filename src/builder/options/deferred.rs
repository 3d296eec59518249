//! A closure that `bind` calls.

use std::fmt;

/// What an option does once the server is bound. A feature's types are inside of the closure, so that nothing else needs to
/// know whether the feature is there.
pub(crate) struct Deferred<F: ?Sized>(pub(crate) Box<F>);

impl<F: ?Sized> fmt::Debug for Deferred<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
