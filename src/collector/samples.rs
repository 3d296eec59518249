//! The samples of one gather, made on the spot.

mod checks;

use std::collections::HashMap;
use std::time::SystemTime;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::family::by_series;
use super::skipped::{Logged, SampleSkipReason, SkippedSamples};
use crate::exposition::metric;

/// Receives the samples of one gather from the closure of [`from_fn`](super::from_fn()).
///
/// Each call adds one sample, in any order. The samples of a name become one family, whose help is that of the first
/// sample. The registry sorts the families. Help and the values of labels may be any text.
#[derive(Debug)]
pub struct Samples {
    families: Families,
    /// The index of the family of the last sample. `None` if that sample was skipped.
    last: Option<usize>,
    skipped: SkippedSamples,
}

impl Samples {
    pub(crate) fn new() -> Self {
        Samples {
            families: Families { list: Vec::new(), by_name: HashMap::new() },
            last: None,
            skipped: SkippedSamples::default(),
        }
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
        self.put(name, help, MetricType::GAUGE, labels, |kind, labels| {
            Ok(metric::of_value(kind, labels, value))
        })
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
        self.put(name, help, MetricType::COUNTER, labels, |kind, labels| {
            (value >= 0.0).then(|| metric::of_value(kind, labels, value)).ok_or(SampleSkipReason::Counter)
        })
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
        self.put(name, help, MetricType::HISTOGRAM, labels, |_, labels| {
            let buckets = checks::buckets(&labels, buckets, count)?;
            let buckets = buckets.iter().map(|(bound, count)| metric::bucket(*bound, *count)).collect();
            Ok(metric::of_buckets(labels, buckets, sum, count))
        })
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
        self.put(name, help, MetricType::SUMMARY, labels, |_, labels| {
            checks::quantiles(&labels, quantiles)?;
            let quantiles = quantiles.iter().map(|(quantile, value)| metric::quantile(*quantile, *value));
            Ok(metric::of_quantiles(labels, quantiles.collect(), sum, count))
        })
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
        self.put(name, help, MetricType::UNTYPED, labels, |kind, labels| {
            Ok(metric::of_value(kind, labels, value))
        })
    }

    fn put(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        labels: &[(&str, &str)],
        metric: impl FnOnce(MetricType, Vec<LabelPair>) -> Result<Metric, SampleSkipReason>,
    ) -> &mut Self {
        let metric = checks::labels(labels).and_then(|labels| metric(kind, labels));
        let added = metric.and_then(|metric| self.families.put(name, help, kind, metric));
        self.last = added.map_err(|reason| self.skipped.add(name, reason)).ok();
        self
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
    /// The text format skips a time before the Unix epoch, because Prometheus would reject the whole scrape. OpenMetrics and
    /// protobuf serve it.
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

    /// Returns the families. Counts the skipped samples for the gather on this thread, and logs the first one once.
    pub(crate) fn into_families(self, logged: &Logged) -> Vec<MetricFamily> {
        let (families, skipped) = self.finish();
        skipped.report(logged);
        families
    }

    /// Returns the families, with each series once, and the skipped samples.
    fn finish(self) -> (Vec<MetricFamily>, SkippedSamples) {
        let Samples { families, last: _, mut skipped } = self;
        let Families { list: mut families, by_name: _ } = families;
        for family in &mut families {
            // The registry sorts them, too, which is fast for sorted metrics. The sort is stable, so the first one is
            // kept.
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

/// The families by name.
#[derive(Debug)]
struct Families {
    list: Vec<MetricFamily>,
    /// The index in the list by name.
    by_name: HashMap<String, usize>,
}

impl Families {
    /// Adds a metric at the end of its family, and returns the index of the family.
    fn put(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        metric: Metric,
    ) -> Result<usize, SampleSkipReason> {
        let index = match self.by_name.get(name) {
            Some(index) => *index,
            None => {
                checks::metric_name(name)?;
                self.by_name.insert(name.to_owned(), self.list.len());
                self.list.push(metric::family(name, help, kind, Vec::new()));
                self.list.len() - 1
            }
        };
        let family = &mut self.list[index];
        if family.get_metric().is_empty() {
            // All its samples were skipped, so this sample decides the help and the type.
            family.set_help(help.to_owned());
            family.set_field_type(kind);
        } else if family.get_field_type() != kind {
            return Err(SampleSkipReason::Type);
        }
        family.mut_metric().push(metric);
        Ok(index)
    }
}

#[cfg(test)]
mod tests;
