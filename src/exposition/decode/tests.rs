//! What is read, told as text 0.0.4 tells it, and what is skipped.

use super::*;
use crate::exposition::encode::{EscapedFormat, Escaping, TEXT_100, encode};
use crate::exposition::filter::Names;

/// Returns what is read, written again without HELP and TYPE, and the lines of the first fault.
fn read(text: &str) -> (String, Vec<(Fault, u64)>) {
    let (families, faults) = decode(text, false);
    let mut chunks = Vec::new();
    encode(EscapedFormat::new(&TEXT_100, Escaping::AllowUtf8), &Names::default(), &families, &mut chunks);
    let written = String::from_utf8(chunks.concat()).unwrap();
    let samples = written.lines().filter(|line| !line.starts_with("# HELP"));
    (samples.collect::<Vec<_>>().join("\n"), faults.first().into_iter().collect())
}

#[test]
fn lines_become_families() {
    for (text, expected) in [
        ("", ""),
        ("a 1", "# TYPE a untyped\na 1"),
        ("# HELP a b\n# TYPE a counter\na 1\n", "# TYPE a counter\na 1"),
        (
            "a{x=\"1\"} 1\nb 2\na{x=\"2\"} 3 5",
            "# TYPE a untyped\na{x=\"1\"} 1\na{x=\"2\"} 3 5\n# TYPE b untyped\nb 2",
        ),
        (
            "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"1\",le=\"+Inf\"} 2\nh_sum{a=\"1\"} 3\n\
             h_count{a=\"1\"} 2\nh_bucket{a=\"2\",le=\"1\"} 5\nh_bucket{a=\"2\",le=\"+Inf\"} 6\nh_sum{a=\"2\"} 7\n\
             h_count{a=\"2\"} 6\n",
            "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"1\",le=\"+Inf\"} 2\nh_sum{a=\"1\"} 3\n\
             h_count{a=\"1\"} 2\nh_bucket{a=\"2\",le=\"1\"} 5\nh_bucket{a=\"2\",le=\"+Inf\"} 6\nh_sum{a=\"2\"} 7\n\
             h_count{a=\"2\"} 6",
        ),
        (
            "# TYPE a counter\n# UNIT a seconds\na_total{b=\"c\"} 1 2.5 # {id=\"x\"} 1 3\n# EOF\n",
            "# TYPE a_total counter\na_total{b=\"c\"} 1 2500",
        ),
    ] {
        assert_eq!(read(text), (expected.to_owned(), vec![]), "{text}");
    }
}
