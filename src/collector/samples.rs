//! A collector from a closure: samples built on the spot.

mod checks;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::family::{self, Kind, by_series};
use super::left_out::{LeftOut, Reason};

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
/// # What is left out
///
/// A bad sample is left out, and the rest is served. Bad is
///
/// * a metric name that is not `[a-zA-Z_:][a-zA-Z0-9_:]*`, a label name that is not `[a-zA-Z_][a-zA-Z0-9_]*` or begins
///   with `__`, a label name twice, and `le` on a histogram;
/// * a counter below zero or not a number, and a histogram as [`Samples::histogram`] will not have it;
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
/// * If it panics, that is a collector's panic as any: its registry is left out of that scrape.
/// * A registry can hold any number of these, but it looks at no names beforehand: a series that another collector has, too,
///   is served once, and a name that another has under another type is read wrongly. Each name belongs to one collector.
pub fn from_fn<F>(collect: F) -> FromFn<F>
where
    F: Fn(&mut Samples) + Send + Sync + 'static,
{
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    // A registry tells collectors apart by their descriptions, and two that have none are one to it.
    let desc = family::desc(
        "prometheus_hyper_samples",
        "Never served: which collector it is",
        &[],
        Some(("collector", &number)),
    );
    FromFn { collect, desc, was_logged: Arc::default() }
}

/// The [`Collector`] that [`from_fn`] returns.
///
/// A clone is the same collector to a [`Registry`](prometheus::Registry), which takes one of the two, and gives the one back
/// for the other in [`unregister`](prometheus::Registry::unregister).
#[derive(Clone)]
pub struct FromFn<F> {
    collect: F,
    desc: Desc,
    was_logged: Arc<AtomicBool>,
}

impl<F: Fn(&mut Samples) + Send + Sync> Collector for FromFn<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::new();
        (self.collect)(&mut samples);
        let (families, left_out) = samples.finish();
        left_out.report(&self.was_logged);
        families
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
    /// Where the family is whose last metric was added last; `None` if that was left out.
    last: Option<usize>,
    left_out: LeftOut,
}

impl Samples {
    fn new() -> Self {
        Samples {
            families: Families { list: Vec::new(), places: HashMap::new() },
            last: None,
            left_out: LeftOut::default(),
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
            if value >= 0.0 { Ok(Kind::Counter.metric(labels, value)) } else { Err(Reason::Counter) }
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

    fn put(&mut self, name: &str, help: &str, kind: MetricType, metric: Result<Metric, Reason>) -> &mut Self {
        let added = metric.and_then(|metric| self.families.put(name, help, kind, metric));
        self.last = added.map_err(|reason| self.left_out.add(name, reason)).ok();
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
    /// left out. Where the source has no time, call nothing.
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
                self.left_out.add(family.name(), reason);
                self.last = None;
            }
        }
    }

