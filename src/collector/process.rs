//! The standard metrics of the process: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

#[cfg(any(test, target_os = "freebsd", target_os = "macos", target_os = "openbsd", target_os = "windows"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
mod reading;

use once_cell::sync::Lazy;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::default_collector::DefaultCollector;
use super::family::{Kind, desc, family, registry_of};
use reading::{Kept, Reading};

/// Collects the [standard metrics](https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics) of the process.
///
/// | metric | type | |
/// | --- | --- | --- |
/// | `process_cpu_seconds_total` | counter | user and system CPU time, with fractions of a second |
/// | `process_max_fds` | gauge | the soft limit on descriptors |
/// | `process_open_fds` | gauge | open descriptors; on Windows handles |
/// | `process_resident_memory_bytes` | gauge | memory in RAM |
/// | `process_start_time_seconds` | gauge | since the epoch; it stays as first seen when the clock is set |
/// | `process_threads` | gauge | threads of the operating system |
/// | `process_virtual_memory_bytes` | gauge | address space in use; on Windows committed memory |
/// | `process_virtual_memory_max_bytes` | gauge | the soft limit on it; 2⁶⁴ - 1 for none, as from Go's client |
///
/// A value that the system does not give is omitted; without free descriptors that is most of them. Linux has all of them if `/proc`
/// is mounted. macOS, Windows, FreeBSD and OpenBSD have most of them, other systems none. Building for macOS needs libclang, which
/// Apple's Command Line Tools contain. To build for macOS elsewhere, switch the feature `process` off.
///
/// ```
/// use prometheus_hyper::collector::ProcessCollector;
/// use prometheus_hyper::prometheus::Registry;
///
/// # fn main() -> Result<(), prometheus_hyper::prometheus::Error> {
/// let registry = Registry::new();
/// registry.register(Box::new(ProcessCollector::new()))?;
///
/// # #[cfg(target_os = "linux")]
/// assert!(registry.gather().iter().any(|family| family.name() == "process_cpu_seconds_total"));
/// # Ok(())
/// # }
/// ```
///
/// `prometheus` has a collector of this name behind its feature `process`: on Linux only, with whole seconds of CPU time,
/// without `process_virtual_memory_max_bytes`, and registered into its default registry. A registry takes one of the two.
#[derive(Debug)]
pub struct ProcessCollector {
    descs: Vec<Desc>,
    kept: Kept,
}

impl ProcessCollector {
    /// Creates a collector of the process that it is in. It reads nothing before a gather.
    pub fn new() -> Self {
        ProcessCollector {
            descs: METRICS.iter().map(|metric| desc(metric.name, metric.help, &[], None)).collect(),
            kept: Kept::default(),
        }
    }
}

impl Default for ProcessCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let reading = SYSTEMS.first().map(|read| read(&self.kept)).unwrap_or_default();
        families(&reading)
    }
}

pub(super) fn by_default() -> Box<dyn DefaultCollector> {
    Box::new(ByDefault)
}

/// One registry for all servers of the process, which keeps what need not be read twice.
#[derive(Debug)]
struct ByDefault;

impl DefaultCollector for ByDefault {
    fn registry(&self) -> Option<&Registry> {
        static REGISTRY: Lazy<Registry> = Lazy::new(|| registry_of(ProcessCollector::new()));
        Some(&REGISTRY)
    }
}

/// How this system is read; empty on one that nobody here knows.
const SYSTEMS: &[fn(&Kept) -> Reading] = &[
    #[cfg(target_os = "linux")]
    linux::read,
    #[cfg(any(target_os = "freebsd", target_os = "macos", target_os = "openbsd", target_os = "windows"))]
    elsewhere::read,
];

struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: Value,
}

/// The help texts are those of Go's client (process_collector.go); it has no threads, their text is `prometheus`'.
const METRICS: [Metric; 8] = [
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", |it| {
        it.cpu_seconds
    }),
    gauge("process_max_fds", "Maximum number of open file descriptors.", |it| it.max_fds),
    gauge("process_open_fds", "Number of open file descriptors.", |it| it.open_fds),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", |it| it.resident_bytes),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", |it| {
        it.start_time_seconds
    }),
    gauge("process_threads", "Number of OS threads in the process.", |it| it.threads),
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", |it| it.virtual_bytes),
    gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", |it| {
        it.virtual_max_bytes
    }),
];

type Value = fn(&Reading) -> Option<f64>;

const fn counter(name: &'static str, help: &'static str, value: Value) -> Metric {
    Metric { name, help, kind: Kind::Counter, value }
}

