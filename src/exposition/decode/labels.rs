//! Reads the labels of a line.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use prometheus::proto::LabelPair;

use super::cursor::Cursor;
use super::fault::Fault;
use crate::exposition::metric;
use crate::util::error::ensure;

/// A label of a line.
#[derive(Clone, Debug)]
pub(super) struct Label<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) value: Cow<'t, str>,
    /// The start of the value in the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Hash for Label<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.value).hash(state);
    }
}

/// Reads labels after an opening brace, and the closing brace. Returns the metric name if it is among the labels.
///
/// OpenMetrics allows neither blanks nor a comma after the last label.
pub(super) fn read<'t>(
    cursor: &mut Cursor<'t>,
    openmetrics: bool,
    labels: &mut Vec<Label<'t>>,
) -> Result<Option<Cow<'t, str>>, Fault> {
    let skip = |cursor: &mut Cursor<'t>| {
        if !openmetrics {
            cursor.blanks();
        }
    };
    let mut metric_name = None;
    let mut is_first = true;
    loop {
        skip(cursor);
        if cursor.peek() == Some(b'}') && (is_first || !openmetrics) {
            cursor.at += 1;
            return Ok(metric_name);
        }
        is_first = false;
        let is_quoted = cursor.take(b'"');
        let name = if is_quoted { cursor.quoted()? } else { Cow::Borrowed(cursor.name(false)) };
        ensure(!name.is_empty(), Fault::Labels)?;
        skip(cursor);
        if cursor.take(b'=') {
            skip(cursor);
            ensure(cursor.take(b'"'), Fault::Labels)?;
            let start = cursor.at;
            let value = cursor.quoted()?;
            labels.push(Label { name, value, start, end: cursor.at - 1 });
        } else {
            ensure(is_quoted && metric_name.replace(name).is_none(), Fault::Labels)?;
        }
        skip(cursor);
        if cursor.take(b'}') {
            return Ok(metric_name);
        }
        ensure(cursor.take(b','), Fault::Labels)?;
    }
}

/// Sorts labels by name, as a registry does, and checks the names as the encoder does.
pub(super) fn check(labels: &mut [Label<'_>], openmetrics: bool) -> Result<(), Fault> {
    // OpenMetrics: "Label names beginning with underscores are RESERVED". Its strict parser takes one underscore.
    let is_reserved = |name: &str| if openmetrics { name.starts_with("__") } else { name == "__name__" };
    ensure(!labels.iter().any(|label| is_reserved(&label.name)), Fault::Reserved)?;
    if !labels.is_sorted_by(|a, b| a.name < b.name) {
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        ensure(labels.windows(2).all(|pair| pair[0].name != pair[1].name), Fault::LabelTwice)?;
    }
    Ok(())
}

/// Converts the labels of a line to those of a metric.
pub(super) fn pairs(labels: &[Label<'_>]) -> Vec<LabelPair> {
    labels.iter().map(|label| metric::label(&label.name, &label.value)).collect()
}
