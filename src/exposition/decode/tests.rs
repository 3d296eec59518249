//! Tests that compare decoded families with their exposition in text 1.0.0, and the skipped lines.

mod compared;
mod corpus;
mod naive;

use super::*;
use crate::exposition::encode::{EscapedFormat, Escaping, TEXT_100, encode};
use crate::exposition::filter::Names;

/// Returns the lines of families without HELP.
fn served(families: &[MetricFamily]) -> Vec<String> {
    let mut chunks = Vec::new();
    encode(EscapedFormat::new(&TEXT_100, Escaping::AllowUtf8), &Names::default(), families, &mut chunks);
    let text = String::from_utf8(chunks.concat()).unwrap();
    text.lines().filter(|line| !line.starts_with("# HELP")).map(str::to_owned).collect()
}
