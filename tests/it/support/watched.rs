//! Watches whether a future is dropped.

use std::sync::mpsc::Sender;

/// Reports when a future starts, and when it is dropped.
pub(crate) struct Watched(Sender<&'static str>);

impl Watched {
    pub(crate) fn begin(tell: &Sender<&'static str>) -> Self {
        let _ = tell.send("begun");
        Watched(tell.clone())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}
