//! A collector from a closure: samples built on the spot.

mod checks;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType};

pub(crate) use checks::is_metric_name;

use super::family::{self, Kind, by_series};
use super::skipped::{Logged, SampleSkipReason, SkippedSamples};

/// Makes a collector that calls `collect` for its samples at each gather, for an exporter that copies values from elsewhere.
///
/// What instruments can not do is done here: a counter has the absolute value that it has there, a series whose labels
/// are not named any more is gone, and a sample may have a [timestamp](Samples::timestamp) of its own.
///
/// ```
/// use prometheus_hyper::collector::{Samples, from_fn};
/// use prometheus_hyper::prometheus::{Registry, TextEncoder};
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// /// What is known of a device, which reports when it likes.
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
///     s.gauge("devices", "Devices that are there", &[], reports.len() as f64);
///     for (name, report) in reports.iter() {
///         let labels = &[("device", name.as_str())];
///         s.counter("device_packets_total", "Packets sent", labels, report.packets as f64);
///         s.gauge("device_temperature_celsius", "Temperature", labels, report.celsius);
///     }
/// })))?;
///
/// devices.lock().unwrap().insert("pump".to_owned(), Report { packets: 17, celsius: 36.5 });
/// let text = TextEncoder::new().encode_to_string(&registry.gather())?;
/// assert!(text.contains("\ndevice_packets_total{device=\"pump\"} 17\n"));
///
/// devices.lock().unwrap().clear();
/// assert_eq!(registry.gather().len(), 1); // what has no samples is not there
/// # Ok(())
/// # }
/// ```
///
/// # What is skipped
///
/// A bad sample is skipped, and the rest is served. Bad is
///
/// * a metric name that is not `[a-zA-Z_:][a-zA-Z0-9_:]*`, a label name that is not `[a-zA-Z_][a-zA-Z0-9_]*` or begins
///   with `__`, a label name twice, `le` on a histogram, and `quantile` on a summary;
/// * a counter below zero or not a number, and a histogram or summary as [`Samples::histogram`] or [`Samples::summary`] will
///   not have it;
/// * a name under another type than that of the first good sample of this name in this gather;
/// * a series that was there before in this gather, its labels in whatever order;
/// * a timestamp that can not be served: see [`Samples::timestamp`].
///
/// The server that gathers counts each, at each gather, in `prometheus_exporter_errors_total{cause="skipped"}`. The first
/// bad sample of a collector is a line in the log, at level warn, with its name and the reason; its later ones are not. Of a
/// [`Registry::gather`](prometheus::Registry::gather) that the program itself calls there is the line alone.
///
/// # The edges
///
/// * `collect` runs on the thread that gathers, under the scrape's deadline. What is to be awaited belongs into
///   [`Builder::before_scrape`](crate::Builder::before_scrape), which leaves its result where this finds it.
/// * If it panics, that is a collector's panic as any: its registry is left out of that scrape. [`try_from_fn`](super::try_from_fn())
///   takes a closure that returns an error instead.
/// * A registry can hold any number of these, but it looks at no names beforehand: a series that another collector has, too,
///   is served once, and a name that another has under another type is read wrongly. Each name belongs to one collector.
pub fn from_fn<F>(collect: F) -> FromFn<F>
where
    F: Fn(&mut Samples) + Send + Sync + 'static,
{
    FromFn { collect, desc: family::unique_desc(), logged: Arc::default() }
}

/// The [`Collector`] that [`from_fn`] returns.
///
/// A clone is the same collector to a [`Registry`](prometheus::Registry), which takes one of the two, and gives the one back
/// for the other in [`unregister`](prometheus::Registry::unregister).
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

