//! Decodes expositions: text in, metric families out.
//!
//! Pure, as [`encode`](super::encode) is. Text 0.0.4 and 1.0.0 are one grammar, OpenMetrics 1.0 is the other. A line that
//! follows neither is skipped, and the others are read. Memory is taken for what was read only, never for what a line says is to
//! come, and each line is read at most three times.

mod cursor;
mod distribution;
mod families;
mod family;
mod fault;
mod kind;
mod labels;
mod like;
mod number;
mod reader;

use prometheus::proto::MetricFamily;

pub use fault::{Fault, Faults};
use reader::{Mistaken, Reader};

/// Reads an exposition: its families in the order of the text, and what was skipped.
///
/// It is read as OpenMetrics if it is `openmetrics`, if it ends in `# EOF`, or as soon as a line is legal only there.
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
