//! How the child starts a server, and its properties.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::load::Load;
use crate::outcome::Outcome;

/// Makes the workload, including a counter of gathers, and starts the server.
pub(crate) type Prepare = fn(Load, &Gathers) -> Outcome<Launch>;

pub(crate) type Launch = Box<dyn FnOnce(SocketAddr) -> Outcome<Running>>;

pub(crate) type Stop = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>>>;

pub(crate) type Gathers = Arc<AtomicUsize>;

pub(crate) struct Running {
    /// If the server supports a stop.
    pub(crate) stop: Option<Stop>,
    /// Whether the server supports a collector that counts.
    pub(crate) counts: bool,
    /// The part of the start that made the workload.
    pub(crate) filling: Duration,
    /// Values that live as long as the server.
    pub(crate) _keep: Box<dyn Any>,
}

impl Running {
    pub(crate) fn new(keep: impl Any) -> Self {
        Self { stop: None, counts: true, filling: Duration::ZERO, _keep: Box::new(keep) }
    }

    pub(crate) fn stopped_by(stop: impl Future<Output = ()> + 'static) -> Self {
        Self { stop: Some(Box::new(|| Box::pin(stop))), ..Self::new(()) }
    }
}

/// Threads of the host program's tokio runtime.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Threads {
    One,
    Many,
}

/// Registers the workload, and a collector without families that counts gathers, in this version of
/// `prometheus`.
macro_rules! fill {
    ($prometheus:path, $registry:expr, $load:expr, $gathers:expr) => {{
        use std::sync::Arc;
        use std::sync::atomic::Ordering;

        use $prometheus::{
            core::{Collector, Desc},
            proto::MetricFamily,
        };

        struct Counting($crate::launch::Gathers);

        impl Collector for Counting {
            fn desc(&self) -> Vec<&Desc> {
                Vec::new()
            }

            fn collect(&self) -> Vec<MetricFamily> {
                self.0.fetch_add(1, Ordering::Relaxed);
                Vec::new()
            }
        }

        register!($prometheus, $load.families(), $registry);
        $registry.register(Box::new(Counting(Arc::clone($gathers))))?;
    }};
}
pub(crate) use fill;
