//! Measured values, or the reasons why they are missing.

use std::fmt::Display;

use crate::stats::quantile;

#[derive(Default)]
pub(crate) struct Results {
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) figure: &'static str,
    /// The load, and other properties that all rows of a table share.
    pub(crate) case: String,
    /// The peer.
    pub(crate) row: String,
    pub(crate) quantity: &'static str,
    pub(crate) value: Value,
    /// The number of scrapes, if the value is a quantile.
    pub(crate) scrapes: Option<usize>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Seconds(f64),
    Bytes(f64),
    Count(f64),
    /// The reason why there is no value.
    None(String),
}

impl Value {
    /// A quantile of seconds. It needs one value beyond the rank, otherwise it would be the maximum.
    pub(crate) fn quantile(seconds: &[f64], rank: f64) -> Self {
        // A tolerance, because 1.0 - 0.99 is a little more than 0.01.
        if (seconds.len() as f64) < 0.999_999 / (1.0 - rank) {
            return Self::None(format!("only {} values", seconds.len()));
        }
        Self::Seconds(quantile(seconds, rank))
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Seconds(number) | Self::Bytes(number) | Self::Count(number) => Some(*number),
            Self::None(_) => None,
        }
    }

    pub(crate) fn unit(&self) -> &'static str {
        match self {
            Self::Seconds(_) => "seconds",
            Self::Bytes(_) => "bytes",
            Self::Count(_) => "",
            Self::None(_) => "none",
        }
    }
}

impl Results {
    pub(crate) fn add(
        &mut self,
        figure: &'static str,
        case: impl Display,
        row: &str,
        quantity: &'static str,
        value: Value,
    ) {
        let (case, row) = (case.to_string(), row.to_owned());
        self.entries.push(Entry { figure, case, row, quantity, value, scrapes: None });
    }

    /// Adds a quantile of that many scrapes.
    pub(crate) fn add_of(
        &mut self,
        figure: &'static str,
        case: impl Display,
        row: &str,
        quantity: &'static str,
        value: Value,
        scrapes: usize,
    ) {
        let (case, row) = (case.to_string(), row.to_owned());
        self.entries.push(Entry { figure, case, row, quantity, value, scrapes: Some(scrapes) });
    }

    /// Renames a case.
    pub(crate) fn rename(&mut self, figure: &str, from: &str, to: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.figure == figure && entry.case == from) {
            to.clone_into(&mut entry.case);
        }
    }

    pub(crate) fn number(&self, figure: &str, case: &str, row: &str, quantity: &str) -> Option<f64> {
        self.entry(figure, case, row, quantity).and_then(|entry| entry.value.number())
    }

    pub(crate) fn entry(&self, figure: &str, case: &str, row: &str, quantity: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.figure == figure && entry.case == case && entry.row == row && entry.quantity == quantity
        })
    }
}

/// Distinct names in the order of their first appearance.
pub(crate) fn each<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_need_enough_values() {
        for (count, rank, value) in [
            (1, 0.5, None),
            (2, 0.5, Some(1.0)),
            (99, 0.99, None),
            (100, 0.99, Some(99.0)),
            (999, 0.999, None),
            (1000, 0.999, Some(999.0)),
        ] {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            assert_eq!(Value::quantile(&values, rank).number(), value, "{rank} of {count}");
        }
    }
}
