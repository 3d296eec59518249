//! Reports the lines of a text that are skipped.

use std::fmt;

/// The reason why a line, or a metric of several lines, is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line begins with neither a metric name nor a comment.
    Name,
    /// A blank is missing, or OpenMetrics does not allow it.
    Blank,
    /// The labels do not follow the grammar.
    Labels,
    /// A quoted text has no closing quotation mark.
    Quote,
    /// A label name is used twice.
    LabelTwice,
    /// A label name is reserved: `__…`, or `le` or `quantile` in a line that must not have it.
    Reserved,
    /// The bound of a bucket or a quantile is missing or is not a number.
    Bound,
    /// The value is not a number.
    Value,
    /// A count of observations is not a non-negative integer.
    Count,
    /// The timestamp is not a number, or `prometheus` cannot represent it.
    Timestamp,
    /// Unexpected text follows the value or the timestamp.
    Rest,
    /// An OpenMetrics comment is not HELP, TYPE, UNIT or EOF.
    Comment,
    /// OpenMetrics does not allow blank lines.
    BlankLine,
    /// `# EOF` is not the last line.
    Eof,
    /// HELP, TYPE or UNIT has no name or no text.
    Metadata,
    /// TYPE has a word that is not a type of the format.
    Type,
    /// HELP or TYPE contradicts an earlier one.
    Contradiction,
    /// TYPE follows a sample of the family.
    LateType,
    /// The type of the family has no sample with this name.
    Suffix,
    /// A sample of a histogram or a summary is repeated.
    Repeated,
    /// A histogram or a summary has no count.
    Uncounted,
    /// Another family has the full name of the family.
    NameTaken,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Name => "expected a metric name",
            Fault::Blank => "blank missing or not allowed",
            Fault::Labels => r#"expected labels such as {name="value"}"#,
            Fault::Quote => "quoted text has no closing quotation mark",
            Fault::LabelTwice => "label name used twice",
            Fault::Reserved => "label name is reserved",
            Fault::Bound => "le or quantile is missing or not a number",
            Fault::Value => "value is not a number",
            Fault::Count => "count is not a non-negative integer",
            Fault::Timestamp => "timestamp is zero, out of range or not a number",
            Fault::Rest => "unexpected text after the value or the timestamp",
            Fault::Comment => "comment not allowed in OpenMetrics",
            Fault::BlankLine => "blank line not allowed in OpenMetrics",
            Fault::Eof => "# EOF is not the last line",
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

/// The skipped lines of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    count: u64,
    first: Option<(Fault, u64)>,
}

impl Faults {
    /// Returns the number of skipped lines, metrics and families.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the fault of the first skipped line, and the line's number.
    pub fn first(&self) -> Option<(Fault, u64)> {
        self.first
    }

    pub(super) fn add(&mut self, fault: Fault, line: u64) {
        self.count += 1;
        self.first.get_or_insert((fault, line));
    }
}
