//! What tokio's runtime tells of itself, and whether it is stuck.

mod list;
mod scheduling_delay;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::family::{desc, family, label};
use list::{Metric, RUNTIME, Read};

pub(super) use watch::by_default;

const WORKER: &str = "worker";

/// The metrics of a tokio runtime, as a collector.
///
/// A server whose [`bind`](crate::Builder::bind) is called inside a runtime, as [`start`](crate::start) does, watches
/// that one by itself. This is for others: register it into a registry that is served, with a
/// [name](Self::named) of its own.
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
/// assert_eq!(registry.gather()[0].get_metric().len(), 2); // a family, two runtimes
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
///
/// Each has the label `runtime`; those named `tokio_worker_…` also have `worker`, the worker's index from 0.
///
/// | name | type | |
/// | --- | --- | --- |
/// | `tokio_workers` | gauge | worker threads; 1 for a current-thread runtime |
/// | `tokio_alive_tasks` | gauge | tasks that were spawned and have not ended |
/// | `tokio_global_queue_depth` | gauge | tasks that are ready and wait in the global queue |
/// | `tokio_worker_busy_seconds_total` | counter | time that the worker has been busy |
/// | `tokio_worker_parks_total` | counter | times that the worker had nothing to do and parked |
/// | `tokio_worker_parked` | gauge | 1 while the worker is parked, else 0 |
///
/// They are what [`RuntimeMetrics`] says at the scrape, counted by tokio since the runtime was built. A program that
/// is built with `--cfg tokio_unstable` gets the rest of what tokio counts, but for its histograms: the blocking pool,
/// the I/O driver, polls, steals, overflows, queues.
///
/// A worker tells its numbers when it parks or looks for events, so the time that it has been busy stands still while it
/// is blocked, and is made up for afterwards. Where the target has no 64-bit atomics, tokio has nothing of its workers.
///
/// # Is the runtime stuck?
///
/// For the runtime that a server watches by itself there are two more, which are no part of this collector:
///
/// | name | type | |
/// | --- | --- | --- |
/// | `tokio_scheduling_delay_seconds` | gauge | the longest that a ready task has waited to run since the last scrape |
/// | `tokio_scheduling_delay_distribution_seconds` | histogram | the same of each wake-up, from 100 µs to 10 s |
///
/// A thread of the server wakes a task on the runtime once a second, and the task says when it runs. The server skips this while
/// a gather keeps that thread busy. While the task does not run, because
/// the runtime is blocked, or a current-thread runtime is not being driven, the gauge grows from scrape to scrape. On a
/// multi-thread runtime any worker can answer, so it tells that all are blocked, not that one is. With several scrapers
/// each sees the worst since any of them asked; the histogram is the same for all. When the runtime or the server is
/// gone, so are the two.
///
/// # Cost
///
/// A gather reads some atomics; nothing is sampled in between. Where a server watches, the runtime has one task more,
/// which counts among `tokio_alive_tasks`, and is woken once a second. The collector holds a [`Handle`], which does not
/// keep a runtime alive: when that is dropped, the values stay as they were, until the collector is unregistered.
#[derive(Clone)]
pub struct RuntimeCollector {
    metrics: RuntimeMetrics,
    name: String,
    descs: Vec<Desc>,
}

impl RuntimeCollector {
    /// The label `runtime` of a collector that [`named`](Self::named) does not rename, and of the runtime that a server watches by
    /// itself.
    pub const DEFAULT_NAME: &str = list::DEFAULT_NAME;

    /// The metrics of the runtime of `runtime`, under the name [`DEFAULT_NAME`](Self::DEFAULT_NAME).
    ///
    /// It may be called inside and outside of any runtime.
    pub fn new(runtime: &Handle) -> Self {
        Self::of(runtime.metrics(), list::DEFAULT_NAME.to_owned())
    }

    /// The value of the label `runtime`, any text: by default [`DEFAULT_NAME`](Self::DEFAULT_NAME).
    ///
    /// A registry takes one collector of each name.
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
            Read::Runtime(read) => vec![metric.kind.metric(vec![runtime()], read(&self.metrics))],
            Read::Worker(read) => (0..self.metrics.num_workers())
                .map(|worker| {
                    let labels = vec![runtime(), label(WORKER, &worker.to_string())];
                    metric.kind.metric(labels, read(&self.metrics, worker))
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
