//! A collector that calls a closure for its samples.

mod checks;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType};

pub(crate) use checks::is_metric_name;

use super::family::{self, by_series, sort_series};
use super::skipped::{Logged, SampleSkipReason, SkippedSamples};
use crate::exposition::metric;

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
/// # Skipped samples
///
/// An invalid sample is skipped, and the rest is served. These are invalid:
///
/// * a metric name that does not match `[a-zA-Z_:][a-zA-Z0-9_:]*`;
/// * a label name that does not match `[a-zA-Z_][a-zA-Z0-9_]*`, begins with `__`, or is used twice in a sample;
/// * the label `le` on a histogram, and the label `quantile` on a summary;
/// * a counter that is negative or NaN;
/// * a histogram or a summary that violates the rules of [`Samples::histogram`] or [`Samples::summary`];
/// * a type that differs from that of the first valid sample with this name in this gather;
/// * a series that is repeated in this gather, with its labels in any order;
/// * a timestamp that cannot be served, see [`Samples::timestamp`].
///
/// At each gather the server adds their number to `prometheus_exporter_errors_total{cause="skipped"}`. The first
/// invalid sample of a collector is logged at level warn, with its name and the reason. Later ones are not logged. If
/// your program calls [`Registry::gather`](prometheus::Registry::gather), they are logged but not counted.
///
/// # Limits
///
/// * `collect` runs on the gathering thread, with the deadline of the scrape. To await a value, use
///   [`Builder::before_scrape`](crate::Builder::before_scrape) and store the result where `collect` can read it.
/// * If `collect` panics, the registry is left out of that scrape. A closure of [`try_from_fn`](super::try_from_fn())
///   can return an error instead.
/// * You can register any number of these collectors. The registry does not check their names: a series that two
///   collectors have is served once. If another collector has a name with another type, its values are wrong. Use each
///   name in one collector.
pub fn from_fn<F>(collect: F) -> FromFn<F>
where
    F: Fn(&mut Samples) + Send + Sync + 'static,
{
    FromFn { collect, desc: family::unique_desc(), logged: Arc::default() }
}

/// The [`Collector`] that [`from_fn`] returns.
///
/// For a [`Registry`](prometheus::Registry) a clone is the same collector: it accepts one of them, and
/// [`unregister`](prometheus::Registry::unregister) accepts any clone.
#[derive(Clone)]
pub struct FromFn<F> {
    collect: F,
    desc: Desc,
    logged: Arc<Logged>,
}

impl<F: Fn(&mut Samples) + Send + Sync> Collector for FromFn<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::new();
        (self.collect)(&mut samples);
        samples.into_families(&self.logged)
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

