//! Families made on the spot, by collectors that copy their values from elsewhere.

use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A sample to be: its labels and its value.
pub(super) type Labelled = (Vec<LabelPair>, f64);

/// What its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

pub(super) fn family(
    name: &str,
    help: &str,
    kind: Kind,
    samples: impl IntoIterator<Item = Labelled>,
) -> MetricFamily {
    let metrics = samples.into_iter().map(|(labels, value)| {
        let mut metric = Metric::from_label(labels);
        match kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    });
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(match kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
    });
    family.set_metric(metrics.collect());
    family
}

/// What a family is announced as: `by` these labels, and `of` this value of that one, if there is one.
///
/// Fails for malformed names only, not for labels' values, and the names are constants, which tests register.
#[expect(clippy::expect_used, reason = "constant names")]
pub(super) fn desc(name: &str, help: &str, by: &[&str], of: Option<(&str, &str)>) -> Desc {
    let by = by.iter().map(|label| (*label).to_owned()).collect();
    let of: HashMap<_, _> =
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Desc::new(name.to_owned(), help.to_owned(), by, of).expect("constant, valid names")
}
