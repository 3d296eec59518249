//! An engine that runs, for those who wait for its end.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::mpsc::Receiver;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// An engine that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) runtime: Handle,
    /// Cancelled when the engine has ended.
    pub(super) stopped: CancellationToken,
    /// Disconnected at the same moment, for those who block.
    pub(super) end: Mutex<Receiver<Infallible>>,
    pub(super) id: usize,
}

impl Running {
    /// The engine's own runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Cancelled when the engine has ended: its runtime is gone, and at most a gather that hangs is left of it.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Blocks until the engine has ended; on one of its own threads, where that would wait for itself, returns false at once.
    pub(crate) fn join(&self) -> bool {
        if OF_ENGINE.get() == self.id {
            return false;
        }
        let end = self.end.lock();
        // An error, for nothing is ever sent.
        let _ = end.recv();
        true
    }
}

thread_local! {
    /// Of which engine this thread is: the address of its state; 0 is none.
    pub(super) static OF_ENGINE: Cell<usize> = const { Cell::new(0) };
}
