//! Decodes expositions into metric families, without I/O and without a clock.
//!
//! There are two grammars: text 0.0.4 with 1.0.0, and OpenMetrics 1.0. Invalid lines are skipped, the others are read.
//! Memory is allocated for the content of lines only, never for an announced number of lines. Each line is read at most
//! three times.

mod cursor;
mod distribution;
mod families;
mod family;
mod family_type;
mod fault;
mod labels;
mod like;
mod number;
mod reader;

use prometheus::proto::MetricFamily;

pub use fault::{Fault, Faults};
use reader::{Mistaken, Reader};

/// Reads an exposition. Returns its families in the order of the text, and the faults of the skipped lines.
///
/// The grammar is OpenMetrics if `openmetrics` is true, if the text ends in `# EOF`, or if a line is valid only there.
pub fn decode(text: &str, openmetrics: bool) -> (Vec<MetricFamily>, Faults) {
    let ends_in_eof = || {
        let line = text.strip_suffix('\n').unwrap_or(text).strip_suffix("# EOF");
        line.is_some_and(|before| before.is_empty() || before.ends_with('\n'))
    };
    if openmetrics || ends_in_eof() {
        return read(text, true).unwrap_or_default();
    }
    read(text, false).or_else(|Mistaken| read(text, true)).unwrap_or_default()
}

fn read(text: &str, openmetrics: bool) -> Result<(Vec<MetricFamily>, Faults), Mistaken> {
    Reader::new(text, openmetrics).read()
}

#[cfg(test)]
mod tests;
