//! Tests that compare the collector's values with the runtime's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use tokio::runtime::{Builder, Runtime};

use super::watch::Watch;
use super::*;
use crate::collector::default_collector::DefaultCollector;

/// Returns each series with its value. Uses the text format, because the accessors differ with `prometheus/protobuf`.
pub(crate) fn series(families: &[MetricFamily]) -> BTreeMap<String, f64> {
    let text = TextEncoder::new().encode_to_string(families).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The functions of the runtime by the names of the metrics, independent of the collector's list.
const ANSWERS: &[&[(&str, Read)]] = &[
    &[
        ("tokio_workers", Read::Runtime(|m| m.num_workers() as f64)),
        ("tokio_alive_tasks", Read::Runtime(|m| m.num_alive_tasks() as f64)),
        ("tokio_global_queue_depth", Read::Runtime(|m| m.global_queue_depth() as f64)),
    ],
    #[cfg(target_has_atomic = "64")]
    &[
        (
            "tokio_worker_busy_seconds_total",
            Read::Worker(|m, w| m.worker_total_busy_duration(w).as_secs_f64()),
        ),
        ("tokio_worker_parks_total", Read::Worker(|m, w| m.worker_park_count(w) as f64)),
        (
            "tokio_worker_parked",
            Read::Worker(|m, w| if m.worker_park_unpark_count(w) % 2 == 1 { 1.0 } else { 0.0 }),
        ),
    ],
    #[cfg(tokio_unstable)]
    &[
        ("tokio_blocking_threads", Read::Runtime(|m| m.num_blocking_threads() as f64)),
        ("tokio_idle_blocking_threads", Read::Runtime(|m| m.num_idle_blocking_threads() as f64)),
        ("tokio_blocking_queue_depth", Read::Runtime(|m| m.blocking_queue_depth() as f64)),
        ("tokio_worker_local_queue_depth", Read::Worker(|m, w| m.worker_local_queue_depth(w) as f64)),
    ],
    #[cfg(all(tokio_unstable, target_has_atomic = "64"))]
    &[
        ("tokio_spawned_tasks_total", Read::Runtime(|m| m.spawned_tasks_count() as f64)),
        ("tokio_remote_schedules_total", Read::Runtime(|m| m.remote_schedule_count() as f64)),
        ("tokio_budget_forced_yields_total", Read::Runtime(|m| m.budget_forced_yield_count() as f64)),
        ("tokio_io_driver_fds_registered_total", Read::Runtime(|m| m.io_driver_fd_registered_count() as f64)),
        (
            "tokio_io_driver_fds_deregistered_total",
            Read::Runtime(|m| m.io_driver_fd_deregistered_count() as f64),
        ),
        ("tokio_io_driver_ready_events_total", Read::Runtime(|m| m.io_driver_ready_count() as f64)),
        ("tokio_worker_noops_total", Read::Worker(|m, w| m.worker_noop_count(w) as f64)),
        ("tokio_worker_steals_total", Read::Worker(|m, w| m.worker_steal_count(w) as f64)),
        ("tokio_worker_steal_operations_total", Read::Worker(|m, w| m.worker_steal_operations(w) as f64)),
        ("tokio_worker_polls_total", Read::Worker(|m, w| m.worker_poll_count(w) as f64)),
        ("tokio_worker_local_schedules_total", Read::Worker(|m, w| m.worker_local_schedule_count(w) as f64)),
        ("tokio_worker_overflows_total", Read::Worker(|m, w| m.worker_overflow_count(w) as f64)),
        (
            "tokio_worker_mean_poll_time_seconds",
            Read::Worker(|m, w| m.worker_mean_poll_time(w).as_secs_f64()),
        ),
    ],
];

fn answers() -> impl Iterator<Item = (&'static str, Read)> {
    ANSWERS.iter().copied().flatten().copied()
}

/// An idle runtime.
struct AtRest {
    /// Dropped first, because a runtime waits for its blocking tasks when it is dropped.
    _hold: mpsc::Sender<()>,
    runtime: Runtime,
}

/// Returns a runtime without a thread, with five tasks that wait to run. Three of them were spawned from outside.
fn current_thread() -> AtRest {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (hold, held) = mpsc::channel();
    runtime.block_on(async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::spawn(async {
            spin();
            for _ in 0..1000 {
                tokio::task::coop::consume_budget().await;
            }
        })
        .await
        .unwrap();
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.writable().await.unwrap();
        drop(socket);

        let (started, start) = mpsc::channel();
        tokio::task::spawn_blocking(move || {
            started.send(()).unwrap();
            let _ = held.recv();
        });
        start.recv().unwrap();
        tokio::task::spawn_blocking(|| ());
        for _ in 0..2 {
            tokio::spawn(std::future::pending::<()>());
        }
    });
    for _ in 0..3 {
        runtime.spawn(std::future::pending::<()>());
    }
    AtRest { _hold: hold, runtime }
}

