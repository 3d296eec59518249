//! Collectors that a test controls.

pub mod unruly;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, ThreadId};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, Registry};

use crate::client::wait_for;

/// Counts its gathers. Each waits while the gate is closed.
#[derive(Clone)]
pub struct Gated {
    desc: Desc,
    gathers: Arc<AtomicU64>,
    thread: Arc<Mutex<Option<ThreadId>>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Gated {
    pub fn register(registry: &Registry, open: bool) -> Self {
        let desc = Desc::new("gathers".into(), "help".into(), vec![], HashMap::new()).unwrap();
        let gate = Arc::new((Mutex::new(open), Condvar::new()));
        let gated = Gated { desc, gathers: Arc::default(), thread: Arc::default(), gate };
        registry.register(Box::new(gated.clone())).unwrap();
        gated
    }

    pub fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    pub fn close(&self) {
        *self.gate.0.lock().unwrap() = false;
    }

    pub fn gathers(&self) -> u64 {
        self.gathers.load(Ordering::SeqCst)
    }

    /// The thread of its last gather.
    pub fn thread(&self) -> Option<ThreadId> {
        *self.thread.lock().unwrap()
    }

    pub fn wait_for_gathers(&self, count: u64) {
        wait_for("a gather", || self.gathers() >= count);
    }
}

impl Collector for Gated {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }
    fn collect(&self) -> Vec<MetricFamily> {
        *self.thread.lock().unwrap() = Some(thread::current().id());
        let count = self.gathers.fetch_add(1, Ordering::SeqCst) + 1;
        let mut open = self.gate.0.lock().unwrap();
        while !*open {
            open = self.gate.1.wait(open).unwrap();
        }
        let gauge = Gauge::new("gathers", "help").unwrap();
        gauge.set(count as f64);
        gauge.collect()
    }
}

/// Collects one counter, or panics.
pub struct Moody(IntCounter, Arc<AtomicBool>);

impl Moody {
    pub fn register(registry: &Registry, name: &str) -> Arc<AtomicBool> {
        let panics = Arc::new(AtomicBool::new(true));
        let counter = IntCounter::new(name, "help").unwrap();
        registry.register(Box::new(Moody(counter, Arc::clone(&panics)))).unwrap();
        panics
    }
}

impl Collector for Moody {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        assert!(!self.1.load(Ordering::SeqCst), "expected panic of this test");
        self.0.collect()
    }
}

/// Collects one counter, and calls the closure when it is dropped.
pub struct OnDrop<F: Fn()>(IntCounter, F);

impl<F: Fn()> OnDrop<F> {
    pub fn new(call: F) -> Self {
        OnDrop(IntCounter::new("n", "help").unwrap(), call)
    }
}

impl<F: Fn() + Send + Sync> Collector for OnDrop<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.1();
    }
}

/// Reports the call, and never returns.
pub struct Hangs(Desc, Mutex<mpsc::Sender<()>>);

impl Hangs {
    pub fn register(registry: &Registry) -> mpsc::Receiver<()> {
        let (asked, was_asked) = mpsc::channel();
        let desc = Desc::new("hangs".into(), "help".into(), vec![], HashMap::new()).unwrap();
        registry.register(Box::new(Hangs(desc, asked.into()))).unwrap();
        was_asked
    }
}

impl Collector for Hangs {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0]
    }
    fn collect(&self) -> Vec<MetricFamily> {
        let _ = self.1.lock().unwrap().send(());
        loop {
            thread::park();
        }
    }
}