/// Receives the samples of one gather from the closure of [`from_fn`].
///
/// Each call adds one sample, in any order. The samples of a name become one family, whose help is that of the first
/// sample. The families are sorted as a registry sorts them. Help and the values of labels may be any text.
#[derive(Debug)]
pub struct Samples {
    /// In the order of their names.
    families: Vec<MetricFamily>,
    /// The index of the family of the last sample. `None` if that sample was skipped.
    last: Option<usize>,
    skipped: SkippedSamples,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Samples { families: Vec::new(), last: None, skipped: SkippedSamples::default() }
    }

    /// Adds a gauge, a value that can go up and down. It can be any `f64`, including NaN and the infinities.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.gauge("queue_depth", "Number of waiting jobs.", &[("queue", "mail")], 3.0);
    /// s.gauge("ready", "Whether the service is ready.", &[], 1.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 2);
    /// ```
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric = checks::labels(labels).map(|labels| metric::of_value(MetricType::GAUGE, labels, value));
        self.put(name, help, MetricType::GAUGE, metric)
    }

    /// Adds a counter, a value that only goes up. It is the absolute value of its source, zero or above.
    ///
    /// By convention its name ends in `_total`. Without the suffix, its type in OpenMetrics is `unknown`. Prometheus
    /// takes a value below that of the last scrape for a counter reset.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.counter("jobs_total", "Number of finished jobs.", &[("queue", "mail"), ("result", "ok")], 1027.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric = checks::labels(labels).and_then(|labels| {
            if value >= 0.0 {
                Ok(metric::of_value(MetricType::COUNTER, labels, value))
            } else {
                Err(SampleSkipReason::Counter)
            }
        });
        self.put(name, help, MetricType::COUNTER, metric)
    }

    /// Adds a histogram with its buckets, and the sum and the count of all observations.
    ///
    /// A bucket is a pair of an inclusive upper bound and the count of the observations up to it. The bounds must
    /// ascend. The counts are cumulative as in the formats, so they must not fall, and the last one must not be above
    /// `count`.
    ///
    /// The bucket `+Inf` is derived from `count`. You may pass it as the last bucket if it has the same count. `count`
    /// is required because observations above the last bound are in no bucket.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// // 7 of 10 jobs took up to 0.1 s, 9 up to 1 s, and one took longer.
    /// s.histogram("job_seconds", "Time of a job.", &[], &[(0.1, 7), (1.0, 9)], 2.75, 10);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) -> &mut Self {
        let metric = checks::labels(labels).and_then(|labels| {
            let buckets = checks::buckets(&labels, buckets, count)?;
            let buckets = buckets.iter().map(|(bound, count)| metric::bucket(*bound, *count)).collect();
            Ok(metric::of_buckets(labels, buckets, sum, count))
        });
        self.put(name, help, MetricType::HISTOGRAM, metric)
    }

    /// Adds a summary with its quantiles, and the sum and the count of all observations.
    ///
    /// The quantiles are pairs of a quantile and its value. They must ascend from 0 to 1. The label `quantile` is
    /// reserved. Without observations pass NaN as the value.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// // 5 of 10 requests took up to 0.1 s, 9 up to 0.7 s.
    /// s.summary("request_seconds", "Time of a request.", &[], &[(0.5, 0.1), (0.9, 0.7)], 2.75, 10);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn summary(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        quantiles: &[(f64, f64)],
        sum: f64,
        count: u64,
    ) -> &mut Self {
        let metric = checks::labels(labels).and_then(|labels| {
            checks::quantiles(&labels, quantiles)?;
            let quantiles = quantiles.iter().map(|(quantile, value)| metric::quantile(*quantile, *value));
            Ok(metric::of_quantiles(labels, quantiles.collect(), sum, count))
        });
        self.put(name, help, MetricType::SUMMARY, metric)
    }

    /// Adds a gauge with the value 1, whose labels describe your program or its target.
    ///
    /// By convention its name ends in `_info`.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.info("database_info", "Version and role of the database.", &[("version", "17.2"), ("role", "replica")]);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> &mut Self {
        self.gauge(name, help, labels, 1.0)
    }

    /// Adds a value of unknown type, which is `unknown` in OpenMetrics. It can be any `f64`.
    ///
    /// This server serves it, but [`TextEncoder`](prometheus::TextEncoder) of `prometheus` 0.14 panics. If your program
    /// encodes the registry itself, use [`gauge`](Self::gauge).
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.untyped("imported_value", "Value from a file without types.", &[("key", "a")], 7.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric =
            checks::labels(labels).map(|labels| metric::of_value(MetricType::UNTYPED, labels, value));
        self.put(name, help, MetricType::UNTYPED, metric)
    }

    fn put(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        metric: Result<Metric, SampleSkipReason>,
    ) -> &mut Self {
        let added = metric.and_then(|metric| self.add(name, help, kind, metric));
        self.last = added.map_err(|reason| self.skipped.add(name, reason)).ok();
        self
    }

    /// Adds a metric at the end of its family, and returns the index of the family.
    fn add(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        metric: Metric,
    ) -> Result<usize, SampleSkipReason> {
        let found = self.families.binary_search_by(|family| family.name().cmp(name));
        let at = match found {
            Ok(at) => at,
            Err(at) => {
                checks::metric_name(name)?;
                self.families.insert(at, metric::family(name, help, kind, Vec::new()));
                at
            }
        };
        let family = &mut self.families[at];
        if family.get_metric().is_empty() {
            // All its samples were skipped, so this sample decides the help and the type.
            family.set_help(help.to_owned());
            family.set_field_type(kind);
        } else if family.get_field_type() != kind {
            return Err(SampleSkipReason::Type);
        }
        family.mut_metric().push(metric);
        Ok(at)
    }

    /// Sets the timestamp of the last sample, rounded down to milliseconds.
    ///
    /// Default: none. Prometheus then uses the time of the scrape.
    ///
    /// Use it only if the source knows the times of its values, such as another monitoring system. Prometheus does not
    /// mark a series with timestamps as stale when it disappears. It drops samples that are older than its last one, or
    /// more than ten minutes ahead.
    ///
    /// The sample is skipped if the time does not fit into `i64` milliseconds. It is also skipped in the first
    /// millisecond after the Unix epoch, because [`prometheus`] takes zero for no timestamp.
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// let measured = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    /// s.gauge("river_level_meters", "Water level.", &[], 2.4).timestamp(measured);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn timestamp(&mut self, at: SystemTime) {
        let Some(family) = self.last.and_then(|last| self.families.get_mut(last)) else { return };
        match checks::timestamp(at) {
            Ok(milliseconds) => {
                if let Some(metric) = family.mut_metric().last_mut() {
                    metric.set_timestamp_ms(milliseconds);
                }
            }
            Err(reason) => {
                family.mut_metric().pop();
                self.skipped.add(family.name(), reason);
                self.last = None;
            }
        }
    }

    /// Returns the families. Counts the skipped samples for the gather on this thread, and logs the first one once.
    pub(crate) fn into_families(self, logged: &Logged) -> Vec<MetricFamily> {
        let (families, skipped) = self.finish();
        skipped.report(logged);
        families
    }

    /// Returns the families, with each series once, and the skipped samples.
    fn finish(self) -> (Vec<MetricFamily>, SkippedSamples) {
        let Samples { mut families, last: _, mut skipped } = self;
        for family in &mut families {
            // The registry sorts them, too, which is fast for sorted metrics. The sort is stable, so the first one is
            // kept.
            let mut metrics = std::mem::take(family.mut_metric());
            sort_series(&mut metrics, by_series);
            metrics.dedup_by(|later, first| {
                let is_repeated = by_series(later, first).is_eq();
                if is_repeated {
                    skipped.add(family.name(), SampleSkipReason::Repeated);
                }
                is_repeated
            });
            family.set_metric(metrics);
        }
        families.retain(|family| !family.get_metric().is_empty());
        (families, skipped)
    }
}

#[cfg(test)]
mod tests;
