//! The labels of a metric.
//!
//! Names repeat from metric to metric, values do not: names are checked, escaped and put between their
//! punctuation when they differ from those of the metric before, and else only compared.

use prometheus::proto::{LabelPair, Metric};

use super::{escape, name};

/// The label names of the metric at hand, kept for the next one.
#[derive(Default)]
pub(super) struct LabelNames {
    reserved: Option<&'static str>,
    /// As the metric has them.
    given: Vec<String>,
    /// As they are written, with what stands between the values: `{method="`, then `",path="`.
    leads: Vec<String>,
    /// The bytes in all leads.
    lead_bytes: usize,
    usable: bool,
}

/// How a metric's label names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Written the same as those of the metric before.
    AsBefore,
    /// Others.
    New,
    /// Not unique, or reserved.
    Unusable,
}

impl LabelNames {
    /// Forgets the previous family. `reserved` is a label name that only the format may use.
    pub(super) fn start_family(&mut self, reserved: Option<&'static str>) {
        *self = Self { reserved, usable: true, ..Self::default() };
    }

    /// Goes on to the next metric's labels.
    #[inline]
    pub(super) fn follow(&mut self, labels: &[LabelPair]) -> Names {
        let same = self.given.len() == labels.len()
            && self.given.iter().zip(labels).all(|(given, label)| given == label.name());
        match (same, self.usable) {
            (true, true) => Names::AsBefore,
            (true, false) => Names::Unusable,
            (false, _) => self.learn(labels),
        }
    }

    /// The most bytes that [`write`](Self::write) takes for these labels.
    #[inline]
    pub(super) fn most_bytes(&self, labels: &[LabelPair]) -> usize {
        let values: usize = labels.iter().map(|label| label.value().len()).sum();
        self.lead_bytes + 2 * values
    }

    /// Writes the labels up to the last value, `{method="GET",path="/`, or nothing if there are none. They must
    /// be those of the last [`follow`](Self::follow).
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>, labels: &[LabelPair]) {
        for (lead, label) in self.leads.iter().zip(labels) {
            out.extend_from_slice(lead.as_bytes());
            escape::label_value(out, label.value());
        }
    }

    #[cold]
    fn learn(&mut self, labels: &[LabelPair]) -> Names {
        let given: Vec<String> = labels.iter().map(|label| label.name().to_owned()).collect();
        let mut names: Vec<_> = given.iter().map(|given| name::label_name(given)).collect();
        let leads: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| if at == 0 { format!("{{{name}=\"") } else { format!("\",{name}=\"") })
            .collect();

        names.sort_unstable();
        let unique = names.windows(2).all(|pair| pair[0] != pair[1]);
        let free = names.iter().all(|name| name != "__name__" && Some(name.as_ref()) != self.reserved);
        let usable = unique && free;
        let as_before = self.usable && leads == self.leads;

        drop(names);
        self.lead_bytes = leads.iter().map(String::len).sum();
        (self.given, self.leads, self.usable) = (given, leads, usable);
        match (usable, as_before) {
            (false, _) => Names::Unusable,
            (true, true) => Names::AsBefore,
            (true, false) => Names::New,
        }
    }
}

/// Whether two metrics with the same label names are the same series.
#[inline]
pub(super) fn same_values(one: &Metric, other: &Metric) -> bool {
    // Metrics are sorted by their values from the left, so neighbours differ on the right.
    let pairs = one.get_label().iter().zip(other.get_label());
    pairs.rev().all(|(one, other)| one.value() == other.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
        let label = |&(name, value): &(&str, &str)| {
            let mut label = LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value.to_owned());
            label
        };
        pairs.iter().map(label).collect()
    }

    #[test]
    fn names_are_learned_once_and_judged() {
        let mut names = LabelNames::default();
        names.start_family(Some("le"));
        type Row = (&'static [(&'static str, &'static str)], Names, &'static str);
        let rows: [Row; 13] = [
            (&[], Names::AsBefore, ""),
            (&[("a", "1")], Names::New, r#"{a="1"#),
            (&[("a", "2")], Names::AsBefore, r#"{a="2"#),
            (&[("a", "2"), ("b.c", "\"")], Names::New, r#"{a="2",b_c="\""#),
            (&[("a", "2"), ("b_c", "4")], Names::AsBefore, r#"{a="2",b_c="4"#),
            (&[("b", ""), ("", "5")], Names::New, r#"{b="",_="5"#),
            (&[("a", "1"), ("b", "2"), ("a", "3")], Names::Unusable, ""),
            (&[("a", "1"), ("b", "2"), ("a", "4")], Names::Unusable, ""),
            (&[("a.", "1"), ("a:", "2")], Names::Unusable, ""),
            (&[("__name__", "up")], Names::Unusable, ""),
            (&[("le", "1")], Names::Unusable, ""),
            (&[("quantile", "1")], Names::New, r#"{quantile="1"#),
            (&[], Names::New, ""),
        ];
        for (pairs, expected, text) in rows {
            let labels = labels(pairs);
            assert_eq!(names.follow(&labels), expected, "{pairs:?}");
            if expected != Names::Unusable {
                let mut out = Vec::new();
                names.write(&mut out, &labels);
                assert_eq!(String::from_utf8_lossy(&out), text, "{pairs:?}");
                assert!(out.len() <= names.most_bytes(&labels), "{pairs:?}");
            }
        }
    }

    #[test]
    fn an_unusable_metric_is_no_predecessor() {
        let mut names = LabelNames::default();
        names.start_family(None);
        assert_eq!(names.follow(&labels(&[("__name__", "1")])), Names::Unusable);
        assert_eq!(names.follow(&labels(&[("__name:_", "1")])), Names::Unusable);
    }
}
