//! Samples, and the comparison of two sets of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A sample, as set or as read.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

pub(super) type Key = (String, BTreeMap<String, String>);

impl Sample {
    pub(super) fn key(&self) -> Key {
        (self.name.clone(), self.labels.clone())
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} {:?}", self.name, self.labels, self.value)
    }
}

pub(super) struct Samples<'a>(pub(super) &'a [Sample]);

impl fmt::Display for Samples<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|sample| write!(f, "\n  {sample}"))?;
        if self.0.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

/// Compares two sets of samples, with the bits of each value. All NaNs are equal.
pub(super) fn differences(set: impl Iterator<Item = Sample>, read: Vec<Sample>) -> Result<(), String> {
    let mut differences = String::new();
    let mut unread: BTreeMap<Key, f64> = BTreeMap::new();
    for sample in read {
        if let Some(other) = unread.insert(sample.key(), sample.value) {
            writeln!(differences, "read twice: {sample} and {other:?}").unwrap();
        }
    }
    for sample in set {
        match unread.remove(&sample.key()) {
            Some(value)
                if value.to_bits() == sample.value.to_bits() || value.is_nan() && sample.value.is_nan() => {}
            Some(value) => writeln!(differences, "set: {sample}; read: {value:?}").unwrap(),
            None => writeln!(differences, "set, but not read: {sample}").unwrap(),
        }
    }
    for ((name, labels), value) in unread {
        writeln!(differences, "read, but not set: {name}{labels:?} {value:?}").unwrap();
    }
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}
