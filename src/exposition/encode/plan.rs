//! Names the families so that no two names clash.
//!
//! All families are named before the first is written, because a later family may have precedence for a name.

use std::{borrow::Cow, collections::HashSet};

use prometheus::proto::{MetricFamily, MetricType};

use super::format::EscapedFormat;
use super::skipped::SkipReason;
use super::{name, openmetrics};
use crate::util::error::ensure;

/// The name and the type of a family in the exposition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Naming {
    /// The escaped name. `None` if the gathered name needs no escape.
    escaped: Option<String>,
    /// Whether the name needs quotes in a text format.
    pub(super) is_quoted: bool,
    /// The type in the exposition. In OpenMetrics some counters have the type `unknown`.
    pub(super) kind: MetricType,
}

impl Naming {
    /// Returns the name of `family`, which must be the family of this naming.
    pub(super) fn name<'f>(&'f self, family: &'f MetricFamily) -> &'f str {
        self.escaped.as_deref().unwrap_or(family.name())
    }

    /// Returns the name without a borrow of the naming, which may change later.
    fn written<'f>(&self, family: &'f MetricFamily) -> Cow<'f, str> {
        self.escaped.clone().map_or(Cow::Borrowed(family.name()), Cow::Owned)
    }
}

/// Returns the name of each family, or the reason why it is skipped.
///
/// Names that need no escape have precedence, so that a bad collector does not cost another collector its samples.
/// Then the first family has precedence.
pub(super) fn names(format: EscapedFormat, families: &[MetricFamily]) -> Vec<Result<Naming, SkipReason>> {
    let mut namings: Vec<_> = families.iter().map(|family| naming(format, family)).collect();
    let openmetrics = format.format().is_openmetrics;
    // The usual case: the families of a registry in the text format.
    let is_escaped =
        |naming: &Result<Naming, _>| naming.as_ref().is_ok_and(|naming| naming.escaped.is_some());
    let are_unique = families.is_sorted_by(|a, b| a.name() < b.name());
    if !openmetrics && are_unique && !namings.iter().any(is_escaped) {
        return namings;
    }
    let mut taken = HashSet::with_capacity(families.len());
    for escaped in [false, true] {
        for (entry, family) in namings.iter_mut().zip(families) {
            let Ok(naming) = entry else { continue };
            if naming.escaped.is_some() == escaped {
                let suffixes = if openmetrics { openmetrics::suffixes(naming.kind) } else { &[] };
                if !take(&mut taken, naming.written(family), suffixes) {
                    *entry = Err(SkipReason::NameTaken);
                }
            }
        }
    }
    // Counters come last: their name without `_total` must not displace a family, and a counter is served without it.
    if openmetrics {
        for (entry, family) in namings.iter_mut().zip(families) {
            let Ok(naming) = entry else { continue };
            if family.get_field_type() == MetricType::COUNTER {
                let base = openmetrics::counter_base(naming.written(family));
                if base.is_some_and(|base| take(&mut taken, base, openmetrics::COUNTER_SUFFIXES)) {
                    naming.kind = MetricType::COUNTER;
                }
            }
        }
    }
    namings
}

fn naming(format: EscapedFormat, family: &MetricFamily) -> Result<Naming, SkipReason> {
    ensure(!family.name().is_empty(), SkipReason::Nameless)?;
    let (escaped, is_quoted) = if name::is_metric_name(family.name()) {
        (None, false)
    } else {
        match name::metric_name(family.name(), format.escaping()) {
            Cow::Owned(escaped) => (Some(escaped), false),
            Cow::Borrowed(_) => (None, true),
        }
    };
    let kind = match family.get_field_type() {
        MetricType::COUNTER if format.format().is_openmetrics => MetricType::UNTYPED,
        kind => kind,
    };
    Ok(Naming { escaped, is_quoted, kind })
}

/// Reserves a name with and without the suffixes. Returns `false` if one of these names is taken.
///
/// The text format: "Only one HELP line may exist for any given metric name", and the same for TYPE. The format has
/// no rule about clashes of suffixes, and Prometheus accepts them.
fn take<'f>(taken: &mut HashSet<Cow<'f, str>>, name: Cow<'f, str>, suffixes: &[&str]) -> bool {
    let suffixed = |suffix: &&str| Cow::Owned(format!("{name}{suffix}"));
    let suffixed: Vec<Cow<'f, str>> = suffixes.iter().map(suffixed).collect();
    if suffixed.iter().any(|name| taken.contains(name)) || taken.contains(&name) {
        return false;
    }
    taken.insert(name);
    taken.extend(suffixed);
    true
}

#[cfg(test)]
mod tests {
    use prometheus::proto::Metric;

    use super::super::escaping::Escaping;
    use super::super::openmetrics::OPENMETRICS_100;
    use super::super::text::TEXT_004;
    use super::*;

