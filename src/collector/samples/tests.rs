//! Tests of the samples that are served and skipped.

use std::time::{Duration, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::collector::from_fn;

fn text(families: &[MetricFamily]) -> String {
    TextEncoder::new().encode_to_string(families).unwrap()
}

fn registered(collector: impl Collector + 'static) -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(collector)).unwrap();
    registry
}

#[test]
fn skips_an_invalid_sample_and_serves_the_rest() {
    type Row = (&'static str, SampleSkipReason, fn(&mut Samples));
    let table: &[Row] = &[
        ("no name", SampleSkipReason::Name, |s| {
            s.gauge("", "", &[], 1.0);
        }),
        ("a digit in front", SampleSkipReason::Name, |s| {
            s.gauge("1a", "", &[], 1.0);
        }),
        ("a dot in the name", SampleSkipReason::Name, |s| {
            s.counter("a.b", "", &[], 1.0);
        }),
        ("not ASCII", SampleSkipReason::Name, |s| {
            s.gauge("é", "", &[], 1.0);
        }),
        ("two lines", SampleSkipReason::Name, |s| {
            s.histogram("a 1\nb", "", &[], &[], 0.0, 0);
        }),
        ("no label name", SampleSkipReason::LabelName, |s| {
            s.gauge("a", "", &[("", "x")], 1.0);
        }),
        ("a colon in a label name", SampleSkipReason::LabelName, |s| {
            s.gauge("a", "", &[("a:b", "")], 1.0);
        }),
        ("two underscores", SampleSkipReason::LabelName, |s| {
            s.gauge("a", "", &[("__name__", "b")], 1.0);
        }),
        ("a label twice", SampleSkipReason::LabelTwice, |s| {
            s.gauge("a", "", &[("l", "1"), ("k", ""), ("l", "2")], 1.0);
        }),
        ("le", SampleSkipReason::Le, |s| {
            s.histogram("a", "", &[("le", "1")], &[], 0.0, 0);
        }),
        ("below zero", SampleSkipReason::Counter, |s| {
            s.counter("a", "", &[], -1.0);
        }),
        ("not a number", SampleSkipReason::Counter, |s| {
            s.counter("a", "", &[], f64::NAN);
        }),
        ("a bound that is NaN", SampleSkipReason::Bounds, |s| {
            s.histogram("a", "", &[], &[(f64::NAN, 1)], 1.0, 1);
        }),
        ("falling bounds", SampleSkipReason::Bounds, |s| {
            s.histogram("a", "", &[], &[(2.0, 1), (1.0, 1)], 1.0, 1);
        }),
        ("a bound twice", SampleSkipReason::Bounds, |s| {
            s.histogram("a", "", &[], &[(1.0, 1), (1.0, 1)], 1.0, 1);
        }),
        ("falling counts", SampleSkipReason::Counts, |s| {
            s.histogram("a", "", &[], &[(1.0, 2), (2.0, 1)], 1.0, 2);
        }),
        ("a total below the last bucket", SampleSkipReason::Counts, |s| {
            s.histogram("a", "", &[], &[(1.0, 2)], 1.0, 1);
        }),
        ("another count at infinity", SampleSkipReason::Counts, |s| {
            s.histogram("a", "", &[], &[(1.0, 1), (f64::INFINITY, 2)], 1.0, 3);
        }),
        ("quantile", SampleSkipReason::Quantile, |s| {
            s.summary("a", "", &[("quantile", "1")], &[], 0.0, 0);
        }),
        ("a quantile that is NaN", SampleSkipReason::Quantiles, |s| {
            s.summary("a", "", &[], &[(f64::NAN, 1.0)], 1.0, 1);
        }),
        ("a quantile above one", SampleSkipReason::Quantiles, |s| {
            s.summary("a", "", &[], &[(0.5, 1.0), (1.1, 1.0)], 1.0, 1);
        }),
        ("a quantile below zero", SampleSkipReason::Quantiles, |s| {
            s.summary("a", "", &[], &[(-0.1, 1.0)], 1.0, 1);
        }),
        ("falling quantiles", SampleSkipReason::Quantiles, |s| {
            s.summary("a", "", &[], &[(0.9, 1.0), (0.5, 1.0)], 1.0, 1);
        }),
        ("a quantile twice", SampleSkipReason::Quantiles, |s| {
            s.summary("a", "", &[], &[(0.5, 1.0), (0.5, 1.0)], 1.0, 1);
        }),
        ("a label of an info", SampleSkipReason::LabelName, |s| {
            s.info("a", "", &[("a.b", "x")]);
        }),
        ("untyped with the name of a gauge", SampleSkipReason::Type, |s| {
            s.untyped("good", "", &[("l", "2")], 1.0);
        }),
        ("another type", SampleSkipReason::Type, |s| {
            s.counter("good", "", &[("l", "2")], 1.0);
        }),
        ("the same again", SampleSkipReason::Repeated, |s| {
            s.gauge("good", "", &[("m", "2"), ("l", "1")], 7.0);
        }),
        ("the same at another time", SampleSkipReason::Repeated, |s| {
            let earlier = UNIX_EPOCH - Duration::from_secs(1);
            s.gauge("good", "", &[("m", "2"), ("l", "1")], 7.0).timestamp(earlier);
        }),
        ("the epoch", SampleSkipReason::Timestamp, |s| s.gauge("a", "", &[], 1.0).timestamp(UNIX_EPOCH)),
    ];
    for (what, reason, add) in table {
        let mut samples = Samples::new();
        samples.gauge("good", "help", &[("l", "1"), ("m", "2")], 1.0);
        add(&mut samples);
        samples.gauge("better", "help", &[], 2.0);
        let (mut families, skipped) = samples.finish();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        assert_eq!(
            text(&families),
            "# HELP better help\n# TYPE better gauge\nbetter 2\n\
             # HELP good help\n# TYPE good gauge\ngood{l=\"1\",m=\"2\"} 1\n",
            "{what}"
        );
        assert_eq!((skipped.count, skipped.first.unwrap().1), (1, *reason), "{what}");
    }
}

#[test]
fn serves_unusual_samples() {
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
        // `le` is reserved on histograms only.
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
        (
            |s| {
                s.summary("a", "", &[], &[(0.0, -1.0), (1.0, f64::NAN)], -0.5, 2);
            },
            "a_count 2",
        ),
        // `quantile` is reserved on summaries only.
        (
            |s| {
                s.info("a", "", &[("quantile", "1")]);
            },
            r#"a{quantile="1"} 1"#,
        ),
        // A skipped sample does not reserve the name.
        (
            |s| {
                s.counter("a", "", &[], 1.0).timestamp(UNIX_EPOCH);
                s.gauge("a", "help", &[], 2.0);
            },
            "a 2",
        ),
        // The type of a skipped sample does not count.
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
fn a_closure_can_pass_owned_and_borrowed_labels() {
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
fn collectors_share_a_registry_and_clones_are_equal() {
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
fn handles_100_000_families_and_a_family_of_100_000_metrics() {
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
    assert_eq!(super::super::take_skipped(), MANY as u64);
}

const BOUNDS: [f64; 3] = [-1.0, 0.5, 1e9];

/// Observations by the values of two labels.
type Values = std::collections::BTreeMap<(String, String), Vec<f64>>;

/// Returns a registry with instruments that have the observations.
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
            // Added in the order of the instruments, from zero.
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

    // `prometheus` hashes the concatenated label values of an instrument (vec.rs, `hash_label_values`), so `""`, `"b"`
    // and `"b"`, `""` are the same child. The bar separates the values.
    #[test]
    fn serves_the_same_as_instruments(
        values in btree_map((any::<String>(), "\\|[ab]{0,2}"), vec(-1e10..1e10, 0..5), 0..8),
    ) {
        let instruments = instruments(&values).gather();
        prop_assert_eq!(text(&registered(copied(values)).gather()), text(&instruments));
    }
}