/// The samples of one gather: what the closure of [`from_fn`] fills.
///
/// Each call adds one sample. They need no order: the samples of a name become one family, whose help is that of the
/// first, and all is sorted as a registry sorts. Help and the values of labels may be any text.
#[derive(Debug)]
pub struct Samples {
    families: Families,
    /// Where the family is whose last metric was added last; `None` if that was skipped.
    last: Option<usize>,
    skipped: SkippedSamples,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Samples {
            families: Families { list: Vec::new(), places: HashMap::new() },
            last: None,
            skipped: SkippedSamples::default(),
        }
    }

    /// A value that goes up and down; any `f64`, also NaN and the infinities.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.gauge("queue_depth", "Jobs that wait", &[("queue", "mail")], 3.0);
    /// s.gauge("ready", "Whether there is work to do", &[], 1.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 2);
    /// ```
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric = checks::labels(labels).map(|labels| Kind::Gauge.metric(labels, value));
        self.put(name, help, Kind::Gauge.into(), metric)
    }

    /// A value that only goes up: the absolute one, as it is at its source, zero or above. By convention its name ends in
    /// `_total`, without which OpenMetrics has it as `unknown`.
    ///
    /// A value that is lower than at the last gather is a counter that began anew, to Prometheus.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.counter("jobs_total", "Jobs done", &[("queue", "mail"), ("result", "ok")], 1027.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric = checks::labels(labels).and_then(|labels| {
            if value >= 0.0 {
                Ok(Kind::Counter.metric(labels, value))
            } else {
                Err(SampleSkipReason::Counter)
            }
        });
        self.put(name, help, Kind::Counter.into(), metric)
    }

    /// A histogram: pairs of an upper bound, inclusive, and the count of the observations up to it; the sum of all
    /// observations; and the count of all.
    ///
    /// The counts are cumulative, as in the formats: each contains those before. They must not fall, the last must not
    /// be above `count`, and the bounds must ascend. The bucket of infinity is made of `count`; who has one, last, may give it,
    /// if it says the same. The count is asked for because it can not be made up: the buckets do not tell what lies beyond
    /// them.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// // Of 10 jobs 7 took up to 0.1 s, 9 up to 1 s, and one took longer.
    /// s.histogram("job_seconds", "Time of a job", &[], &[(0.1, 7), (1.0, 9)], 2.75, 10);
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
            Ok(family::histogram(labels, buckets, sum, count))
        });
        self.put(name, help, MetricType::HISTOGRAM, metric)
    }

    /// Adds a summary: pairs of a quantile, from 0 to 1 and ascending, and its value; the sum of all observations; and the count
    /// of all.
    ///
    /// The label `quantile` is the summary's own. Without observations a value is NaN.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// // Half of the 10 requests took up to 0.1 s, and nine of them up to 0.7 s.
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
            Ok(family::summary(labels, quantiles, sum, count))
        });
        self.put(name, help, MetricType::SUMMARY, metric)
    }

    /// Adds what is known about the program or its target as labels: a gauge whose value is 1. By convention its name ends
    /// in `_info`.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.info("database_info", "The database.", &[("version", "17.2"), ("role", "replica")]);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> &mut Self {
        self.gauge(name, help, labels, 1.0)
    }

    /// Adds a value whose type its source does not tell; any `f64`. OpenMetrics calls it `unknown`.
    ///
    /// This server serves it. [`TextEncoder`](prometheus::TextEncoder) of `prometheus` 0.14 panics at such a family, so use
    /// [`gauge`](Self::gauge) in a registry that your program encodes itself.
    ///
    /// ```
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// s.untyped("imported_value", "A value of a file without types.", &[("key", "a")], 7.0);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let metric = checks::labels(labels).map(|labels| Kind::Untyped.metric(labels, value));
        self.put(name, help, Kind::Untyped.into(), metric)
    }

    fn put(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        metric: Result<Metric, SampleSkipReason>,
    ) -> &mut Self {
        let added = metric.and_then(|metric| self.families.put(name, help, kind, metric));
        self.last = added.map_err(|reason| self.skipped.add(name, reason)).ok();
        self
    }

    /// Sets when the sample that was added last had its value, rounded down to milliseconds. Default: none, and then it is the
    /// time of the scrape.
    ///
    /// Seldom a good idea: Prometheus does not mark a series with timestamps as gone when it is gone, drops samples that
    /// are older than what it has, and those more than ten minutes ahead. It is for values whose source knows
    /// their time, such as another monitoring system.
    ///
    /// A time beyond `i64` milliseconds, and the millisecond at the Unix epoch, which [`prometheus`] takes for none: the sample is
    /// skipped. Where the source has no time, call nothing.
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use prometheus_hyper::prometheus::core::Collector;
    /// # let served = prometheus_hyper::collector::from_fn(|s| {
    /// let measured = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    /// s.gauge("river_level_meters", "Level of the river", &[], 2.4).timestamp(measured);
    /// # }).collect();
    /// # assert_eq!(served.len(), 1);
    /// ```
    pub fn timestamp(&mut self, at: SystemTime) {
        let Some(family) = self.last.and_then(|last| self.families.list.get_mut(last)) else { return };
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

    /// The families. Bad samples are counted for whoever gathers on this thread, and the first is logged unless it was.
    pub(crate) fn into_families(self, logged: &Logged) -> Vec<MetricFamily> {
        let (families, skipped) = self.finish();
        skipped.report(logged);
        families
    }

    /// What is there in the end, each series once.
    fn finish(self) -> (Vec<MetricFamily>, SkippedSamples) {
        let Samples { families, last: _, mut skipped } = self;
        let Families { list: mut families, places: _ } = families;
        for family in &mut families {
            // The registry would sort them anyhow, and finds them sorted. Stable, so that the first of a series stays.
            let mut metrics = std::mem::take(family.mut_metric());
            metrics.sort_by(by_series);
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

/// By name.
#[derive(Debug)]
struct Families {
    list: Vec<MetricFamily>,
    /// Where in the list a name is.
    places: HashMap<String, usize>,
}

impl Families {
    /// Returns where the family is whose last metric it has become.
    fn put(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        metric: Metric,
    ) -> Result<usize, SampleSkipReason> {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                checks::metric_name(name)?;
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push(family::family(name, help, kind, []));
                self.list.len() - 1
            }
        };
        let family = &mut self.list[place];
        if family.get_metric().is_empty() {
            // All that it had were skipped: it is whatever comes now.
            family.set_help(help.to_owned());
            family.set_field_type(kind);
        } else if family.get_field_type() != kind {
            return Err(SampleSkipReason::Type);
        }
        family.mut_metric().push(metric);
        Ok(place)
    }
}

#[cfg(test)]
mod tests;
