//! What has been measured, or why it has not.

use std::fmt::Display;

#[derive(Default)]
pub(crate) struct Results {
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) figure: &'static str,
    /// The load, and what else is the same for all rows of a table.
    pub(crate) case: String,
    /// Whom it is about.
    pub(crate) row: String,
    pub(crate) quantity: &'static str,
    pub(crate) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Seconds(f64),
    Bytes(f64),
    Count(f64),
    /// There is none, for that reason.
    None(String),
}

impl Value {
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
        self.entries.push(Entry { figure, case: case.to_string(), row: row.to_owned(), quantity, value });
    }

    /// Gives a case another name.
    pub(crate) fn rename(&mut self, figure: &str, from: &str, to: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.figure == figure && entry.case == from) {
            to.clone_into(&mut entry.case);
        }
    }

    pub(crate) fn number(&self, figure: &str, case: &str, row: &str, quantity: &str) -> Option<f64> {
        let found = self.entries.iter().find(|entry| {
            entry.figure == figure && entry.case == case && entry.row == row && entry.quantity == quantity
        });
        found.and_then(|entry| entry.value.number())
    }
}
