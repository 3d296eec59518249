//! The metrics of a tokio runtime and its scheduling delay.

mod list;
mod scheduling_delay;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::family::desc;
use crate::exposition::metric::{family, label, of_value};
use list::{Metric, RUNTIME, Read};

pub(super) use watch::by_default;

const WORKER: &str = "worker";

/// Collects the metrics of a tokio runtime.
///
/// The server watches the tokio runtime in which you call [`bind`](crate::Builder::bind), or else the start, with
/// [two more families](crate::guide#a-runtime-that-is-stuck). Use this collector for other runtimes: register it into a
/// served registry, with a unique [name](Self::named).
///
/// ```
/// use prometheus_hyper::{collector::RuntimeCollector, prometheus::Registry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let io = tokio::runtime::Builder::new_current_thread().build()?;
/// let batch = tokio::runtime::Builder::new_current_thread().build()?;
///
/// let registry = Registry::new();
/// registry.register(Box::new(RuntimeCollector::new(io.handle()).named("io")))?;
/// registry.register(Box::new(RuntimeCollector::new(batch.handle()).named("batch")))?;
/// assert_eq!(registry.gather()[0].get_metric().len(), 2); // one family with two runtimes
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
///
/// Each metric has the label `runtime`. Those named `tokio_worker_…` have also the label `worker`, the worker's index
/// from 0.
///
/// | name | type | |
/// | --- | --- | --- |
/// | `tokio_workers` | gauge | worker threads; 1 for a current-thread runtime |
/// | `tokio_alive_tasks` | gauge | tasks that were spawned and have not ended |
/// | `tokio_global_queue_depth` | gauge | tasks that are ready and wait in the global queue |
/// | `tokio_worker_busy_seconds_total` | counter | time that the worker was busy |
/// | `tokio_worker_parks_total` | counter | times that the worker had nothing to do and parked |
/// | `tokio_worker_parked` | gauge | 1 while the worker is parked, else 0 |
///
/// The values are those of [`RuntimeMetrics`] at the scrape. With `--cfg tokio_unstable` there are more: the blocking
/// pool, the I/O driver, polls, steals, overflows and queues, but not tokio's histograms. On targets without 64-bit
/// atomics tokio provides no metrics of workers.
///
/// A worker updates its numbers when it parks or polls the I/O driver. While it is blocked, its busy time does not
/// grow. It catches up afterwards.
///
/// # Cost
///
/// A gather reads some atomics, and there is no sampling between gathers. The collector holds a [`Handle`], which does
/// not keep a runtime alive. When the runtime is dropped, the values stay unchanged until you unregister the collector.
#[derive(Clone)]
pub struct RuntimeCollector {
    metrics: RuntimeMetrics,
    name: String,
    descs: Vec<Desc>,
}

impl RuntimeCollector {
    /// The default value of the label `runtime`, which the server also uses.
    pub const DEFAULT_NAME: &str = list::DEFAULT_NAME;

    /// Creates the collector of this runtime, with the name [`DEFAULT_NAME`](Self::DEFAULT_NAME).
    ///
    /// You may call it inside and outside of any runtime.
    pub fn new(runtime: &Handle) -> Self {
        Self::of(runtime.metrics(), list::DEFAULT_NAME.to_owned())
    }

    /// Sets the value of the label `runtime` to any text. It must be unique in a registry.
    ///
    /// Default: [`DEFAULT_NAME`](Self::DEFAULT_NAME).
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self::of(self.metrics, name.into())
    }

    fn of(metrics: RuntimeMetrics, name: String) -> Self {
        let descs = list::metrics().map(|metric| {
            let by: &[&str] = match metric.read {
                Read::Runtime(_) => &[],
                Read::Worker(_) => &[WORKER],
            };
            desc(metric.name, metric.help, by, Some((RUNTIME, &name)))
        });
        RuntimeCollector { descs: descs.collect(), metrics, name }
    }

    fn samples(&self, metric: &Metric) -> Vec<proto::Metric> {
        let runtime = || label(RUNTIME, &self.name);
        match metric.read {
            Read::Runtime(read) => vec![of_value(metric.kind, vec![runtime()], read(&self.metrics))],
            Read::Worker(read) => (0..self.metrics.num_workers())
                .map(|worker| {
                    let labels = vec![runtime(), label(WORKER, &worker.to_string())];
                    of_value(metric.kind, labels, read(&self.metrics, worker))
                })
                .collect(),
        }
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        list::metrics()
            .map(|metric| family(metric.name, metric.help, metric.kind, self.samples(metric)))
            .collect()
    }
}

impl fmt::Debug for RuntimeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeCollector").field("name", &self.name).finish_non_exhaustive()
    }
}
