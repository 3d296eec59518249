//! Names as the formats allow them.
//!
//! The Prometheus data model: metric names match `[a-zA-Z_:][a-zA-Z0-9_:]*`, label names
//! `[a-zA-Z_][a-zA-Z0-9_]*`. `prometheus` checks neither in a custom collector, nor a registry's prefix and
//! labels; one wrong name costs Prometheus the whole scrape, so wrong names are escaped.

use std::borrow::Cow;

/// `name` as a metric name. An empty one stays empty.
pub(super) fn metric_name(name: &str) -> Cow<'_, str> {
    escaped(name, |character| character == ':')
}

/// `name` as a label name. Without colons, which the text parser of Prometheus takes in metric names only.
pub(super) fn label_name(name: &str) -> Cow<'_, str> {
    if name.is_empty() { Cow::Borrowed("_") } else { escaped(name, |_| false) }
}

/// Prometheus' escaping scheme `underscores` (`EscapeName` in prometheus/common, model/metric.go): each
/// character that is not allowed where it stands becomes an underscore, a leading digit included.
fn escaped(name: &str, allowed_too: fn(char) -> bool) -> Cow<'_, str> {
    let allowed = |(at, character): (usize, char)| {
        character.is_ascii_alphabetic()
            || character == '_'
            || (character.is_ascii_digit() && at > 0)
            || allowed_too(character)
    };
    if name.char_indices().all(allowed) {
        return Cow::Borrowed(name);
    }
    name.char_indices()
        .map(|(at, character)| if allowed((at, character)) { character } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legacy_names() {
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
            assert_eq!(metric_name(name), metric, "metric {name:?}");
            assert_eq!(label_name(name), label, "label {name:?}");
        }
    }
}
