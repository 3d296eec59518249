//! A collector that calls a closure for its samples.

use std::fmt;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family;
use super::samples::Samples;
use super::skipped::{self, Logged};
use crate::util::error::BoxError;
use crate::util::throttle::Throttle;

/// Returns a collector that calls `collect` for its samples at each gather.
///
/// Use it in an exporter that copies values from elsewhere. Unlike with instruments,
///
/// * you set a counter to the absolute value of its source,
/// * a series disappears once you do not add it any more,
/// * a sample may have a [timestamp](Samples::timestamp).
///
/// ```
/// use prometheus_hyper::collector::{Samples, from_fn};
/// use prometheus_hyper::prometheus::{Registry, TextEncoder};
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// /// The last report of a device.
/// struct Report {
///     packets: u64,
///     celsius: f64,
/// }
///
/// # fn main() -> Result<(), prometheus_hyper::prometheus::Error> {
/// let devices: Arc<Mutex<BTreeMap<String, Report>>> = Arc::default();
///
/// let registry = Registry::new();
/// let reports = Arc::clone(&devices);
/// registry.register(Box::new(from_fn(move |s: &mut Samples| {
///     let Ok(reports) = reports.lock() else { return };
///     s.gauge("devices", "Number of connected devices.", &[], reports.len() as f64);
///     for (name, report) in reports.iter() {
///         let labels = &[("device", name.as_str())];
///         s.counter("device_packets_total", "Number of packets sent.", labels, report.packets as f64);
///         s.gauge("device_temperature_celsius", "Temperature.", labels, report.celsius);
///     }
/// })))?;
///
/// devices.lock().unwrap().insert("pump".to_owned(), Report { packets: 17, celsius: 36.5 });
/// let text = TextEncoder::new().encode_to_string(&registry.gather())?;
/// assert!(text.contains("\ndevice_packets_total{device=\"pump\"} 17\n"));
///
/// devices.lock().unwrap().clear();
/// assert_eq!(registry.gather().len(), 1); // only `devices` has a sample
/// # Ok(())
/// # }
/// ```
///
/// An [invalid sample](crate::guide#skipped-samples) is skipped, logged and counted, and the rest is served.
///
/// # Limits
///
/// * `collect` runs on the gathering thread, with the deadline of the scrape. To await a value, use
///   [`Builder::before_scrape`](crate::Builder::before_scrape) and store the result where `collect` can read it.
/// * If `collect` panics, the registry is skipped in that scrape. A closure of [`try_from_fn`]
///   can return an error instead.
/// * You can register any number of these collectors. The registry does not check their names: a series that two
///   collectors have is served once. If another collector has a name with another type, its values are wrong. Use each
///   name in one collector.
pub fn from_fn<F>(collect: F) -> FromFn<F>
where
    F: Fn(&mut Samples) + Send + Sync + 'static,
{
    FromFn::new(collect, |collect, samples| {
        collect(samples);
        Ok(())
    })
}

/// Returns a collector like that of [`from_fn`], whose closure may return an error.
///
/// If `collect` returns an error, the collector has no series in that gather. Samples that it added before are dropped.
/// The server counts the failure in `prometheus_exporter_errors_total{cause="skipped"}`. It logs the error and its
/// sources at level warn, at most once a minute for each collector. Name the collector in the error, because the log does
/// not.
///
/// ```
/// use prometheus_hyper::collector::{Samples, try_from_fn};
/// use prometheus_hyper::prometheus::Registry;
///
/// # fn main() -> Result<(), prometheus_hyper::prometheus::Error> {
/// let registry = Registry::new();
/// registry.register(Box::new(try_from_fn(|s: &mut Samples| {
///     let load = std::fs::read_to_string("/proc/loadavg")?;
///     let minute = load.split(' ').next().unwrap_or_default().parse()?;
///     s.gauge("load1", "Load of the last minute.", &[], minute);
///     Ok(())
/// })))?;
/// # Ok(())
/// # }
/// ```
pub fn try_from_fn<F>(collect: F) -> FromFn<F>
where
    F: Fn(&mut Samples) -> Result<(), BoxError> + Send + Sync + 'static,
{
    FromFn::new(collect, |collect, samples| collect(samples))
}

/// The [`Collector`] that [`from_fn`] and [`try_from_fn`] return.
///
/// For a [`Registry`](prometheus::Registry) a clone is the same collector: it accepts one of them, and
/// [`unregister`](prometheus::Registry::unregister) accepts any clone.
#[derive(Clone)]
pub struct FromFn<F> {
    collect: F,
    call: Call<F>,
    desc: Desc,
    was_logged: Arc<Logged>,
    failures: Arc<Throttle>,
}

type Call<F> = fn(&F, &mut Samples) -> Result<(), BoxError>;

impl<F> FromFn<F> {
    fn new(collect: F, call: Call<F>) -> Self {
        let desc = family::unique_desc();
        FromFn { collect, call, desc, was_logged: Arc::default(), failures: Arc::default() }
    }
}

impl<F: Send + Sync> Collector for FromFn<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::new();
        match (self.call)(&self.collect, &mut samples) {
            Ok(()) => samples.into_families(&self.was_logged),
            Err(error) => {
                skipped::report_failure(&*error, &self.failures);
                Vec::new()
            }
        }
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
