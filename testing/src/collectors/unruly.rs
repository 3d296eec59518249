//! A collector with a selectable fault.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{IntGauge, Registry};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    Calm,
    PanicOnce,
    PanicAlways,
    /// Blocks until the fault changes.
    Block,
    Sleep(Duration),
    /// Registers a metric in its own registry. The registry's lock is held, so it blocks for ever.
    Register,
    /// Families without a name, without samples, without a type, with a sample of another type; values that
    /// are not numbers.
    Rubbish,
}

#[derive(Clone)]
pub struct Unruly {
    desc: Desc,
    registry: Registry,
    state: Arc<State>,
}

struct State {
    manner: Mutex<Manner>,
    told: Condvar,
    gathers: AtomicU64,
    /// In series of a hundred bytes.
    weight: AtomicUsize,
}

impl Unruly {
    pub fn new(registry: Registry) -> Self {
        let desc = Desc::new(
            "unruly_total".into(),
            "Set by a command on standard input.".into(),
            Vec::new(),
            Default::default(),
        );
        let state = State {
            manner: Mutex::new(Manner::Calm),
            told: Condvar::new(),
            gathers: AtomicU64::new(0),
            weight: AtomicUsize::new(10),
        };
        Unruly { desc: desc.expect("a valid name"), registry, state: Arc::new(state) }
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner() = manner;
        self.state.told.notify_all();
    }

    /// Makes the exposition about that many MiB long.
    pub fn weigh(&self, mib: f64) {
        self.state.weight.store((mib * 1024.0 * 1024.0 / 100.0) as usize, Ordering::Relaxed);
    }

    pub fn gathers(&self) -> u64 {
        self.state.gathers.load(Ordering::Relaxed)
    }

    pub fn reset(&self) {
        self.state.gathers.store(0, Ordering::Relaxed);
    }

    fn manner(&self) -> MutexGuard<'_, Manner> {
        self.state.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self) -> MetricFamily {
        let series = self.state.weight.load(Ordering::Relaxed);
        let metrics = (0..series).map(|n| counter(&format!("{n:06}-{:060}", n * 7919), n as f64)).collect();
        family("unruly_total", MetricType::COUNTER, metrics)
    }
}

impl Collector for Unruly {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.state.gathers.fetch_add(1, Ordering::Relaxed);
        let mut manner = self.manner();
        match *manner {
            Manner::Calm => {}
            Manner::PanicOnce => {
                *manner = Manner::Calm;
                drop(manner);
                panic!("told to, once");
            }
            // With its lock held, which poisons it.
            Manner::PanicAlways => panic!("told to"),
            Manner::Block => {
                let blocks = |manner: &mut Manner| *manner == Manner::Block;
                drop(self.state.told.wait_while(manner, blocks));
            }
            Manner::Sleep(time) => {
                drop(manner);
                thread::sleep(time);
            }
            Manner::Register => {
                drop(manner);
                let gauge = IntGauge::new("registered_while_collected", "Registered during a gather.")
                    .expect("a valid name");
                let _ = self.registry.register(Box::new(gauge));
            }
            Manner::Rubbish => {
                return vec![
                    family("", MetricType::COUNTER, vec![counter("nameless", 1.0)]),
                    family("empty", MetricType::GAUGE, Vec::new()),
                    family("untyped", MetricType::UNTYPED, vec![counter("x", 1.0)]),
                    family("not_a_gauge", MetricType::GAUGE, vec![counter("x", 1.0)]),
                    family(
                        "unruly_values",
                        MetricType::GAUGE,
                        vec![
                            gauge("nan", f64::NAN),
                            gauge("inf", f64::INFINITY),
                            gauge("-inf", f64::NEG_INFINITY),
                        ],
                    ),
                    family("unruly_total", MetricType::COUNTER, vec![counter("nan", f64::NAN)]),
                    family("unruly_total", MetricType::COUNTER, vec![counter("same\n\"\\", 1.0)]),
                    family("unruly_total", MetricType::COUNTER, vec![counter("same\n\"\\", 2.0)]),
                ];
            }
        }
        vec![self.family()]
    }
}

fn family(name: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help("Set by a command on standard input.".to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn gauge(label: &str, value: f64) -> Metric {
    let (mut metric, mut gauge) = (labelled(label), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(label: &str, value: f64) -> Metric {
    let (mut metric, mut counter) = (labelled(label), Counter::default());
    counter.set_value(value);
    metric.set_counter(counter);
    metric
}

fn labelled(series: &str) -> Metric {
    let mut pair = LabelPair::default();
    pair.set_name("series".to_owned());
    pair.set_value(series.to_owned());
    let mut metric = Metric::default();
    metric.set_label(vec![pair]);
    metric
}
