//! Reports the lines of a text that are skipped.

use crate::util::texts::texts;

texts! {
    /// The reason why a line, or a metric of several lines, is skipped.
    pub enum Fault: fn text {
        /// The line begins with neither a metric name nor a comment.
        Name = "expected a metric name",
        /// A blank is missing, or OpenMetrics does not allow it.
        Blank = "blank missing or not allowed",
        /// The labels do not follow the grammar.
        Labels = r#"expected labels such as {name="value"}"#,
        Quote = "quoted text has no closing quotation mark",
        LabelTwice = "label name used twice",
        /// A label name is reserved: `__…`, or `le` or `quantile` in a line that must not have it.
        Reserved = "label name is reserved",
        Bound = "le or quantile is missing or not a number",
        Value = "value is not a number",
        Count = "count is not a non-negative integer",
        /// The timestamp is not a number, or `prometheus` cannot represent it.
        Timestamp = "timestamp is zero, out of range or not a number",
        Rest = "unexpected text after the value or the timestamp",
        /// An OpenMetrics comment is not HELP, TYPE, UNIT or EOF.
        Comment = "comment not allowed in OpenMetrics",
        BlankLine = "blank line not allowed in OpenMetrics",
        Eof = "# EOF is not the last line",
        /// HELP, TYPE or UNIT has no name or no text.
        Metadata = "HELP, TYPE or UNIT is incomplete",
        Type = "type not known in this format",
        Contradiction = "HELP or TYPE differs from the one before",
        LateType = "TYPE after a sample of the family",
        Suffix = "the family's type has no sample of this name",
        Repeated = "sample repeated in its histogram or summary",
        Uncounted = "histogram or summary without a count",
        /// Another family has the full name of the family.
        NameTaken = "family name used twice",
    }
}

/// The skipped lines of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The number of skipped lines, metrics and families.
    pub count: u64,
    /// The fault of the first skipped line, and the line's number.
    pub first: Option<(Fault, u64)>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault, line: u64) {
        self.count += 1;
        self.first.get_or_insert((fault, line));
    }
}
