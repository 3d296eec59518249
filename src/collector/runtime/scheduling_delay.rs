//! Measures the scheduling delay of a runtime, which shows that the runtime is blocked.
//!
//! A thread outside the runtime wakes a task on it. The task measures the time from the wake-up until it runs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, Registry};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::list::{DEFAULT_NAME, RUNTIME};
use crate::collector::family::desc;
use crate::exposition::metric::{family, of_value};

const WORST: &str = "tokio_scheduling_delay_seconds";
const WORST_HELP: &str = "Longest time that a ready task waited to run since the last scrape, in seconds.";
const ALL: &str = "tokio_scheduling_delay_distribution_seconds";
const ALL_HELP: &str = "Time that a ready task waits to run, measured once a second, in seconds.";
/// The bounds, from an idle runtime to a blocked one.
const BUCKETS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// A task that is woken at each tick, with its series. Dropping this ends both.
#[derive(Debug)]
pub(super) struct DelayMonitor {
    task: JoinHandle<()>,
    delay: SchedulingDelay,
    registry: Registry,
}

impl DelayMonitor {
    /// Spawns the task on `runtime`, and registers the series into `registry`. Returns `None` if it has them already.
    pub(super) fn begin(runtime: &Handle, registry: &Registry) -> Option<DelayMonitor> {
        let probe = Arc::new(Probe::new());
        let delay = SchedulingDelay::new(&probe);
        registry.register(Box::new(delay.clone())).ok()?;
        // Wakes at once to detect a runtime that is blocked from the start.
        probe.wake();
        Some(DelayMonitor { task: runtime.spawn(probe.answer()), delay, registry: registry.clone() })
    }

    /// Wakes the task. Must be called once a second, from a thread that a blocked runtime does not delay.
    pub(super) fn tick(&self) {
        // `None` if the runtime is dropped.
        if let Some(probe) = self.delay.probe.upgrade() {
            probe.wake();
        }
    }
}

impl Drop for DelayMonitor {
    fn drop(&mut self) {
        self.task.abort();
        // This cannot fail, because the collector is registered. If it did, the series would end with the task.
        let _ = self.registry.unregister(Box::new(self.delay.clone()));
    }
}

/// The state of the task, which only the task owns.
///
/// Others have a [`Weak`]. It shows whether the task still waits to run, or is dropped with its runtime.
#[derive(Debug)]
struct Probe {
    woken: Notify,
    delays: Mutex<Delays>,
    all: Histogram,
}

impl Probe {
    #[expect(clippy::expect_used, reason = "constant names and buckets, which tests register")]
    fn new() -> Self {
        let opts =
            HistogramOpts::new(ALL, ALL_HELP).const_label(RUNTIME, DEFAULT_NAME).buckets(BUCKETS.to_vec());
        let all = Histogram::with_opts(opts).expect("constant, valid names and buckets");
        Probe { woken: Notify::new(), delays: Mutex::default(), all }
    }

    fn wake(&self) {
        if self.delays.lock().woken(Instant::now()) {
            self.woken.notify_one();
        }
    }

    /// Observes the delay of each wake-up. This is the task.
    async fn answer(self: Arc<Self>) {
        loop {
            self.woken.notified().await;
            let delay = self.delays.lock().answered(Instant::now());
            if let Some(delay) = delay {
                self.all.observe(delay.as_secs_f64());
            }
        }
    }
}

/// Collects the series of a probe until the probe is dropped.
#[derive(Clone, Debug)]
struct SchedulingDelay {
    probe: Weak<Probe>,
    worst: Desc,
    all: Histogram,
}

impl SchedulingDelay {
    fn new(probe: &Arc<Probe>) -> Self {
        let worst = desc(WORST, WORST_HELP, &[], Some((RUNTIME, DEFAULT_NAME)));
        SchedulingDelay { probe: Arc::downgrade(probe), worst, all: probe.all.clone() }
    }
}

impl Collector for SchedulingDelay {
    fn desc(&self) -> Vec<&Desc> {
        let mut descs = self.all.desc();
        descs.push(&self.worst);
        descs
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(probe) = self.probe.upgrade() else { return Vec::new() };
        let worst = probe.delays.lock().gathered(Instant::now());
        let mut families = self.all.collect();
        families.extend(worst.map(|worst| {
            let labels = self.worst.const_label_pairs.clone();
            family(WORST, WORST_HELP, MetricType::GAUGE, vec![of_value(MetricType::GAUGE, labels, worst)])
        }));
        families
    }
}

