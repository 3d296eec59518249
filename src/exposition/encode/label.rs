//! Writes the labels of metrics.
//!
//! Most metrics have the same label names as the metric before. So names are only compared with those. If they
//! differ, they are checked, escaped and joined with their punctuation.

use std::borrow::Cow;

use prometheus::proto::{LabelPair, Metric};

use super::escaping::Escaping;
use super::line::{self, Line};
use super::{escape, name};

/// Returns the text before the value of the label at index `at` with this name.
pub(super) type Lead = fn(at: usize, name: &str) -> String;

/// Returns the lead of a format that writes a label's name without punctuation.
pub(super) fn bare(_: usize, name: &str) -> String {
    name.to_owned()
}

/// The label names of the current metric, kept for a comparison with the next one.
pub(super) struct LabelNames {
    escaping: Escaping,
    /// Returns whether a name is reserved in every family.
    private: fn(&str) -> bool,
    family: Family,
    /// The names before escaping.
    given: Vec<String>,
    /// The texts before the values: `{method="`, then `",path="`. [`bare`] returns the name only.
    pub(super) leads: Vec<String>,
    usable: bool,
}

/// The rules for the label names of one family.
struct Family {
    lead: Lead,
    /// The label name that only the format may use.
    reserved: Option<&'static str>,
}

/// The result of the check of a metric's label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameCheck {
    /// They are written like those of the metric before.
    AsBefore,
    /// They differ from those of the metric before.
    New,
    /// One is reserved, or two are equal.
    Unusable,
}

impl LabelNames {
    pub(super) fn new(escaping: Escaping, is_openmetrics: bool) -> Self {
        Self {
            escaping,
            // OpenMetrics: "Label names beginning with underscores are RESERVED". This accepts one underscore, as the
            // strict parser does.
            private: if is_openmetrics { |name| name.starts_with("__") } else { |name| name == "__name__" },
            family: Family { lead: bare, reserved: None },
            given: Vec::new(),
            leads: Vec::new(),
            usable: true,
        }
    }

    /// Starts a family and forgets the label names of the previous one.
    pub(super) fn start_family(&mut self, reserved: Option<&'static str>, lead: Lead) {
        self.family = Family { lead, reserved };
        self.given.clear();
        self.leads.clear();
        self.usable = true;
    }

    /// Checks the label names of the next metric.
    #[inline(always)]
    pub(super) fn follow(&mut self, labels: &[LabelPair]) -> NameCheck {
        let same = self.given.len() == labels.len()
            && self.given.iter().zip(labels).all(|(given, label)| line::same(given, label.name()));
        match (same, self.usable) {
            (true, true) => NameCheck::AsBefore,
            (true, false) => NameCheck::Unusable,
            (false, _) => self.learn(labels),
        }
    }

    /// Writes the labels up to the last value, `{method="GET",path="/`. Writes nothing if there are none.
    ///
    /// They must be the labels of the last [`follow`](Self::follow).
    #[inline(always)]
    pub(super) fn write(&self, out: &mut Line<'_>, labels: &[LabelPair]) {
        for (lead, label) in self.leads.iter().zip(labels) {
            out.put(lead.as_bytes());
            escape::quoted(out, label.value());
        }
    }

    /// Returns the labels with their names as written, sorted.
    pub(super) fn written(&self, labels: &[LabelPair]) -> Vec<(String, String)> {
        let name = |label: &LabelPair| name::label_name(label.name(), self.escaping).into_owned();
        let mut written: Vec<_> =
            labels.iter().map(|label| (name(label), label.value().to_owned())).collect();
        written.sort_unstable();
        written
    }

    #[cold]
    fn learn(&mut self, labels: &[LabelPair]) -> NameCheck {
        let given: Vec<String> = labels.iter().map(|label| label.name().to_owned()).collect();
        let mut names: Vec<_> = given.iter().map(|given| name::label_name(given, self.escaping)).collect();
        let lead = |(at, name): (usize, &Cow<'_, str>)| (self.family.lead)(at, name);
        let leads: Vec<String> = names.iter().enumerate().map(lead).collect();

        let ascend = |names: &[Cow<'_, str>]| names.windows(2).all(|pair| pair[0] < pair[1]);
        let unique = ascend(&names) || {
            names.sort_unstable();
            ascend(&names)
        };
        let free =
            names.iter().all(|name| !(self.private)(name) && Some(name.as_ref()) != self.family.reserved);
        let usable = unique && free;
        let as_before = self.usable && leads == self.leads;

        drop(names);
        (self.given, self.leads, self.usable) = (given, leads, usable);
        match (usable, as_before) {
            (false, _) => NameCheck::Unusable,
            (true, true) => NameCheck::AsBefore,
            (true, false) => NameCheck::New,
        }
    }
}

/// Returns whether two metrics have the same label values, in the same order.
#[inline(always)]
pub(super) fn same_values(one: &Metric, other: &Metric) -> bool {
    // Metrics are sorted by their values, the first label first, so most neighbours differ in the last one.
    let (one, other) = (one.get_label(), other.get_label());
    let mut pairs = one.iter().zip(other).rev();
    one.len() == other.len() && pairs.all(|(one, other)| line::same(one.value(), other.value()))
}

#[cfg(test)]
mod tests {
    use super::{super::text, *};

    fn text_names() -> LabelNames {
        LabelNames::new(Escaping::Underscores, false)
    }

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
    fn label_names_are_compared_with_the_metric_before() {
        let mut names = text_names();
        names.start_family(Some("le"), text::lead(false));
        type Row = (&'static [(&'static str, &'static str)], NameCheck, &'static str);
        let rows: [Row; 13] = [
            (&[], NameCheck::AsBefore, ""),
            (&[("a", "1")], NameCheck::New, r#"{a="1"#),
            (&[("a", "2")], NameCheck::AsBefore, r#"{a="2"#),
            (&[("a", "2"), ("b.c", "\"")], NameCheck::New, r#"{a="2",b_c="\""#),
            (&[("a", "2"), ("b_c", "4")], NameCheck::AsBefore, r#"{a="2",b_c="4"#),
            (&[("b", ""), ("", "5")], NameCheck::New, r#"{b="",_="5"#),
            (&[("a", "1"), ("b", "2"), ("a", "3")], NameCheck::Unusable, ""),
            (&[("a", "1"), ("b", "2"), ("a", "4")], NameCheck::Unusable, ""),
            (&[("a.", "1"), ("a:", "2")], NameCheck::Unusable, ""),
            (&[("__name__", "up")], NameCheck::Unusable, ""),
            (&[("le", "1")], NameCheck::Unusable, ""),
            (&[("quantile", "1")], NameCheck::New, r#"{quantile="1"#),
            (&[], NameCheck::New, ""),
        ];
        for (pairs, expected, text) in rows {
            let labels = labels(pairs);
            assert_eq!(names.follow(&labels), expected, "{pairs:?}");
            if expected != NameCheck::Unusable {
                let mut out = Vec::new();
                line::into(&mut out, |line| names.write(line, &labels));
                assert_eq!(String::from_utf8_lossy(&out), text, "{pairs:?}");
            }
        }
    }

    #[test]
    fn a_metric_is_not_compared_with_an_unusable_one() {
        let mut names = text_names();
        names.start_family(None, text::lead(false));
        assert_eq!(names.follow(&labels(&[("__name__", "1")])), NameCheck::Unusable);
        assert_eq!(names.follow(&labels(&[("__name:_", "1")])), NameCheck::Unusable);
    }
}