    /// What is there in the end, each series once.
    fn finish(self) -> (Vec<MetricFamily>, LeftOut) {
        let Samples { families, last: _, mut left_out } = self;
        let Families { list: mut families, places: _ } = families;
        for family in &mut families {
            // The registry would sort them anyhow, and finds them sorted. Stable, so that the first of a series stays.
            let mut metrics = std::mem::take(family.mut_metric());
            metrics.sort_by(by_series);
            metrics.dedup_by(|later, first| {
                let is_repeated = by_series(later, first).is_eq();
                if is_repeated {
                    left_out.add(family.name(), Reason::Repeated);
                }
                is_repeated
            });
            family.set_metric(metrics);
        }
        families.retain(|family| !family.get_metric().is_empty());
        (families, left_out)
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
    fn put(&mut self, name: &str, help: &str, kind: MetricType, metric: Metric) -> Result<usize, Reason> {
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
            // All that it had were left out: it is whatever comes now.
            family.set_help(help.to_owned());
            family.set_field_type(kind);
        } else if family.get_field_type() != kind {
            return Err(Reason::Type);
        }
        family.mut_metric().push(metric);
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn text(families: &[MetricFamily]) -> String {
        TextEncoder::new().encode_to_string(families).unwrap()
    }

    fn registered(collector: impl Collector + 'static) -> Registry {
        let registry = Registry::new();
        registry.register(Box::new(collector)).unwrap();
        registry
    }

    #[test]
    fn a_bad_sample_is_left_out_and_the_rest_is_not() {
        type Row = (&'static str, Reason, fn(&mut Samples));
        let table: &[Row] = &[
            ("no name", Reason::Name, |s| {
                s.gauge("", "", &[], 1.0);
            }),
            ("a digit in front", Reason::Name, |s| {
                s.gauge("1a", "", &[], 1.0);
            }),
            ("a dot in the name", Reason::Name, |s| {
                s.counter("a.b", "", &[], 1.0);
            }),
            ("not ASCII", Reason::Name, |s| {
                s.gauge("é", "", &[], 1.0);
            }),
            ("two lines", Reason::Name, |s| {
                s.histogram("a 1\nb", "", &[], &[], 0.0, 0);
            }),
            ("no label name", Reason::LabelName, |s| {
                s.gauge("a", "", &[("", "x")], 1.0);
            }),
            ("a colon in a label name", Reason::LabelName, |s| {
                s.gauge("a", "", &[("a:b", "")], 1.0);
            }),
            ("two underscores", Reason::LabelName, |s| {
                s.gauge("a", "", &[("__name__", "b")], 1.0);
            }),
            ("a label twice", Reason::LabelTwice, |s| {
                s.gauge("a", "", &[("l", "1"), ("k", ""), ("l", "2")], 1.0);
            }),
            ("le", Reason::Le, |s| {
                s.histogram("a", "", &[("le", "1")], &[], 0.0, 0);
            }),
            ("below zero", Reason::Counter, |s| {
                s.counter("a", "", &[], -1.0);
            }),
            ("not a number", Reason::Counter, |s| {
                s.counter("a", "", &[], f64::NAN);
            }),
            ("a bound that is none", Reason::Bounds, |s| {
                s.histogram("a", "", &[], &[(f64::NAN, 1)], 1.0, 1);
            }),
            ("falling bounds", Reason::Bounds, |s| {
                s.histogram("a", "", &[], &[(2.0, 1), (1.0, 1)], 1.0, 1);
            }),
            ("a bound twice", Reason::Bounds, |s| {
                s.histogram("a", "", &[], &[(1.0, 1), (1.0, 1)], 1.0, 1);
            }),
            ("falling counts", Reason::Counts, |s| {
                s.histogram("a", "", &[], &[(1.0, 2), (2.0, 1)], 1.0, 2);
            }),
            ("fewer in all", Reason::Counts, |s| {
                s.histogram("a", "", &[], &[(1.0, 2)], 1.0, 1);
            }),
            ("another count at infinity", Reason::Counts, |s| {
                s.histogram("a", "", &[], &[(1.0, 1), (f64::INFINITY, 2)], 1.0, 3);
            }),
            ("another type", Reason::Type, |s| {
                s.counter("good", "", &[("l", "2")], 1.0);
            }),
            ("the same again", Reason::Repeated, |s| {
                s.gauge("good", "", &[("m", "2"), ("l", "1")], 7.0);
            }),
            ("the same at another time", Reason::Repeated, |s| {
                let earlier = UNIX_EPOCH - Duration::from_secs(1);
                s.gauge("good", "", &[("m", "2"), ("l", "1")], 7.0).timestamp(earlier);
            }),
            ("the epoch", Reason::Timestamp, |s| s.gauge("a", "", &[], 1.0).timestamp(UNIX_EPOCH)),
        ];
        for (what, reason, add) in table {
            let mut samples = Samples::new();
            samples.gauge("good", "help", &[("l", "1"), ("m", "2")], 1.0);
            add(&mut samples);
            samples.gauge("better", "help", &[], 2.0);
            let (mut families, left_out) = samples.finish();
            families.sort_by(|a, b| a.name().cmp(b.name()));
            assert_eq!(
                text(&families),
                "# HELP better help\n# TYPE better gauge\nbetter 2\n\
                 # HELP good help\n# TYPE good gauge\ngood{l=\"1\",m=\"2\"} 1\n",
                "{what}"
            );
            let (count, first) = left_out.into_parts();
            assert_eq!((count, first.unwrap().1), (1, *reason), "{what}");
        }
    }

    #[test]
    fn what_is_unusual_is_not_bad() {
        type Row = (fn(&mut Samples), &'static str);
        let table: &[Row] = &[
            (
                |s| {
                    s.gauge(":a_1", "", &[], f64::NAN);
                },
                ":a_1 NaN",
            ),
            (
                |s| {
                    s.gauge("a", "", &[("_l1", "x\n\"")], -0.5);
                },
                r#"a{_l1="x\n\""} -0.5"#,
            ),
            // It is a label like others there.
            (
                |s| {
                    s.gauge("a", "", &[("le", "1")], 1.0);
                },
                r#"a{le="1"} 1"#,
            ),
            (
                |s| {
                    s.counter("a", "", &[], 0.0);
                },
                "a 0",
            ),
            (
                |s| {
                    s.histogram("a", "", &[], &[], f64::NAN, 0);
                },
                "a_count 0",
            ),
            (
                |s| {
                    s.histogram("a", "", &[], &[(f64::INFINITY, 3)], 1.0, 3);
                },
                "a_count 3",
            ),
            (
                |s| {
                    s.histogram("a", "", &[], &[(-1.0, 0), (0.0, 0)], 1.0, u64::MAX);
                },
                "a_count 18446744073709552000",
            ),
            // The name is free again.
            (
                |s| {
                    s.counter("a", "", &[], 1.0).timestamp(UNIX_EPOCH);
                    s.gauge("a", "help", &[], 2.0);
                },
                "a 2",
            ),
            // The type of a bad sample does not count.
            (
                |s| {
                    s.counter("a", "", &[], -1.0);
                    s.gauge("a", "help", &[], -1.0);
                },
                "a -1",
            ),
            (
                |s| {
                    s.gauge("a", "", &[], 2.0)
                        .timestamp(UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_999))
                },
                "a 2 1700000000000",
            ),
            (|s| s.gauge("a", "", &[], 2.0).timestamp(UNIX_EPOCH - Duration::from_micros(1)), "a 2 -1"),
        ];
        for (add, last) in table {
            let mut samples = Samples::new();
            add(&mut samples);
            let text = text(&samples.finish().0);
            assert_eq!(text.lines().last(), Some(*last), "{text}");
        }
    }

    #[test]
    fn a_closure_takes_what_is_at_hand() {
        let owned = ("name".to_owned(), String::from("x"));
        let collector = from_fn(move |s| {
            s.gauge("a", "", &[], 1.0);
            s.gauge("b", "", &[("l", owned.1.as_str()), ("m", &owned.0)], 1.0);
            let made: Vec<(&str, &str)> = vec![("l", &owned.1)];
            s.gauge("c", "", &made, 1.0);
        });
        assert_eq!(collector.collect().len(), 3);
    }

    #[test]
    fn collectors_share_a_registry_and_a_clone_is_the_same() {
        let one = from_fn(|s| {
            s.gauge("a", "", &[("of", "one")], 1.0);
        });
        let other = from_fn(|s| {
            s.gauge("a", "", &[("of", "other")], 2.0);
        });
        let registry = registered(one.clone());
        registry.register(Box::new(other)).unwrap();
        assert_eq!(text(&registry.gather()), "# TYPE a gauge\na{of=\"one\"} 1\na{of=\"other\"} 2\n");
        assert!(registry.register(Box::new(one.clone())).is_err());
        registry.unregister(Box::new(one)).unwrap();
        assert_eq!(text(&registry.gather()), "# TYPE a gauge\na{of=\"other\"} 2\n");
    }

    #[test]
    fn a_hundred_thousand_in_one_family_and_in_as_many() {
        const MANY: usize = 100_000;
        let collector = from_fn(|s| {
            for n in (0..MANY).rev() {
                s.gauge("one", "", &[("n", &n.to_string())], 1.0);
                s.gauge(&format!("many_{n}"), "", &[], 1.0);
                s.gauge("one", "", &[("n", &n.to_string())], 2.0);
            }
        });
        let families = collector.collect();
        assert_eq!(families.len(), MANY + 1);
        let one = families.iter().find(|family| family.name() == "one").unwrap();
        assert_eq!(one.get_metric().len(), MANY);
        assert_eq!(super::super::take_left_out(), MANY as u64);
    }

    const BOUNDS: [f64; 3] = [-1.0, 0.5, 1e9];

    /// By two labels' values.
    type Values = std::collections::BTreeMap<(String, String), Vec<f64>>;

    /// What others have measured, as instruments that somebody has turned the same way.
    fn instruments(values: &Values) -> Registry {
        let registry = Registry::new();
        let opts = |name: &str| Opts::new(name, "A \\ \n help");
        let labels = ["z", "a"];
        let gauges = GaugeVec::new(opts("gauge"), &labels).unwrap();
        let counters = CounterVec::new(opts("counter_total"), &labels).unwrap();
        let buckets = HistogramOpts::new("histogram", "A \\ \n help").buckets(BOUNDS.to_vec());
        let histograms = HistogramVec::new(buckets, &labels).unwrap();
        for ((z, a), observed) in values {
            let labels = [z, a];
            gauges.with_label_values(&labels).set(observed.iter().sum());
            let count = counters.with_label_values(&labels);
            let histogram = histograms.with_label_values(&labels);
            for &value in observed {
                count.inc_by(value.abs());
                histogram.observe(value);
            }
        }
        registry.register(Box::new(gauges)).unwrap();
        registry.register(Box::new(counters)).unwrap();
        registry.register(Box::new(histograms)).unwrap();
        registry
    }

    fn copied(values: Values) -> impl Collector {
        from_fn(move |s| {
            let help = "A \\ \n help";
            for ((z, a), observed) in &values {
                let labels = &[("z", z.as_str()), ("a", a.as_str())];
                s.gauge("gauge", help, labels, observed.iter().sum());
                // From zero, as instruments add.
                let (mut count, mut sum) = (0.0, 0.0);
                observed.iter().for_each(|value| (count, sum) = (count + value.abs(), sum + value));
                s.counter("counter_total", help, labels, count);
                let up_to = |bound| observed.iter().filter(|value| **value <= bound).count() as u64;
                let buckets = BOUNDS.map(|bound| (bound, up_to(bound)));
                s.histogram("histogram", help, labels, &buckets, sum, observed.len() as u64);
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_what_instruments_would_have_been(
            values in btree_map((any::<String>(), "[ab]{0,2}"), vec(-1e10..1e10, 0..5), 0..8),
        ) {
            let instruments = instruments(&values).gather();
            prop_assert_eq!(text(&registered(copied(values)).gather()), text(&instruments));
        }
    }
}
