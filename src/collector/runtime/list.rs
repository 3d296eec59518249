//! The list of a runtime's metrics.
//!
//! It has parts, because some of tokio's methods need 64-bit atomics, and half of them need `tokio_unstable`.

use prometheus::proto::MetricType;
use tokio::runtime::RuntimeMetrics;

pub(super) const DEFAULT_NAME: &str = "default";
/// The label that names a runtime.
pub(super) const RUNTIME: &str = "runtime";

/// A metric of a runtime or of its workers.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) read: Read,
}

/// The function that reads a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Runtime(fn(&RuntimeMetrics) -> f64),
    /// Reads the value of a worker by its index. tokio panics if there is no such worker.
    Worker(fn(&RuntimeMetrics, usize) -> f64),
}

/// Expands to a list of metrics, with the type, the name, the help and the function of each.
macro_rules! metrics {
    ($($kind:ident $name:literal $help:literal $of:ident($read:expr),)*) => {
        &[$(Metric { name: $name, help: $help, kind: MetricType::$kind, read: Read::$of($read) },)*]
    };
}

pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().copied().flatten()
}

const PARTS: &[&[Metric]] = &[
    metrics! {
        GAUGE "tokio_workers" "Number of worker threads of the runtime."
            Runtime(|m| m.num_workers() as f64),
        GAUGE "tokio_alive_tasks" "Number of tasks that were spawned and have not ended."
            Runtime(|m| m.num_alive_tasks() as f64),
        GAUGE "tokio_global_queue_depth"
            "Number of tasks that are ready and wait in the runtime's global queue."
            Runtime(|m| m.global_queue_depth() as f64),
    },
    #[cfg(target_has_atomic = "64")]
    metrics! {
        COUNTER "tokio_worker_busy_seconds_total"
            "Time that the worker was busy, up to its last poll of the I/O driver, in seconds."
            Worker(|m, worker| m.worker_total_busy_duration(worker).as_secs_f64()),
        COUNTER "tokio_worker_parks_total" "Number of times that the worker had nothing to do and parked."
            Worker(|m, worker| m.worker_park_count(worker) as f64),
        GAUGE "tokio_worker_parked" "Whether the worker is parked because it has nothing to do."
            // The count is odd while the worker is parked, because it counts both parks and unparks.
            Worker(|m, worker| (m.worker_park_unpark_count(worker) % 2) as f64),
    },
    #[cfg(tokio_unstable)]
    metrics! {
        GAUGE "tokio_blocking_threads" "Number of threads of the blocking pool."
            Runtime(|m| m.num_blocking_threads() as f64),
        GAUGE "tokio_idle_blocking_threads" "Number of idle threads of the blocking pool."
            Runtime(|m| m.num_idle_blocking_threads() as f64),
        GAUGE "tokio_blocking_queue_depth" "Number of tasks that wait for a thread of the blocking pool."
            Runtime(|m| m.blocking_queue_depth() as f64),
        GAUGE "tokio_worker_local_queue_depth"
            "Number of tasks that are ready and wait in the worker's own queue."
            Worker(|m, worker| m.worker_local_queue_depth(worker) as f64),
    },
    #[cfg(all(tokio_unstable, target_has_atomic = "64"))]
    metrics! {
        COUNTER "tokio_spawned_tasks_total" "Number of spawned tasks."
            Runtime(|m| m.spawned_tasks_count() as f64),
        COUNTER "tokio_remote_schedules_total"
            "Number of times that a task was spawned or woken from outside the runtime."
            Runtime(|m| m.remote_schedule_count() as f64),
        COUNTER "tokio_budget_forced_yields_total"
            "Number of times that a task had to yield because its budget was exhausted."
            Runtime(|m| m.budget_forced_yield_count() as f64),
        COUNTER "tokio_io_driver_fds_registered_total"
            "Number of file descriptors that were registered with the I/O driver."
            Runtime(|m| m.io_driver_fd_registered_count() as f64),
        COUNTER "tokio_io_driver_fds_deregistered_total"
            "Number of file descriptors that were deregistered from the I/O driver."
            Runtime(|m| m.io_driver_fd_deregistered_count() as f64),
        COUNTER "tokio_io_driver_ready_events_total" "Number of ready events that the I/O driver processed."
            Runtime(|m| m.io_driver_ready_count() as f64),
        COUNTER "tokio_worker_noops_total"
            "Number of times that the worker unparked and parked again without polling a task."
            Worker(|m, worker| m.worker_noop_count(worker) as f64),
        COUNTER "tokio_worker_steals_total" "Number of tasks that the worker took from other workers."
            Worker(|m, worker| m.worker_steal_count(worker) as f64),
        COUNTER "tokio_worker_steal_operations_total"
            "Number of times that the worker took tasks from another worker."
            Worker(|m, worker| m.worker_steal_operations(worker) as f64),
        COUNTER "tokio_worker_polls_total" "Number of times that the worker polled a task."
            Worker(|m, worker| m.worker_poll_count(worker) as f64),
        COUNTER "tokio_worker_local_schedules_total"
            "Number of times that the worker scheduled a task onto itself."
            Worker(|m, worker| m.worker_local_schedule_count(worker) as f64),
        COUNTER "tokio_worker_overflows_total"
            "Number of times that the worker's own queue was full and half of it moved to the global queue."
            Worker(|m, worker| m.worker_overflow_count(worker) as f64),
        GAUGE "tokio_worker_mean_poll_time_seconds"
            "Moving average of the time of a poll by the worker, in seconds. Only multi-thread runtimes measure it."
            Worker(|m, worker| m.worker_mean_poll_time(worker).as_secs_f64()),
    },
];