/// Returns a runtime whose workers are parked after much work, with one pending task.
fn multi_thread() -> AtRest {
    let mut builder = Builder::new_multi_thread();
    let runtime =
        builder.worker_threads(2).thread_keep_alive(Duration::from_secs(3600)).enable_all().build().unwrap();
    runtime.block_on(async {
        // One worker blocks until the other one has stolen a task from it.
        let (other, worker) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let stolen = Arc::clone(&other);
        tokio::spawn(async move {
            let here = thread::current().id();
            for _ in 0..10 {
                let other = Arc::clone(&other);
                tokio::spawn(async move {
                    spin();
                    other.fetch_or(thread::current().id() != here, Ordering::Relaxed);
                });
            }
            until(|| stolen.load(Ordering::Relaxed));
            worker.store(true, Ordering::Relaxed);
        })
        .await
        .unwrap();
        // More tasks than a worker's queue can hold.
        tokio::spawn(async {
            for _ in 0..600 {
                tokio::spawn(async {});
            }
        })
        .await
        .unwrap();
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        tokio::spawn(std::future::pending::<()>());
    });
    let metrics = runtime.metrics();
    until(|| metrics.num_alive_tasks() == 1);
    #[cfg(target_has_atomic = "64")]
    until(|| (0..2).all(|worker| metrics.worker_park_unpark_count(worker) % 2 == 1));
    #[cfg(tokio_unstable)]
    until(|| metrics.num_idle_blocking_threads() == 1);
    AtRest { _hold: mpsc::channel().0, runtime }
}

fn spin() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1) {}
}

/// Waits for a condition.
fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "the condition is false after a minute");
        thread::yield_now();
    }
}

/// Returns the values by their labels other than `runtime`.
fn ask(metrics: &RuntimeMetrics, read: Read) -> Vec<(String, f64)> {
    match read {
        Read::Runtime(read) => vec![(String::new(), read(metrics))],
        Read::Worker(read) => (0..metrics.num_workers())
            .map(|worker| (format!(",worker=\"{worker}\""), read(metrics, worker)))
            .collect(),
    }
}

#[test]
fn each_metric_has_the_value_of_the_runtime() {
    let declared: Vec<&str> = list::metrics().map(|metric| metric.name).collect();
    let tested: Vec<&str> = answers().map(|(name, ..)| name).collect();
    assert_eq!(declared, tested, "each metric has one line in the table");

    let runtimes = [current_thread(), multi_thread()];
    for (name, read) in answers() {
        let mut moved = false;
        for AtRest { runtime, .. } in &runtimes {
            let metrics = runtime.metrics();
            let collector = RuntimeCollector::new(runtime.handle());
            // The loop repeats because a worker may park once more.
            let (answer, collected) = loop {
                let before = ask(&metrics, read);
                let collected = series(&collector.collect());
                if before == ask(&metrics, read) {
                    break (before, collected);
                }
            };
            for (labels, value) in answer {
                let series = format!("{name}{{runtime=\"default\"{labels}}}");
                assert_eq!(collected.get(&series), Some(&value), "{series} in {collected:?}");
                moved |= value > 0.0;
            }
        }
        assert!(moved, "{name} is always 0, so the test proves nothing");
    }
}