/// The delays of the task. The caller passes the times, so that tests need no clock.
#[derive(Debug, Default)]
struct Delays {
    /// The time of the pending wake-up.
    open: Option<Instant>,
    /// The longest delay since the last gather.
    worst: Option<Duration>,
    /// The last delay.
    last: Option<Duration>,
}

impl Delays {
    /// Starts a wake-up. Returns `false` if one is pending, so that the task must not be woken.
    fn woken(&mut self, at: Instant) -> bool {
        let wake = self.open.is_none();
        self.open.get_or_insert(at);
        wake
    }

    /// Ends the pending wake-up and returns its delay. Returns `None` if there is none.
    fn answered(&mut self, at: Instant) -> Option<Duration> {
        let delay = at.saturating_duration_since(self.open.take()?);
        self.last = Some(delay);
        self.worst = self.worst.max(self.last);
        self.last
    }

    /// Returns the longest delay since the last gather, in seconds.
    ///
    /// A pending wake-up counts with its age, and counts again once it ends. Without a wake-up since the last gather,
    /// the result is the last delay.
    fn gathered(&mut self, at: Instant) -> Option<f64> {
        let open = self.open.map(|open| at.saturating_duration_since(open));
        let worst = self.worst.take().max(open).or(self.last);
        worst.map(|worst| worst.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    use super::super::tests::series;
    use super::super::watch::Watch;
    use super::*;
    use crate::collector::default_collector::DefaultCollector;

    /// A call at a time in milliseconds, and its result.
    enum Step {
        Woken(u64, bool),
        Answered(u64, Option<u64>),
        Gathered(u64, Option<u64>),
    }
    use Step::{Answered, Gathered, Woken};

    #[test]
    fn gathers_the_longest_delay_since_the_last_gather() {
        let table: &[(&str, &[Step])] = &[
            ("no wake-up", &[Gathered(0, None), Answered(1, None), Gathered(2, None)]),
            ("blocked from the start", &[Woken(0, true), Gathered(10, Some(10)), Gathered(20, Some(20))]),
            (
                "the last delay",
                &[Woken(0, true), Answered(3, Some(3)), Gathered(4, Some(3)), Gathered(5, Some(3))],
            ),
            (
                "the longest of several, once",
                &[
                    Woken(0, true),
                    Answered(5, Some(5)),
                    Woken(1000, true),
                    Answered(1009, Some(9)),
                    Woken(2000, true),
                    Answered(2001, Some(1)),
                    Gathered(2500, Some(9)),
                    Gathered(2600, Some(1)),
                    Woken(3000, true),
                    Answered(3002, Some(2)),
                    Gathered(3500, Some(2)),
                ],
            ),
            (
                "blocked: the delay grows, there is no second wake-up, and afterwards the delay counts in full",
                &[
                    Woken(0, true),
                    Answered(1, Some(1)),
                    Gathered(2, Some(1)),
                    Woken(1000, true),
                    Gathered(1500, Some(500)),
                    Woken(2000, false),
                    Gathered(2500, Some(1500)),
                    Woken(3000, false),
                    Answered(3200, Some(2200)),
                    Answered(3201, None),
                    Woken(4000, true),
                    Answered(4001, Some(1)),
                    Gathered(4500, Some(2200)),
                    Gathered(4600, Some(1)),
                ],
            ),
            (
                "a pending wake-up that is shorter than the longest delay",
                &[Woken(0, true), Answered(70, Some(70)), Woken(1000, true), Gathered(1001, Some(70))],
            ),
            (
                "a pending wake-up that is shorter than the last delay",
                &[
                    Woken(0, true),
                    Answered(70, Some(70)),
                    Gathered(100, Some(70)),
                    Woken(1000, true),
                    Gathered(1001, Some(1)),
                ],
            ),
            ("a clock that goes back", &[Woken(10, true), Gathered(5, Some(0)), Answered(5, Some(0))]),
        ];
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (what, steps) in table {
            let mut delays = Delays::default();
            for (number, step) in steps.iter().enumerate() {
                match *step {
                    Woken(ms, wake) => assert_eq!(delays.woken(at(ms)), wake, "{what}, {number}"),
                    Answered(ms, delay) => {
                        assert_eq!(
                            delays.answered(at(ms)),
                            delay.map(Duration::from_millis),
                            "{what}, {number}"
                        );
                    }
                    Gathered(ms, worst) => {
                        let worst = worst.map(|ms| Duration::from_millis(ms).as_secs_f64());
                        assert_eq!(delays.gathered(at(ms)), worst, "{what}, {number}");
                    }
                }
            }
        }
    }

    fn watching(runtime: &Handle) -> Watch {
        let watch = Watch::default();
        watch.watch(runtime);
        watch
    }

    fn gather(watch: &Watch, series_name: &str) -> Option<f64> {
        let name = format!("{series_name}{{runtime=\"default\"}}");
        series(&watch.registry().unwrap().gather()).get(&name).copied()
    }

    fn worst(watch: &Watch) -> Option<f64> {
        gather(watch, WORST)
    }

    fn answers(watch: &Watch) -> Option<f64> {
        gather(watch, &format!("{ALL}_count"))
    }

    /// Waits until the runtime has run all tasks that were spawned or woken from outside before this call.
    fn catch_up(runtime: &Handle) {
        let (done, wait) = mpsc::channel();
        runtime.spawn(async move { done.send(()).unwrap() });
        wait.recv().unwrap();
    }

    /// Waits for a number of tasks, because a finished task is still counted for a moment.
    fn tasks(runtime: &Handle, number: usize) {
        let began = Instant::now();
        while runtime.metrics().num_alive_tasks() != number {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", runtime.metrics().num_alive_tasks());
            thread::yield_now();
        }
    }

    /// A blocked current-thread runtime on its own thread.
    struct Blocked {
        runtime: Handle,
        unblock: mpsc::Sender<()>,
        end: oneshot::Sender<()>,
        thread: thread::JoinHandle<()>,
    }

    fn blocked() -> Blocked {
        let (unblock, until) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let (ready, handle) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().build().unwrap();
            ready.send(runtime.handle().clone()).unwrap();
            runtime.block_on(async {
                let _: Result<(), _> = until.recv();
                let _: Result<(), _> = ended.await;
            });
        });
        Blocked { runtime: handle.recv().unwrap(), unblock, end, thread }
    }

