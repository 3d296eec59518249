//! The values of the server's own metrics.

use prometheus::DEFAULT_BUCKETS;
use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::durations::Durations;
use super::own_family::{Info, OwnFamily};
use crate::exposition::metric::{family, label, of_value};

/// Up to the longest default scrape timeout, because probes take as long as their targets.
const PROBE_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// The series of each family. A family without series is not exposed.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// In the order of their label values.
    series: [Vec<Series>; OwnFamily::ALL.len()],
    /// Families that are not exposed.
    pub(super) hidden: &'static [OwnFamily],
}

#[derive(Debug)]
pub(super) struct Series {
    labels: Vec<String>,
    pub(super) number: f64,
    /// Of a histogram, which has no number.
    pub(super) durations: Durations,
}

impl Store {
    /// Returns a series, which is added first if there is none. Its number begins at zero.
    pub(super) fn series(&mut self, own: OwnFamily, labels: &[&str]) -> &mut Series {
        let series = &mut self.series[own as usize];
        let found = series
            .binary_search_by(|other| other.labels.iter().map(String::as_str).cmp(labels.iter().copied()));
        let at = found.unwrap_or_else(|at| {
            let bounds = match own {
                OwnFamily::RequestDuration => DEFAULT_BUCKETS,
                OwnFamily::ProbeDuration => PROBE_SECONDS,
                _ => &[],
            };
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            series.insert(at, Series { labels, number: 0.0, durations: Durations::new(bounds) });
            at
        });
        &mut series[at]
    }

    /// Returns the families and their metrics in the order in which a registry gathers them.
    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let all = OwnFamily::ALL.iter().zip(&self.series);
        let exposed = all.filter(|(own, series)| !series.is_empty() && !self.hidden.contains(own));
        let families = exposed.map(|(own, series)| {
            let info = own.info();
            let metrics = series.iter().map(|series| series.metric(info)).collect();
            family(info.name, info.help, info.kind, metrics)
        });
        families.collect()
    }
}

impl Series {
    fn metric(&self, info: &Info) -> Metric {
        let labels = info.labels.iter().zip(&self.labels).map(|(name, value)| label(name, value)).collect();
        match info.kind {
            MetricType::HISTOGRAM => self.durations.metric(labels),
            kind => of_value(kind, labels, self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_series_are_sorted() {
        let mut store = Store::default();
        for own in OwnFamily::ALL {
            for value in ["b", "a"] {
                store.series(*own, &vec![value; own.info().labels.len()]);
            }
        }
        let families = store.families();
        assert_eq!(families.len(), OwnFamily::ALL.len());
        assert!(families.is_sorted_by_key(MetricFamily::name), "{families:?}");
        for family in families {
            let labels = |metric: &Metric| -> Vec<(String, String)> {
                let pairs = metric.get_label().iter();
                pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect()
            };
            let series: Vec<_> = family.get_metric().iter().map(labels).collect();
            assert!(series.is_sorted() && series.iter().all(|labels| labels.is_sorted()), "{series:?}");
        }
    }
}
