//! The standard metrics of the process.
//!
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

#[cfg(any(test, target_os = "freebsd", target_os = "macos", target_os = "openbsd", target_os = "windows"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
mod reading;

use once_cell::sync::Lazy;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};

use super::default_collector::DefaultCollector;
use super::family::{desc, registry_of};
use crate::exposition::metric::{family, of_value};
use reading::{Kept, Reading};

/// Collects the [standard metrics] of the process.
///
/// [standard metrics]: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
///
/// | metric | type | |
/// | --- | --- | --- |
/// | `process_cpu_seconds_total` | counter | user and system CPU time, with fractions of a second |
/// | `process_max_fds` | gauge | the soft limit on descriptors |
/// | `process_open_fds` | gauge | open descriptors; on Windows handles |
/// | `process_resident_memory_bytes` | gauge | memory in RAM |
/// | `process_start_time_seconds` | gauge | seconds since the epoch, unchanged if the clock is set later |
/// | `process_threads` | gauge | threads of the operating system |
/// | `process_virtual_memory_bytes` | gauge | address space in use; on Windows committed memory |
/// | `process_virtual_memory_max_bytes` | gauge | soft limit on address space; 2⁶⁴ - 1 for none, as in client_golang |
///
/// Values that the system does not provide are omitted. Without free descriptors most values are omitted. Linux
/// provides all of them if `/proc` is mounted. macOS, Windows, FreeBSD and OpenBSD provide most of them, other systems
/// none.
///
/// Building for macOS needs libclang, which is in Apple's Command Line Tools. To build for macOS on another system,
/// disable the feature `process`.
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
/// `prometheus` has a collector of this name with its feature `process`, which it registers into its default registry.
/// It works on Linux only, counts whole seconds of CPU time and lacks `process_virtual_memory_max_bytes`. You cannot
/// register both into one registry.
#[derive(Debug)]
pub struct ProcessCollector {
    descs: Vec<Desc>,
    kept: Kept,
}

impl ProcessCollector {
    /// Creates a collector of the current process. It reads nothing before a gather.
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

/// The default collector, whose registry and kept values all servers of the process share.
#[derive(Debug)]
struct ByDefault;

impl DefaultCollector for ByDefault {
    fn registry(&self) -> Option<&Registry> {
        static REGISTRY: Lazy<Registry> = Lazy::new(|| registry_of(ProcessCollector::new()));
        Some(&REGISTRY)
    }
}

/// The function that reads the process on this system. Empty on unsupported systems.
const SYSTEMS: &[fn(&Kept) -> Reading] = &[
    #[cfg(target_os = "linux")]
    linux::read,
    #[cfg(any(target_os = "freebsd", target_os = "macos", target_os = "openbsd", target_os = "windows"))]
    elsewhere::read,
];

struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Reading) -> Option<f64>,
}

/// Expands to a list of metrics, with the type, the name, the help and the field of the reading of each.
macro_rules! metrics {
    ($($kind:ident $name:literal $help:literal $value:ident,)*) => {
        &[$(Metric { name: $name, help: $help, kind: MetricType::$kind, value: |it| it.$value },)*]
    };
}

/// The help texts are those of client_golang (process_collector.go). For threads, which it lacks, it is `prometheus`'.
const METRICS: &[Metric] = metrics! {
    COUNTER "process_cpu_seconds_total" "Total user and system CPU time spent in seconds." cpu_seconds,
    GAUGE "process_max_fds" "Maximum number of open file descriptors." max_fds,
    GAUGE "process_open_fds" "Number of open file descriptors." open_fds,
    GAUGE "process_resident_memory_bytes" "Resident memory size in bytes." resident_bytes,
    GAUGE "process_start_time_seconds" "Start time of the process since unix epoch in seconds." start_time_seconds,
    GAUGE "process_threads" "Number of OS threads in the process." threads,
    GAUGE "process_virtual_memory_bytes" "Virtual memory size in bytes." virtual_bytes,
    GAUGE "process_virtual_memory_max_bytes" "Maximum amount of virtual memory available in bytes."
        virtual_max_bytes,
};

fn families(reading: &Reading) -> Vec<MetricFamily> {
    let shown = |metric: &Metric| {
        let value = (metric.value)(reading)?;
        Some(family(metric.name, metric.help, metric.kind, vec![of_value(metric.kind, Vec::new(), value)]))
    };
    METRICS.iter().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::proto::MetricType;

    /// Returns the lines of the samples.
    fn samples(families: &[MetricFamily]) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(families).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn each_metric_has_its_description_and_value() {
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
    fn omits_unknown_values() {
        assert!(families(&Reading::default()).is_empty());
        let some = families(&Reading { threads: Some(0.0), ..Reading::default() });
        assert_eq!(some.iter().map(MetricFamily::name).collect::<Vec<_>>(), ["process_threads"]);
    }

    #[test]
    fn servers_share_the_registry_of_this_process() {
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

    /// Compares with `metrics-process`, which reads the same files with another crate. Runs in its own process because
    /// other tests change threads, files and memory.
    #[cfg(target_os = "linux")]
    #[test]
    fn reads_the_same_values_as_metrics_process() {
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
        // `metrics-process` counts its descriptor of the process' folder. Before Linux 6.2 it counts one for the
        // listing.
        let their_own = theirs.open_fds.unwrap() - ours.open_fds.unwrap();
        assert!((1.0..=2.0).contains(&their_own), "{ours:?} {theirs:?}");
        assert_eq!(ours.threads, theirs.threads);
        assert!(near(ours.resident_bytes, theirs.resident_bytes), "{ours:?} {theirs:?}");
        assert!(near(ours.virtual_bytes, theirs.virtual_bytes), "{ours:?} {theirs:?}");
    }
}
