//! A handle of a running engine, to wait for its end.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::mpsc::Receiver;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A running engine.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) runtime: Handle,
    /// Cancelled when the engine has ended.
    pub(super) stopped: CancellationToken,
    /// Disconnected at the same moment. Blocking threads wait on it.
    pub(super) end: Mutex<Receiver<Infallible>>,
    pub(super) id: usize,
}

impl Running {
    /// Returns the engine's own runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Returns a token that is cancelled when the engine has ended. Its runtime is then gone, but a hanging gather
    /// may still run.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Blocks until the engine has ended. Returns false at once on one of the engine's own threads, which would wait
    /// for itself.
    pub(crate) fn join(&self) -> bool {
        if OF_ENGINE.get() == self.id {
            return false;
        }
        let end = self.end.lock();
        // Always an error, because nothing is ever sent.
        let _ = end.recv();
        true
    }
}

thread_local! {
    /// Identifies the engine of this thread by the address of its state. 0 means none.
    pub(super) static OF_ENGINE: Cell<usize> = const { Cell::new(0) };
}