    #[test]
    fn detects_a_blocked_runtime_during_and_after_the_block() {
        let Blocked { runtime, unblock, end, thread } = blocked();
        let watch = watching(&runtime);
        assert_eq!((worst(&watch), answers(&watch)), (None, None));
        watch.tick();

        let first = worst(&watch).unwrap();
        let seen = Instant::now();
        while seen.elapsed() < Duration::from_millis(2) {}
        watch.tick(); // no second wake-up
        let second = worst(&watch).unwrap();
        assert!(second >= first + 0.002, "{first} {second}");
        assert_eq!(answers(&watch), Some(0.0));

        unblock.send(()).unwrap();
        catch_up(&runtime);
        assert_eq!(answers(&watch), Some(1.0));
        let sum = gather(&watch, &format!("{ALL}_sum")).unwrap();
        assert!(sum > second, "{sum} {second}");
        assert_eq!(worst(&watch), Some(sum), "the whole delay, again");

        for number in 2..5 {
            watch.tick();
            catch_up(&runtime);
            assert_eq!(answers(&watch), Some(f64::from(number)));
        }
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn end_removes_the_task_and_its_series() {
        let Blocked { runtime, unblock, end, thread } = blocked();
        unblock.send(()).unwrap();
        let watch = watching(&runtime);
        watch.tick();
        catch_up(&runtime);
        assert_eq!(answers(&watch), Some(1.0));
        tasks(&runtime, 1); // the probe's

        watch.end();
        for _ in 0..2 {
            assert_eq!((worst(&watch), answers(&watch)), (None, None));
            catch_up(&runtime);
            tasks(&runtime, 0);
            watch.tick(); // no effect after the end
        }
        assert!(gather(&watch, "tokio_workers").is_some(), "the runtime's metrics stay");
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_dropped_runtime_has_no_scheduling_delay() {
        let host = Builder::new_current_thread().build().unwrap();
        let watch = watching(host.handle());
        watch.tick();
        assert!(worst(&watch).is_some());

        let late = watching(host.handle());
        drop(host);
        for watch in [watch, late] {
            for _ in 0..3 {
                watch.tick();
                assert_eq!((worst(&watch), answers(&watch)), (None, None));
            }
        }
    }

    #[test]
    fn does_nothing_without_a_runtime() {
        let watch = Watch::default();
        watch.tick();
        assert!(watch.registry().is_none());
        watch.end();
    }
}
