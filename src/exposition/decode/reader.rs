//! Reads a text line by line.
//!
//! Most lines differ from the line before in their values only. So a line is first compared with the line before. It is
//! parsed only if it differs in another part.

use std::borrow::Cow;
use std::ops::Range;

use prometheus::proto::MetricFamily;

use super::cursor::{Cursor, unescaped};
use super::distribution::Part;
use super::families::{DistributionIndex, Families};
use super::family_type::{FamilyType, Role};
use super::fault::{Fault, Faults};
use super::labels::{self, Label};
use super::like::{Series, Shape, Written};
use super::number;
use crate::util::error::ensure;

/// Reads a text in one of the two grammars.
pub(super) struct Reader<'t> {
    cursor: Cursor<'t>,
    openmetrics: bool,
    /// Whether a line is valid in OpenMetrics only, so that the grammar is the wrong one.
    is_mistaken: bool,
    line: u64,
    families: Families<'t>,
    faults: Faults,
    labels: Vec<Label<'t>>,
    /// The labels of an exemplar, which are ignored.
    exemplar: Vec<Label<'t>>,
    shape: Shape<'t>,
    series: Option<(Series<'t>, DistributionIndex)>,
}

/// Reports that the text is OpenMetrics.
pub(super) struct Mistaken;

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, openmetrics: bool) -> Self {
        Reader {
            cursor: Cursor { text, at: 0 },
            openmetrics,
            is_mistaken: false,
            line: 0,
            families: Families::new(openmetrics),
            faults: Faults::default(),
            labels: Vec::new(),
            exemplar: Vec::new(),
            shape: Shape::default(),
            series: None,
        }
    }

    pub(super) fn read(mut self) -> Result<(Vec<MetricFamily>, Faults), Mistaken> {
        while self.cursor.at < self.cursor.text.len() {
            self.line += 1;
            if self.is_like_the_last() {
                continue;
            }
            if let Err(fault) = self.any_line() {
                if self.is_mistaken {
                    return Err(Mistaken);
                }
                self.faults.add(fault, self.line);
                self.cursor.skip_line();
                // The shape may be that of the skipped line.
                self.shape.clear();
            }
        }
        let families = self.families.finish(&mut self.faults);
        Ok((families, self.faults))
    }

    /// Reads a line that differs from the line before in its values only. Returns `false` for other lines.
    #[inline(always)]
    fn is_like_the_last(&mut self) -> bool {
        let start = self.cursor.at;
        let is_like = match &self.series {
            Some((series, index)) => series.follow(*index, &mut self.cursor, &mut self.families),
            None => self.shape.follow(&mut self.cursor, &mut self.families),
        };
        if is_like.is_none() {
            self.cursor.at = start;
        }
        is_like.is_some()
    }

    fn any_line(&mut self) -> Result<(), Fault> {
        self.shape.clear();
        self.series = None;
        let start = self.cursor.at;
        self.blanks();
        match self.cursor.peek() {
            None if self.openmetrics => return Err(Fault::BlankLine),
            None => {}
            Some(b'#') => {
                self.cursor.at += 1;
                if self.openmetrics { self.openmetrics_comment()? } else { self.comment()? }
            }
            Some(_) => self.sample(start)?,
        }
        ensure(self.cursor.end_line(), Fault::Rest)
    }

    /// Skips optional blanks, which OpenMetrics does not allow.
    fn blanks(&mut self) {
        if !self.openmetrics {
            self.cursor.blanks();
        }
    }

    /// Skips the required blanks between two parts of a line. Returns whether there are any.
    fn separator(&mut self) -> bool {
        if self.openmetrics { self.cursor.take(b' ') } else { self.cursor.blanks() }
    }

    /// Reads a comment of the text format.
    ///
    /// "Lines with a # as the first non-whitespace character are comments. They are ignored unless the first token
    /// after # is either HELP or TYPE."
    fn comment(&mut self) -> Result<(), Fault> {
        let word = if self.cursor.blanks() { self.cursor.word() } else { "" };
        self.cursor.blanks();
        match word {
            "HELP" => self.help(),
            "TYPE" => self.kind(),
            _ => {
                let comment = self.cursor.remainder();
                let unit = comment.split_once(' ').filter(|(name, unit)| name.ends_with(unit));
                self.is_mistaken = word == "UNIT" && unit.is_some_and(|(_, unit)| !unit.is_empty());
                ensure(!self.is_mistaken, Fault::Comment)
            }
        }
    }

    /// Reads a comment of OpenMetrics, which must be HELP, TYPE, UNIT or EOF.
    fn openmetrics_comment(&mut self) -> Result<(), Fault> {
        if self.cursor.take_text(" HELP ") {
            self.help()
        } else if self.cursor.take_text(" TYPE ") {
            self.kind()
        } else if self.cursor.take_text(" UNIT ") {
            let name = self.metadata_name()?;
            let is_separate = self.cursor.take(b' ');
            let unit = self.cursor.remainder();
            // "an underscore and the unit MUST be the suffix of the MetricFamily name"
            let is_suffix =
                unit.is_empty() || name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
            ensure(is_separate && is_suffix, Fault::Metadata)
        } else if self.cursor.take_text(" EOF") {
            ensure(matches!(self.cursor.rest(), b"" | b"\n"), Fault::Eof)
        } else {
            Err(Fault::Comment)
        }
    }

    fn metadata_name(&mut self) -> Result<Cow<'t, str>, Fault> {
        let name = if self.cursor.take(b'"') {
            self.cursor.quoted()?
        } else {
            Cow::Borrowed(self.cursor.name(true))
        };
        ensure(!name.is_empty(), Fault::Metadata)?;
        Ok(name)
    }

    fn help(&mut self) -> Result<(), Fault> {
        let name = self.metadata_name()?;
        // One blank only. Further blanks are part of the text.
        let has_text = self.cursor.take(b' ') || (!self.openmetrics && self.cursor.take(b'\t'));
        ensure(has_text || (!self.openmetrics && self.cursor.peek().is_none()), Fault::Metadata)?;
        let help = unescaped(self.cursor.remainder(), self.openmetrics);
        let family = self.families.named(name);
        ensure(family.help.as_ref().is_none_or(|before| *before == help), Fault::Contradiction)?;
        family.help = Some(help);
        Ok(())
    }

    fn kind(&mut self) -> Result<(), Fault> {
        let name = self.metadata_name()?;
        ensure(self.separator(), Fault::Metadata)?;
        let word = self.cursor.word();
        ensure(!word.is_empty(), Fault::Metadata)?;
        self.blanks();
        ensure(self.cursor.peek().is_none(), Fault::Rest)?;
        let kind = FamilyType::of(word, self.openmetrics);
        self.is_mistaken = kind.is_none() && !self.openmetrics && FamilyType::of(word, true).is_some();
        let kind = kind.ok_or(Fault::Type)?;
        let family = self.families.named(name);
        match family.kind {
            Some(before) if before != kind => return Err(Fault::Contradiction),
            None if family.is_sampled() && kind != FamilyType::Untyped => return Err(Fault::LateType),
            _ => family.kind = Some(kind),
        }
        Ok(())
    }

    fn sample(&mut self, start: usize) -> Result<(), Fault> {
        let (name, labels) = self.name_and_labels()?;
        self.is_mistaken = !self.openmetrics && self.families.is_total(&name);
        ensure(!self.is_mistaken, Fault::Suffix)?;
        // "Counter MAY have exemplars", "buckets MAY have exemplars".
        let has_exemplar = self.openmetrics && (name.ends_with("_total") || name.ends_with("_bucket"));
        let (family, role) = self.families.assign(name)?;
        let line = Written { text: self.cursor.text, start, labels, number: self.cursor.at };
        if role == Role::Value {
            self.shape.learn(&line, family, &self.labels);
            labels::check(&mut self.labels, self.openmetrics)?;
            let value = self.cursor.value()?;
            let timestamp = self.timestamp(has_exemplar)?;
            self.families.add_value(family, labels::pairs(&self.labels), value, timestamp, self.line);
            return Ok(());
        }
        let series = Series::learn(&line, role, &self.labels);
        let bound = self.bound(family, role)?;
        labels::check(&mut self.labels, self.openmetrics)?;
        let part = match role {
            Role::Bucket => Part::Bucket(bound, self.cursor.count()?),
            Role::Quantile => Part::Quantile(bound, self.cursor.value()?),
            Role::Sum => Part::Sum(self.cursor.value()?),
            Role::Count => Part::Count(self.cursor.count()?),
            Role::Value | Role::Created | Role::Part => {
                self.cursor.value()?;
                self.timestamp(has_exemplar)?;
                return Ok(());
            }
        };
        let timestamp = self.timestamp(has_exemplar)?;
        let index = self.families.distribution(family, &self.labels, self.line);
        self.families.add_part(index, part, timestamp)?;
        self.series = Some((series, index));
        Ok(())
    }

    /// Reads a line up to its value. Returns the metric name, and the position of the labels between their braces.
    fn name_and_labels(&mut self) -> Result<(Cow<'t, str>, Range<usize>), Fault> {
        self.labels.clear();
        let mut name = Cow::Borrowed(self.cursor.name(true));
        let is_separate = self.separator();
        // OpenMetrics: "metricname [labels] SP number".
        let braces = !(self.openmetrics && is_separate) && self.cursor.take(b'{');
        let start = self.cursor.at;
        if !braces {
            return match self.cursor.peek() {
                _ if name.is_empty() => Err(Fault::Name),
                None => Err(Fault::Value),
                Some(_) if !is_separate => Err(Fault::Name),
                Some(_) => Ok((name, start..start)),
            };
        }
        let quoted = labels::read(&mut self.cursor, self.openmetrics, &mut self.labels)?;
        name = match quoted {
            Some(quoted) if name.is_empty() => quoted,
            None if !name.is_empty() => name,
            _ => return Err(Fault::Name),
        };
        let end = self.cursor.at - 1;
        // The text format requires no blank between a brace and a number.
        ensure(self.separator() || !self.openmetrics, Fault::Blank)?;
        Ok((name, start..end))
    }

    /// Removes the label with the bound and returns the bound. Returns 0.0 for lines without one.
    fn bound(&mut self, family: usize, role: Role) -> Result<f64, Fault> {
        let at = |label: &str| self.labels.iter().position(|other| other.name == label);
        if let Some(bound) = role.bound() {
            let label = self.labels.remove(at(bound).ok_or(Fault::Bound)?);
            ensure(self.labels.iter().all(|other| other.name != bound), Fault::LabelTwice)?;
            let bound = number::value(&label.value).filter(|bound| !bound.is_nan());
            return bound.ok_or(Fault::Bound);
        }
        let reserved = self.families.reserved(family);
        ensure(reserved.is_none_or(|reserved| at(reserved).is_none()), Fault::Reserved)?;
        Ok(0.0)
    }

    /// Reads the text after a value, and returns the timestamp, or zero if there is none.
    ///
    /// In OpenMetrics an exemplar may follow, which is ignored.
    fn timestamp(&mut self, has_exemplar: bool) -> Result<i64, Fault> {
        if self.cursor.peek().is_none() {
            return Ok(0);
        }
        ensure(self.separator(), Fault::Blank)?;
        let mut timestamp = 0;
        match self.cursor.peek() {
            None if self.openmetrics => return Err(Fault::Blank),
            None => return Ok(0),
            Some(b'#') => {}
            Some(_) => {
                let word = self.cursor.word();
                let read = if self.openmetrics { number::seconds(word) } else { number::milliseconds(word) };
                // In `prometheus` zero means no timestamp, so a sample from the epoch would be served as a current one.
                let Some(read) = read.filter(|timestamp| *timestamp != 0) else {
                    let rest = self.cursor.remainder();
                    self.is_mistaken = !self.openmetrics && rest.starts_with(" # {");
                    return Err(Fault::Timestamp);
                };
                timestamp = read;
                if self.cursor.peek().is_none() {
                    return Ok(timestamp);
                }
                let is_separate = self.separator();
                ensure(is_separate && (!self.openmetrics || self.cursor.peek().is_some()), Fault::Blank)?;
            }
        }
        if self.cursor.peek().is_some() {
            self.exemplar(has_exemplar)?;
        }
        Ok(timestamp)
    }

    /// Reads an exemplar and ignores it.
    ///
    /// "Exemplars without Labels MUST represent an empty LabelSet as {}."
    fn exemplar(&mut self, is_allowed: bool) -> Result<(), Fault> {
        let has_braces = self.cursor.take_text("# {");
        self.is_mistaken = has_braces && !self.openmetrics;
        ensure(has_braces && is_allowed, Fault::Rest)?;
        self.exemplar.clear();
        labels::read(&mut self.cursor, true, &mut self.exemplar)?;
        ensure(self.cursor.take(b' '), Fault::Blank)?;
        self.cursor.value()?;
        if self.cursor.peek().is_some() {
            let is_separate = self.cursor.take(b' ');
            number::seconds(self.cursor.word()).filter(|_| is_separate).ok_or(Fault::Timestamp)?;
        }
        ensure(self.cursor.peek().is_none(), Fault::Rest)
    }
}
