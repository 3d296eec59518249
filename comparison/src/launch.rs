//! How a server is started in the child, and what is known of it then.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::load::Load;
use crate::outcome::Outcome;

/// Makes the workload, with a counter of gathers in it; what it gives is timed.
pub(crate) type Prepare = fn(Load, &Gathers) -> Outcome<Launch>;

pub(crate) type Launch = Box<dyn FnOnce(SocketAddr) -> Outcome<Running>>;

pub(crate) type Stop = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>>>;

pub(crate) type Gathers = Arc<AtomicUsize>;

pub(crate) struct Running {
    /// If it has a way to stop.
    pub(crate) stop: Option<Stop>,
    /// Whether it takes a collector that counts.
    pub(crate) counts: bool,
    /// Of what it took to start, the time that it made the workload.
    pub(crate) filling: Duration,
    /// What must live as long.
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

/// Of the host's tokio runtime.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Threads {
    One,
    Many,
}

/// A collector of nothing that counts gathers, in this version of `prometheus`, and the workload beside it.
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
