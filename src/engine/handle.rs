//! A handle of a running engine, to wait for its end.

use std::cell::Cell;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::util::unwind::caught;

/// A running engine.
#[derive(Debug)]
pub(crate) struct EngineHandle {
    pub(super) runtime: Handle,
    pub(super) end: Arc<End>,
    pub(super) id: usize,
}

impl EngineHandle {
    /// Returns the engine's own runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Returns a token that is cancelled when the engine has ended. Its runtime is then gone, but a hanging gather
    /// may still run.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.end.stopped
    }

    /// Blocks until the engine has ended. Returns false at once on one of the engine's own threads, which would wait
    /// for itself.
    pub(crate) fn join(&self) -> bool {
        if OF_ENGINE.get() == self.id {
            return false;
        }
        let mut has_ended = self.end.has_ended.lock();
        while !*has_ended {
            self.end.changed.wait(&mut has_ended);
        }
        true
    }
}

/// The end of an engine. Tasks wait on the token, and blocking threads on the flag.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) stopped: CancellationToken,
    has_ended: Mutex<bool>,
    changed: Condvar,
}

/// Reports the end when it is dropped.
pub(super) struct ReportEnd(pub(super) Arc<End>);

impl Drop for ReportEnd {
    fn drop(&mut self) {
        // This runs the wakers of the host program's executor, which may panic.
        caught(|| self.0.stopped.cancel());
        *self.0.has_ended.lock() = true;
        self.0.changed.notify_all();
    }
}

thread_local! {
    /// Identifies the engine of this thread by the address of its state. 0 means none.
    pub(super) static OF_ENGINE: Cell<usize> = const { Cell::new(0) };
}
