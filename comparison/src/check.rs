//! Checks that every server returns the same values. It parses one response and compares its values with the
//! workload.
//!
//! Spellings differ: order, HELP and TYPE, `1e+06` and `1000000`, `le="1.0"` and `le="1"`, `_created`.
//! Servers add families of their own. Their names differ from those of the workload.

use std::collections::HashMap;
use std::fmt::Write;

use crate::outcome::Outcome;

/// Values by series.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Exposition(HashMap<String, f64>);

/// Prefix of the names in the workload.
const OURS: &str = "service_";

/// Number of series that an error names.
const NAMED: usize = 5;

impl Exposition {
    pub(crate) fn parse(body: &str) -> Outcome<Self> {
        let mut exposition = Self::default();
        let mut labels = Vec::new();
        let mut bounds = String::new();
        for line in body.lines().filter(|line| line.starts_with(OURS)) {
            let (name, value) =
                read(line, &mut labels, &mut bounds).ok_or_else(|| format!("not a sample: {line}"))?;
            if name.ends_with("_created") {
                continue;
            }
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (*name, if *name == "le" { bounds.as_str() } else { *value }))
                .collect();
            if !exposition.insert(name, &labels, value) {
                return Err(format!("duplicate series: {line}").into());
            }
        }
        Ok(exposition)
    }

    /// Returns whether the series is new.
    pub(crate) fn insert(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> bool {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        let mut series = name.to_owned();
        for (name, value) in labels {
            let _ = write!(series, ";{name}={value}");
        }
        self.0.insert(series, value).is_none()
    }

    /// Returns an error that names the series that differ.
    pub(crate) fn compare(&self, found: &Self) -> Outcome<()> {
        let missing = self.0.iter().filter_map(|(series, value)| match found.0.get(series) {
            None => Some(format!("{series} is missing")),
            Some(found) if found != value => Some(format!("{series} is {found}, not {value}")),
            Some(_) => None,
        });
        let others = found.0.keys().filter(|series| !self.0.contains_key(*series));
        let mut differences: Vec<String> =
            missing.chain(others.map(|series| format!("{series} is not in the workload"))).collect();
        if differences.is_empty() {
            return Ok(());
        }
        differences.sort_unstable();
        let all = differences.len();
        differences.truncate(NAMED);
        Err(format!("{all} series differ:\n  {}", differences.join("\n  ")).into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Formats the upper bound of a bucket in one spelling.
pub(crate) fn bound(le: f64) -> String {
    le.to_string()
}

/// Returns name and value. Adds its labels to `labels`, and a `le` in our spelling to `bounds`.
fn read<'a>(
    line: &'a str,
    labels: &mut Vec<(&'a str, &'a str)>,
    bounds: &mut String,
) -> Option<(&'a str, f64)> {
    labels.clear();
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            // The workload contains no escapes.
            let (value, after) = after.split_once('"')?;
            labels.push((label, value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    if let Some((_, le)) = labels.iter().find(|(name, _)| *name == "le") {
        *bounds = bound(le.parse().ok()?);
    }
    Some((name, rest.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_all_spellings() {
        let told = r#"service_a{x="1",le="1"} 1000000
            "#;
        let others = [
            "# HELP service_a A\nservice_a{le=\"1.0\",x=\"1\"} 1e+06\nservice_a_created 3.0\ngo_threads 4\n",
            "service_a{x=\"1\",le=\"1\",} 1000000.0 1700000000000\n",
        ];
        for other in others {
            let (told, other) = (Exposition::parse(told).unwrap(), Exposition::parse(other).unwrap());
            assert_eq!(told, other);
            assert_eq!(told.len(), 1);
        }
    }

    #[test]
    fn names_series_that_differ() {
        let told = Exposition::parse("service_a 1\nservice_b 1\n").unwrap();
        for (other, named) in [
            ("service_a 1\n", "service_b is missing"),
            ("service_a 1\nservice_b 2\n", "service_b is 2, not 1"),
            ("service_a 1\nservice_b 1\nservice_c 1\n", "service_c is not in the workload"),
        ] {
            let failure = told.compare(&Exposition::parse(other).unwrap()).unwrap_err().to_string();
            assert!(failure.contains(named), "{failure}");
        }
        assert!(Exposition::parse("service_a 1\nservice_a 1\n").is_err());
    }
}