#[test]
fn values_match_a_known_state() {
    let at_rest = current_thread();
    let collected = series(&RuntimeCollector::new(at_rest.runtime.handle()).collect());
    let table = [
        ("tokio_workers{runtime=\"default\"}", 1.0),
        ("tokio_alive_tasks{runtime=\"default\"}", 5.0),
        ("tokio_global_queue_depth{runtime=\"default\"}", 3.0),
        #[cfg(target_has_atomic = "64")]
        ("tokio_worker_parked{runtime=\"default\",worker=\"0\"}", 0.0),
        #[cfg(tokio_unstable)]
        ("tokio_worker_local_queue_depth{runtime=\"default\",worker=\"0\"}", 2.0),
        #[cfg(tokio_unstable)]
        ("tokio_blocking_queue_depth{runtime=\"default\"}", 1.0),
        #[cfg(all(tokio_unstable, target_has_atomic = "64"))]
        ("tokio_spawned_tasks_total{runtime=\"default\"}", 6.0),
    ];
    for (series, value) in table {
        assert_eq!(collected.get(series), Some(&value), "{series} in {collected:?}");
    }
}

#[test]
fn names_and_help_texts_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for Metric { name, help, kind, .. } in list::metrics() {
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("tokio_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == prometheus::proto::MetricType::COUNTER, "{name}");
        assert!(help.len() > 1 && help.ends_with('.'), "{name}: {help}");
    }
}

#[test]
fn accepts_any_name_once_per_registry() {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let registry = Registry::new();
    let collector = RuntimeCollector::new(runtime.handle());
    let names = ["default", "io", "", "\0", "a\"b\\c\nd", "{}", "\u{10ffff} ü", "le=\"1\""];
    for name in names {
        registry.register(Box::new(collector.clone().named(name))).unwrap();
        assert!(registry.register(Box::new(collector.clone().named(name))).is_err(), "{name} twice");
    }
    assert!(registry.register(Box::new(collector)).is_err(), "the default name is in use");
    for family in registry.gather() {
        let workers = if family.name().starts_with("tokio_worker_") { 2 } else { 1 };
        assert_eq!(family.get_metric().len(), names.len() * workers, "{}", family.name());
    }
}

#[test]
fn descriptions_match_the_collected_families() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let collector = RuntimeCollector::new(runtime.handle()).named("io");
    let (descs, families) = (collector.desc(), collector.collect());
    assert_eq!(descs.len(), families.len());
    for (desc, family) in descs.into_iter().zip(&families) {
        assert_eq!((desc.fq_name.as_str(), desc.help.as_str()), (family.name(), family.help()));
        for metric in family.get_metric() {
            let (of, by) = metric.get_label().split_at(desc.const_label_pairs.len());
            assert_eq!(of, desc.const_label_pairs);
            assert_eq!(by.iter().map(|label| label.name()).collect::<Vec<_>>(), desc.variable_labels);
        }
    }
}

#[test]
fn collects_a_dropped_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let collector = RuntimeCollector::new(runtime.handle());
    runtime.spawn(std::future::pending::<()>());
    drop(runtime);
    let collected = series(&collector.collect());
    assert_eq!(collected.get("tokio_workers{runtime=\"default\"}"), Some(&2.0));
    assert_eq!(collected.get("tokio_alive_tasks{runtime=\"default\"}"), Some(&0.0));
}

#[test]
fn watches_the_first_runtime() {
    let watch = Watch::default();
    assert!(watch.registry().is_none());
    let (first, second) = (current_thread(), multi_thread());
    watch.watch(first.runtime.handle());
    watch.watch(second.runtime.handle());
    let collected = series(&watch.registry().unwrap().gather());
    assert_eq!(collected.get("tokio_workers{runtime=\"default\"}"), Some(&1.0), "{collected:?}");
}

#[test]
fn debug_shows_the_name() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let collector = RuntimeCollector::new(runtime.handle()).named("io");
    assert_eq!(format!("{collector:?}"), "RuntimeCollector { name: \"io\", .. }");
}
