//! Reads lines that differ from the line before in their values only.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::Cursor;
use super::distribution::Part;
use super::families::{DistributionIndex, Families};
use super::family::{Family, metric};
use super::family_type::Role;
use super::labels::Label;
use super::number;
use crate::exposition::metric::{label, sort_labels};

/// The positions of the parts of a line.
pub(super) struct Written<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
    /// The text between the braces.
    pub(super) labels: Range<usize>,
    /// The start of the value.
    pub(super) number: usize,
}

impl<'t> Written<'t> {
    fn part(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }
}

/// The constant parts of a line of a metric with one value.
#[derive(Default)]
pub(super) struct Shape<'t> {
    family: usize,
    /// The text before the value of each label, and the label's name.
    leads: Vec<(&'t str, Cow<'t, str>)>,
    /// The text between the last label's value and the number.
    tail: &'t str,
    is_sorted: bool,
    values: Vec<&'t str>,
}

impl<'t> Shape<'t> {
    pub(super) fn clear(&mut self) {
        self.leads.clear();
    }

    /// Keeps the shape of a line, whose labels are in their original order.
    pub(super) fn learn(&mut self, line: &Written<'t>, family: usize, labels: &[Label<'t>]) {
        let mut end = line.start;
        self.leads.clear();
        for label in labels {
            self.leads.push((line.part(end..label.start), label.name.clone()));
            end = label.end;
        }
        self.tail = line.part(end..line.number);
        self.is_sorted = labels.is_sorted_by(|a, b| a.name < b.name);
        self.family = family;
    }

    /// Reads a line of this shape. Returns `None` if it has another one.
    #[inline(always)]
    pub(super) fn follow(&mut self, cursor: &mut Cursor<'t>, families: &mut Families<'t>) -> Option<()> {
        let Shape { family, leads, tail, is_sorted, values } = self;
        if leads.is_empty() {
            return None;
        }
        values.clear();
        for (lead, _) in leads.iter() {
            values.push(cursor.take_text(lead).then(|| cursor.plain())??);
        }
        if !cursor.take_text(tail) {
            return None;
        }
        let value = cursor.value().ok().filter(|_| cursor.end_line())?;
        let mut labels = Vec::with_capacity(leads.len());
        labels.extend(leads.iter().zip(values).map(|((_, name), value)| label(name, value)));
        if !*is_sorted {
            sort_labels(&mut labels);
        }
        let family = families.get_mut(*family)?;
        family.metrics.push(metric(family.kind(), labels, value, 0));
        Some(())
    }
}

/// The constant parts of the lines of one histogram or summary.
pub(super) struct Series<'t> {
    /// The role of the lines with a bound.
    role: Role,
    /// The text before the bound. Empty if no line had a bound yet.
    head: &'t str,
    /// The text between the bound and the value.
    tail: &'t str,
    /// The text between the braces of the lines without a bound, if it is known.
    labels: Option<&'t str>,
}

impl<'t> Series<'t> {
    /// Keeps the constant parts of a line, whose labels are in their original order.
    pub(super) fn learn(line: &Written<'t>, role: Role, labels: &[Label<'t>]) -> Self {
        let mut series = Series { role, head: "", tail: "", labels: None };
        let bound = role.bound().and_then(|bound| labels.iter().position(|label| label.name == bound));
        let others = match (bound, labels) {
            (None, _) => Some(line.labels.clone()),
            (Some(_), [_]) => Some(0..0),
            (Some(0), [bound, ..]) => {
                let is_comma = line.text.as_bytes().get(bound.end + 1) == Some(&b',');
                is_comma.then_some(bound.end + 2..line.labels.end)
            }
            (Some(at), [others @ .., _]) if at == others.len() => {
                others.last().map(|last| line.labels.start..last.end + 1)
            }
            _ => None,
        };
        if let Some(bound) = bound.and_then(|at| labels.get(at)) {
            series.head = line.part(line.start..bound.start);
            series.tail = line.part(bound.end..line.number);
        }
        // If the name is inside the braces, the other lines begin differently.
        let is_bare = !line.part(line.start..line.number).trim_start().starts_with('{');
        series.labels = others.filter(|_| is_bare).map(|others| line.part(others));
        series
    }

    /// Reads another line of the same metric. Returns `None` if it is not one.
    #[inline(always)]
    pub(super) fn follow(
        &self,
        index: DistributionIndex,
        cursor: &mut Cursor<'t>,
        families: &mut Families<'t>,
    ) -> Option<()> {
        let Family { name, distributions, .. } = families.get_mut(index.family)?;
        let part = if !self.head.is_empty() && cursor.take_text(self.head) {
            let bound = cursor.plain()?;
            let bound = match number::plain(bound.as_bytes()) {
                Some((value, length)) if length == bound.len() => value,
                _ => number::value(bound).filter(|bound| !bound.is_nan())?,
            };
            if !cursor.take_text(self.tail) {
                return None;
            }
            match self.role {
                Role::Quantile => Part::Quantile(bound, cursor.value().ok()?),
                _ => Part::Bucket(bound, cursor.count().ok()?),
            }
        } else {
            let labels = self.labels.filter(|_| cursor.take_text(name))?;
            let is_sum = cursor.take_text("_sum");
            if !is_sum && !cursor.take_text("_count") {
                return None;
            }
            let has_labels =
                labels.is_empty() || (cursor.take(b'{') && cursor.take_text(labels) && cursor.take(b'}'));
            if !has_labels || !cursor.take(b' ') {
                return None;
            }
            if is_sum { Part::Sum(cursor.value().ok()?) } else { Part::Count(cursor.count().ok()?) }
        };
        // If the sample is repeated, the caller reads the line again and reports the fault.
        let distribution = distributions.get_mut(index.at).filter(|_| cursor.end_line())?;
        distribution.add(part, 0).ok()
    }
}
