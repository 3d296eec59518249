//! Escapes metric names and label names.
//!
//! In the Prometheus data model before 3.0, metric names match `[a-zA-Z_:][a-zA-Z0-9_:]*` and label names
//! `[a-zA-Z_][a-zA-Z0-9_]*`. `prometheus` does not check the names of custom collectors, nor a registry's prefix and
//! labels. One invalid name makes Prometheus reject the whole scrape, so invalid names are escaped. Valid names stay
//! unchanged in every scheme, as in `EscapeMetricFamily` of prometheus/common (model/metric.go).

use std::{borrow::Cow, fmt::Write};

use super::escaping::Escaping;

/// Escapes `name` as a metric name. An empty one stays empty.
pub(super) fn metric_name(name: &str, escaping: Escaping) -> Cow<'_, str> {
    if name.is_empty() || is_metric_name(name) {
        Cow::Borrowed(name)
    } else {
        escaped(name, escaping, in_metric_name)
    }
}

/// Escapes `name` as a label name, its colons included.
///
/// `EscapeName` keeps colons, but the text parser of Prometheus accepts them in metric names only.
pub(super) fn label_name(name: &str, escaping: Escaping) -> Cow<'_, str> {
    match name {
        // No scheme defines an escape for it, and no parser accepts it, not even in quotes.
        "" => Cow::Borrowed("_"),
        name if is_label_name(name) => Cow::Borrowed(name),
        name => escaped(name, escaping, in_label_name),
    }
}

/// Returns whether a metric name can be written without quotes.
pub(crate) fn is_metric_name(name: &str) -> bool {
    !name.is_empty() && bytes(name).all(in_metric_name)
}

/// Returns whether a label name can be written without quotes.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && bytes(name).all(in_label_name)
}

fn bytes(name: &str) -> impl Iterator<Item = (usize, char)> {
    // No byte of a character beyond ASCII is legal, so the characters need not be decoded.
    name.bytes().map(char::from).enumerate()
}

/// Works like `isValidLegacyRune` of prometheus/common.
fn in_metric_name((at, character): (usize, char)) -> bool {
    character == ':' || in_label_name((at, character))
}

fn in_label_name((at, character): (usize, char)) -> bool {
    character.is_ascii_alphabetic() || character == '_' || (character.is_ascii_digit() && at > 0)
}

/// Works like `EscapeName` of prometheus/common, model/metric.go
/// (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
fn escaped(name: &str, escaping: Escaping, allowed: fn((usize, char)) -> bool) -> Cow<'_, str> {
    let mut escaped = String::with_capacity(name.len());
    match escaping {
        // The lexers of Prometheus accept no NUL in a quoted name (`promlex.l`, `openmetricslex.l`).
        Escaping::AllowUtf8 if !name.contains('\0') => return Cow::Borrowed(name),
        Escaping::Values => escaped.push_str("U__"),
        Escaping::AllowUtf8 | Escaping::Underscores | Escaping::Dots => {}
    }
    for (at, character) in name.char_indices() {
        match (escaping, character) {
            (Escaping::Dots | Escaping::Values, '_') => escaped.push_str("__"),
            (Escaping::Dots, '.') => escaped.push_str("_dot_"),
            _ if allowed((at, character)) => escaped.push(character),
            (Escaping::Dots, _) => escaped.push_str("__"),
            // Writing to a String cannot fail.
            (Escaping::Values, _) => _ = write!(escaped, "_{:x}_", u32::from(character)),
            _ => escaped.push('_'),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [Escaping; 3] = [Escaping::Underscores, Escaping::Dots, Escaping::Values];

    /// Has the rows of `TestEscapeName` of prometheus/common, model/metric_test.go, with `UnderscoreEscaping`,
    /// `DotsEscaping` and `ValueEncodingEscaping`.
    #[test]
    fn passes_the_tests_of_prometheus_common_for_names() {
        let rows = [
            ("", ["", "", ""]),
            // `DotsEscaping` doubles the underscore, but `EscapeMetricFamily` does not call it with a valid name.
            (
                "no:escaping_required",
                ["no:escaping_required", "no:escaping_required", "no:escaping_required"],
            ),
            (
                "mysystem.prod.west.cpu.load",
                [
                    "mysystem_prod_west_cpu_load",
                    "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                    "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load",
                ],
            ),
            (
                "mysystem.prod.west.cpu.load_total",
                [
                    "mysystem_prod_west_cpu_load_total",
                    "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total",
                    "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total",
                ],
            ),
            ("http.status:sum", ["http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"]),
            ("label with 😱", ["label_with__", "label__with____", "U__label_20_with_20__1f631_"]),
            ("花火", ["__", "____", "U___82b1__706b_"]),
            ("label with \u{100}", ["label_with__", "label__with____", "U__label_20_with_20__100_"]),
        ];
        for (name, expected) in rows {
            for (scheme, expected) in SCHEMES.into_iter().zip(expected) {
                assert_eq!(metric_name(name, scheme), expected, "{name:?} {scheme:?}");
            }
        }
    }

    /// Has the names of `TestEscapeMetricFamily` of prometheus/common, model/metric_test.go.
    #[test]
    fn passes_the_tests_of_prometheus_common_for_families() {
        use Escaping::{Dots, Values};
        for (scheme, name, expected) in [
            (Values, "my_metric", "my_metric"),
            (Values, "my.metric", "U__my_2e_metric"),
            (Dots, "unicode.and.dots.花火", "unicode_dot_and_dot_dots_dot_____"),
        ] {
            assert_eq!(metric_name(name, scheme), expected, "{name:?}");
        }
        for (scheme, name, expected) in [
            (Values, "some_label", "some_label"),
            (Values, "some.label", "U__some_2e_label"),
            (Values, "some?label", "U__some_3f_label"),
            (Dots, "some_label", "some_label"),
        ] {
            assert_eq!(label_name(name, scheme), expected, "{name:?}");
        }
    }

    #[test]
    fn escapes_names_to_legacy_names() {
        for (name, metric, label) in [
            ("", "", "_"),
            ("_", "_", "_"),
            ("up", "up", "up"),
            ("job:up:sum", "job:up:sum", "job_up_sum"),
            (":", ":", "_"),
            ("2xx", "_xx", "_xx"),
            ("x2", "x2", "x2"),
            ("http.requests-total", "http_requests_total", "http_requests_total"),
            ("größe µ", "gr__e__", "gr__e__"),
            ("a\nb\"c\\d{e}", "a_b_c_d_e_", "a_b_c_d_e_"),
            ("٣", "_", "_"),
        ] {
            assert_eq!(metric_name(name, Escaping::Underscores), metric, "metric {name:?}");
            assert_eq!(label_name(name, Escaping::Underscores), label, "label {name:?}");
            for scheme in SCHEMES {
                let (metric, label) = (metric_name(name, scheme), label_name(name, scheme));
                assert!(name.is_empty() || is_metric_name(&metric), "{name:?} {metric}");
                assert!(is_label_name(&label), "{name:?} {label}");
            }
        }
    }

    #[test]
    fn escapes_colons_in_label_names() {
        for (scheme, expected) in
            [(Escaping::AllowUtf8, "a:b_c"), (Escaping::Dots, "a__b__c"), (Escaping::Values, "U__a_3a_b__c")]
        {
            assert_eq!(label_name("a:b_c", scheme), expected, "{scheme:?}");
        }
    }
}
