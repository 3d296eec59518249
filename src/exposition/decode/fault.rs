//! Why a line is skipped, and what is skipped in a text.

use std::fmt;

/// Why a line, or a metric of several lines, is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line begins with neither a metric name nor a comment.
    Name,
    /// A blank is missing, or one is there that OpenMetrics does not allow.
    Blank,
    /// The labels do not follow the grammar.
    Labels,
    /// A quoted text has no end.
    Quote,
    /// One label twice.
    LabelTwice,
    /// A label that is reserved: `__…`, or `le` or `quantile` in a line that must not have it.
    Reserved,
    /// The bound of a bucket or a quantile is missing or is not a number.
    Bound,
    /// The value is not a number.
    Value,
    /// A count of observations is not a whole number from zero.
    Count,
    /// The timestamp is not one, or `prometheus` cannot hold it.
    Timestamp,
    /// There is more in the line than may be.
    Rest,
    /// A comment of OpenMetrics that is none of its four.
    Comment,
    /// A blank line in OpenMetrics.
    BlankLine,
    /// `# EOF` before the end.
    Eof,
    /// HELP, TYPE or UNIT without a name, or without what they are to say.
    Metadata,
    /// TYPE with a word that is no type of the format.
    Type,
    /// HELP or TYPE that says something else than one before it.
    Contradiction,
    /// TYPE after a sample of the family.
    LateType,
    /// The type of the family has no sample with this name.
    Suffix,
    /// A part of a histogram or summary that is there already.
    Repeated,
    /// A histogram or summary without a count.
    Uncounted,
    /// A family whose full name another family has.
    NameTaken,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Name => "expected a metric name",
            Fault::Blank => "blank missing or not allowed",
            Fault::Labels => r#"expected labels such as {name="value"}"#,
            Fault::Quote => "quoted text without an end",
            Fault::LabelTwice => "label name used twice",
            Fault::Reserved => "label name is reserved",
            Fault::Bound => "le or quantile is missing or not a number",
            Fault::Value => "value is not a number",
            Fault::Count => "count is not a whole number from zero",
            Fault::Timestamp => "timestamp not readable, out of range or zero",
            Fault::Rest => "more than a value and a timestamp",
            Fault::Comment => "comment not allowed in OpenMetrics",
            Fault::BlankLine => "blank line not allowed in OpenMetrics",
            Fault::Eof => "# EOF before the end",
            Fault::Metadata => "HELP, TYPE or UNIT is incomplete",
            Fault::Type => "type not known in this format",
            Fault::Contradiction => "HELP or TYPE differs from the one before",
            Fault::LateType => "TYPE after a sample of the family",
            Fault::Suffix => "the family's type has no sample of this name",
            Fault::Repeated => "sample repeated in its histogram or summary",
            Fault::Uncounted => "histogram or summary without a count",
            Fault::NameTaken => "family name used twice",
        })
    }
}

/// What is skipped in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    count: u64,
    first: Option<(Fault, u64)>,
}

impl Faults {
    /// Returns how many lines, metrics and families are skipped.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns why the first one is skipped, and the number of its line.
    pub fn first(&self) -> Option<(Fault, u64)> {
        self.first
    }

    pub(super) fn add(&mut self, fault: Fault, line: u64) {
        self.count += 1;
        self.first.get_or_insert((fault, line));
    }
}
