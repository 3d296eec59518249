//! The default collector of the runtime in which a server is bound.

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::runtime::Handle;

use super::RuntimeCollector;
use super::scheduling_delay::DelayMonitor;
use crate::collector::default_collector::DefaultCollector;
use crate::collector::family::registry_of;

/// The watched runtime, if there is one, and its scheduling delay.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watched: OnceCell<Watched>,
    delay: Mutex<Delay>,
}

/// The state of the measurement of the scheduling delay.
#[derive(Debug, Default)]
enum Delay {
    #[default]
    Unmeasured,
    Measured(DelayMonitor),
    Ended,
}

#[derive(Debug)]
struct Watched {
    runtime: Handle,
    /// A private registry, because the crate registers nothing into other registries.
    registry: Registry,
}

pub(in crate::collector) fn by_default() -> Box<dyn DefaultCollector> {
    Box::new(Watch::default())
}

impl DefaultCollector for Watch {
    /// Watches the first runtime. Later ones are ignored.
    fn watch(&self, runtime: &Handle) {
        self.watched.get_or_init(|| Watched {
            runtime: runtime.clone(),
            registry: registry_of(RuntimeCollector::new(runtime)),
        });
    }

    /// Returns the metrics of the watched runtime, if there is one.
    fn registry(&self) -> Option<&Registry> {
        self.watched.get().map(|watched| &watched.registry)
    }

    /// Wakes a task on the watched runtime, which measures the time until it runs.
    ///
    /// Must be called once a second, from a thread that a blocked runtime does not delay.
    fn tick(&self) {
        let Some(Watched { runtime, registry }) = self.watched.get() else { return };
        let mut delay = self.delay.lock();
        match &*delay {
            Delay::Unmeasured => {
                *delay = DelayMonitor::begin(runtime, registry).map_or(Delay::Ended, Delay::Measured)
            }
            Delay::Measured(running) => running.tick(),
            Delay::Ended => {}
        }
    }

    /// Ends the task. It does not start again.
    fn end(&self) {
        let ended = std::mem::replace(&mut *self.delay.lock(), Delay::Ended);
        drop(ended);
    }
}
