//! The runtime that a server watches by itself.

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::runtime::Handle;

use super::RuntimeCollector;
use super::scheduling_delay::Running;
use crate::collector::default_collector::DefaultCollector;
use crate::collector::family::registry_of;

/// The runtime that a server watches by itself, if there is one.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watched: OnceCell<Watched>,
    delay: Mutex<Delay>,
}

/// Whether the scheduling delay of the watched runtime is measured.
#[derive(Debug, Default)]
enum Delay {
    #[default]
    Unmeasured,
    Measured(Running),
    Ended,
}

#[derive(Debug)]
struct Watched {
    runtime: Handle,
    /// Private, for nothing is ever registered into a registry that we do not own.
    registry: Registry,
}

pub(in crate::collector) fn by_default() -> Box<dyn DefaultCollector> {
    Box::new(Watch::default())
}

impl DefaultCollector for Watch {
    /// The first runtime is watched; later ones are not.
    fn watch(&self, runtime: &Handle) {
        self.watched.get_or_init(|| Watched {
            runtime: runtime.clone(),
            registry: registry_of(RuntimeCollector::new(runtime)),
        });
    }

    /// What there is to tell, if a runtime is watched.
    fn registry(&self) -> Option<&Registry> {
        self.watched.get().map(|watched| &watched.registry)
    }

    /// Wakes a task on the watched runtime, which tells how long it then waits to run. To be called once a second, from a
    /// thread that the runtime does not keep waiting.
    fn tick(&self) {
        let Some(Watched { runtime, registry }) = self.watched.get() else { return };
        let mut delay = self.delay.lock();
        match &*delay {
            Delay::Unmeasured => {
                *delay = Running::begin(runtime, registry).map_or(Delay::Ended, Delay::Measured)
            }
            Delay::Measured(running) => running.tick(),
            Delay::Ended => {}
        }
    }

    /// Ends the task, for good.
    fn end(&self) {
        let ended = std::mem::replace(&mut *self.delay.lock(), Delay::Ended);
        drop(ended);
    }
}