    const TEXT: EscapedFormat = EscapedFormat::plain(&TEXT_004);
    const OPENMETRICS: EscapedFormat = EscapedFormat::plain(&OPENMETRICS_100);
    const UTF8: EscapedFormat = EscapedFormat::new(&OPENMETRICS_100, Escaping::AllowUtf8);

    fn named(format: EscapedFormat, families: &[(&str, MetricType)]) -> Vec<String> {
        let families: Vec<_> = families
            .iter()
            .map(|&(name, kind)| {
                let mut family = MetricFamily::default();
                family.set_name(name.to_owned());
                family.set_field_type(kind);
                family.set_metric(vec![Metric::default()]);
                family
            })
            .collect();
        let named = |(naming, family): (Result<Naming, SkipReason>, &MetricFamily)| match naming {
            Ok(naming) => format!("{} {:?}", naming.name(family), naming.kind),
            Err(reason) => format!("{reason:?}"),
        };
        names(format, &families).into_iter().zip(&families).map(named).collect()
    }

    #[test]
    fn names_never_clash_and_valid_ones_have_precedence() {
        use MetricType::{COUNTER, GAUGE, HISTOGRAM, SUMMARY, UNTYPED};
        type Row = (EscapedFormat, &'static [(&'static str, MetricType)], &'static [&'static str]);
        let rows: [Row; 19] = [
            (TEXT, &[("a.b", GAUGE), ("a_b", COUNTER)], &["NameTaken", "a_b COUNTER"]),
            (TEXT, &[("a.b", GAUGE), ("a-b", COUNTER)], &["a_b GAUGE", "NameTaken"]),
            (TEXT, &[("a", GAUGE), ("a", COUNTER)], &["a GAUGE", "NameTaken"]),
            (TEXT, &[("", GAUGE), ("a", HISTOGRAM)], &["Nameless", "a HISTOGRAM"]),
            // Only OpenMetrics forbids these.
            (
                TEXT,
                &[("a", HISTOGRAM), ("a_sum", GAUGE), ("b", GAUGE), ("b_total", COUNTER)],
                &["a HISTOGRAM", "a_sum GAUGE", "b GAUGE", "b_total COUNTER"],
            ),
            (OPENMETRICS, &[("a.b", GAUGE), ("a_b", COUNTER)], &["NameTaken", "a_b UNTYPED"]),
            (UTF8, &[("a.b", GAUGE), ("a_b", GAUGE)], &["a.b GAUGE", "a_b GAUGE"]),
            (UTF8, &[("a.b_total", COUNTER), ("a.c", COUNTER)], &["a.b_total COUNTER", "a.c UNTYPED"]),
            // A counter keeps its type if its names with and without suffixes are free.
            (OPENMETRICS, &[("a_total", COUNTER)], &["a_total COUNTER"]),
            (OPENMETRICS, &[("a", COUNTER), ("_total", COUNTER)], &["a UNTYPED", "_total UNTYPED"]),
            (OPENMETRICS, &[("a", GAUGE), ("a_total", COUNTER)], &["a GAUGE", "a_total UNTYPED"]),
            (OPENMETRICS, &[("a_total", COUNTER), ("a", UNTYPED)], &["a_total UNTYPED", "a UNTYPED"]),
            (
                OPENMETRICS,
                &[("a_created", GAUGE), ("a_total", COUNTER)],
                &["a_created GAUGE", "a_total UNTYPED"],
            ),
            (
                OPENMETRICS,
                &[("h", HISTOGRAM), ("h_count_total", COUNTER)],
                &["h HISTOGRAM", "h_count_total UNTYPED"],
            ),
            (OPENMETRICS, &[("a.b", GAUGE), ("a_b_total", COUNTER)], &["a_b GAUGE", "a_b_total UNTYPED"]),
            // The full name of a counter has precedence over the name without `_total` of another.
            (
                OPENMETRICS,
                &[("a_total_total", COUNTER), ("a_total", COUNTER), ("a", GAUGE)],
                &["a_total_total UNTYPED", "a_total UNTYPED", "a GAUGE"],
            ),
            // Other families are skipped if their name is taken.
            (
                OPENMETRICS,
                &[("h", HISTOGRAM), ("h_bucket", GAUGE), ("h_created", GAUGE), ("h_max", GAUGE)],
                &["h HISTOGRAM", "NameTaken", "NameTaken", "h_max GAUGE"],
            ),
            (OPENMETRICS, &[("s_count", COUNTER), ("s", SUMMARY)], &["s_count UNTYPED", "NameTaken"]),
            (OPENMETRICS, &[("s", SUMMARY), ("s_bucket", GAUGE)], &["s SUMMARY", "s_bucket GAUGE"]),
        ];
        for (format, families, expected) in rows {
            assert_eq!(named(format, families), expected, "{format:?} {families:?}");
        }
    }
}