const fn gauge(name: &'static str, help: &'static str, value: Value) -> Metric {
    Metric { name, help, kind: Kind::Gauge, value }
}

fn families(reading: &Reading) -> Vec<MetricFamily> {
    let shown = |metric: &Metric| {
        let value = (metric.value)(reading)?;
        Some(family(metric.name, metric.help, metric.kind, [metric.kind.metric(Vec::new(), value)]))
    };
    METRICS.iter().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::proto::MetricType;

    /// The lines of the samples.
    fn samples(families: &[MetricFamily]) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(families).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn each_metric_is_described_and_shows_its_own_value() {
        let reading = Reading {
            cpu_seconds: Some(1.54),
            max_fds: Some(2.0),
            open_fds: Some(3.0),
            resident_bytes: Some(4.0),
            start_time_seconds: Some(1_700_000_000.25),
            threads: Some(6.0),
            virtual_bytes: Some(7.0),
            virtual_max_bytes: Some(u64::MAX as f64),
        };
        let families = families(&reading);
        let expected = [
            "process_cpu_seconds_total 1.54",
            "process_max_fds 2",
            "process_open_fds 3",
            "process_resident_memory_bytes 4",
            "process_start_time_seconds 1700000000.25",
            "process_threads 6",
            "process_virtual_memory_bytes 7",
            "process_virtual_memory_max_bytes 18446744073709552000",
        ];
        assert_eq!(samples(&families), expected);

        let collector = ProcessCollector::default();
        let described: Vec<_> = collector.desc().iter().map(|desc| (&*desc.fq_name, &*desc.help)).collect();
        let shown: Vec<_> = families.iter().map(|family| (family.name(), family.help())).collect();
        assert_eq!(described, shown);
        let counters = families.iter().filter(|family| family.get_field_type() == MetricType::COUNTER);
        assert_eq!(counters.map(MetricFamily::name).collect::<Vec<_>>(), ["process_cpu_seconds_total"]);
    }

    #[test]
    fn what_cannot_be_had_is_skipped() {
        assert!(families(&Reading::default()).is_empty());
        let some = families(&Reading { threads: Some(0.0), ..Reading::default() });
        assert_eq!(some.iter().map(MetricFamily::name).collect::<Vec<_>>(), ["process_threads"]);
    }

    #[test]
    fn the_registry_is_one_and_knows_this_process() {
        let (one, other) = (by_default(), by_default());
        let registry = one.registry().unwrap();
        assert!(std::ptr::eq(registry, other.registry().unwrap()));
        let (first, second) = (samples(&registry.gather()), samples(&registry.gather()));
        if cfg!(target_os = "linux") {
            assert_eq!(first.len(), METRICS.len(), "{first:?}");
        }
        let start = |line: &&String| line.starts_with("process_start_time_seconds ");
        assert_eq!(first.iter().find(start), second.iter().find(start));
    }

    /// `metrics-process` asks Linux by a crate of its own: another's reading of the same files. In a process of its own, for
    /// other tests have threads, files and memory.
    #[cfg(target_os = "linux")]
    #[test]
    fn another_reads_the_same() {
        crate::alone::run_alone("collector::process::tests::child_that_reads_twice", "", &[]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "run by another test"]
    fn child_that_reads_twice() {
        if std::env::var(crate::alone::CHILD).is_err() {
            return;
        }
        let kept = Kept::default();
        let (ours, theirs) = (|| linux::read(&kept), || elsewhere::read(&kept));

        let (before, other, after) = (ours(), theirs(), ours());
        assert!(before.cpu_seconds <= other.cpu_seconds && other.cpu_seconds <= after.cpu_seconds);
        assert_eq!((before.max_fds, before.virtual_max_bytes), (other.max_fds, other.virtual_max_bytes));
        let (start, theirs_start) = (before.start_time_seconds.unwrap(), other.start_time_seconds.unwrap());
        assert!((start - theirs_start).abs() <= 1.0, "{start} {theirs_start}");

        let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() / b.unwrap() - 1.0).abs() < 0.05;
        let (ours, theirs) = (ours(), theirs());
        // Theirs are counted with one that holds the process' folder, and one that lists them before Linux 6.2.
        let their_own = theirs.open_fds.unwrap() - ours.open_fds.unwrap();
        assert!((1.0..=2.0).contains(&their_own), "{ours:?} {theirs:?}");
        assert_eq!(ours.threads, theirs.threads);
        assert!(near(ours.resident_bytes, theirs.resident_bytes), "{ours:?} {theirs:?}");
        assert!(near(ours.virtual_bytes, theirs.virtual_bytes), "{ours:?} {theirs:?}");
    }
}
