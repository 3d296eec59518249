//! The one list of what a runtime tells of itself.
//!
//! tokio counts with 64-bit atomics, so where there are none it has no such methods, and half of its methods are
//! there under `tokio_unstable` only. Hence the parts.

use tokio::runtime::RuntimeMetrics;

use crate::collector::family::Kind;

pub(super) const DEFAULT_NAME: &str = "default";
/// The label that names a runtime.
pub(super) const RUNTIME: &str = "runtime";

/// A metric: declared here, and nowhere else.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) read: Read,
}

/// How a value is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Runtime(fn(&RuntimeMetrics) -> f64),
    /// Of one worker, by its index, which must be below the number of workers: tokio panics otherwise.
    Worker(fn(&RuntimeMetrics, usize) -> f64),
}

pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().copied().flatten()
}

const PARTS: &[&[Metric]] = &[
    &[
        gauge("tokio_workers", "Worker threads of the runtime", Read::Runtime(|m| m.num_workers() as f64)),
        gauge(
            "tokio_alive_tasks",
            "Tasks that were spawned and have not ended",
            Read::Runtime(|m| m.num_alive_tasks() as f64),
        ),
        gauge(
            "tokio_global_queue_depth",
            "Tasks that are ready and wait in the runtime's global queue",
            Read::Runtime(|m| m.global_queue_depth() as f64),
        ),
    ],
    #[cfg(target_has_atomic = "64")]
    &[
        counter(
            "tokio_worker_busy_seconds_total",
            "Time that the worker has been busy, up to when it last looked for events",
            Read::Worker(|m, worker| m.worker_total_busy_duration(worker).as_secs_f64()),
        ),
        counter(
            "tokio_worker_parks_total",
            "Times that the worker had nothing to do and parked",
            Read::Worker(|m, worker| m.worker_park_count(worker) as f64),
        ),
        gauge(
            "tokio_worker_parked",
            "Whether the worker is parked (1), for want of work, or not (0)",
            // It counts both, one after the other.
            Read::Worker(|m, worker| (m.worker_park_unpark_count(worker) % 2) as f64),
        ),
    ],
    #[cfg(tokio_unstable)]
    &[
        gauge(
            "tokio_blocking_threads",
            "Threads of the blocking pool",
            Read::Runtime(|m| m.num_blocking_threads() as f64),
        ),
        gauge(
            "tokio_idle_blocking_threads",
            "Threads of the blocking pool that have nothing to do",
            Read::Runtime(|m| m.num_idle_blocking_threads() as f64),
        ),
        gauge(
            "tokio_blocking_queue_depth",
            "Tasks that wait for a thread of the blocking pool",
            Read::Runtime(|m| m.blocking_queue_depth() as f64),
        ),
        gauge(
            "tokio_worker_local_queue_depth",
            "Tasks that are ready and wait in the worker's own queue",
            Read::Worker(|m, worker| m.worker_local_queue_depth(worker) as f64),
        ),
    ],
    #[cfg(all(tokio_unstable, target_has_atomic = "64"))]
    &[
        counter(
            "tokio_spawned_tasks_total",
            "Tasks spawned",
            Read::Runtime(|m| m.spawned_tasks_count() as f64),
        ),
        counter(
            "tokio_remote_schedules_total",
            "Times that a task was spawned or woken from outside of the runtime",
            Read::Runtime(|m| m.remote_schedule_count() as f64),
        ),
        counter(
            "tokio_budget_forced_yields_total",
            "Times that a task was made to yield, for it had used up its budget",
            Read::Runtime(|m| m.budget_forced_yield_count() as f64),
        ),
        counter(
            "tokio_io_driver_fds_registered_total",
            "File descriptors registered with the I/O driver",
            Read::Runtime(|m| m.io_driver_fd_registered_count() as f64),
        ),
        counter(
            "tokio_io_driver_fds_deregistered_total",
            "File descriptors deregistered from the I/O driver",
            Read::Runtime(|m| m.io_driver_fd_deregistered_count() as f64),
        ),
        counter(
            "tokio_io_driver_ready_events_total",
            "Ready events that the I/O driver has processed",
            Read::Runtime(|m| m.io_driver_ready_count() as f64),
        ),
        counter(
            "tokio_worker_noops_total",
            "Times that the worker unparked and parked again without having polled a task",
            Read::Worker(|m, worker| m.worker_noop_count(worker) as f64),
        ),
        counter(
            "tokio_worker_steals_total",
            "Tasks that the worker took from other workers",
            Read::Worker(|m, worker| m.worker_steal_count(worker) as f64),
        ),
        counter(
            "tokio_worker_steal_operations_total",
            "Times that the worker took tasks from another one",
            Read::Worker(|m, worker| m.worker_steal_operations(worker) as f64),
        ),
        counter(
            "tokio_worker_polls_total",
            "Times that the worker polled a task",
            Read::Worker(|m, worker| m.worker_poll_count(worker) as f64),
        ),
        counter(
            "tokio_worker_local_schedules_total",
            "Times that a task was scheduled onto the worker from the worker itself",
            Read::Worker(|m, worker| m.worker_local_schedule_count(worker) as f64),
        ),
        counter(
            "tokio_worker_overflows_total",
            "Times that the worker's own queue was full, and half of it went to the global one",
            Read::Worker(|m, worker| m.worker_overflow_count(worker) as f64),
        ),
        gauge(
            "tokio_worker_mean_poll_time_seconds",
            "Moving average of how long the worker polls a task; only on multi-thread runtimes",
            Read::Worker(|m, worker| m.worker_mean_poll_time(worker).as_secs_f64()),
        ),
    ],
];

const fn counter(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, help, kind: Kind::Counter, read }
}

const fn gauge(name: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, help, kind: Kind::Gauge, read }
}
