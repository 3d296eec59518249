//! Any `Accept` gets an enabled format. A simple one gets the format that a naive parser expects.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::{
    EscapedFormat, FORMATS, Format, OPENMETRICS_001, OPENMETRICS_100, PROTOBUF, TEXT_004, TEXT_100, accept,
};

/// Formats that a server may enable. Text 0.0.4 is the fallback, enabled or not.
const OFFERED: [&[&Format]; 4] =
    [&[], &[&TEXT_100], &[&TEXT_100, &OPENMETRICS_100, &OPENMETRICS_001], FORMATS];

fuzz_target!(|data: &[u8]| {
    let Some((&first, header)) = data.split_first() else { return };
    let offered = OFFERED[usize::from(first) % OFFERED.len()];
    // Each line feed begins another header line, because no value contains one.
    let lines = || header.split(|&byte| byte == b'\n');
    let accepted = accept(lines(), offered);
    let format = accepted.format;

    assert!(*format.format() == TEXT_004 || offered.contains(&format.format()), "{format:?}");
    assert_eq!(
        format,
        EscapedFormat::new(format.format(), format.escaping()),
        "an escaping that the format does not have"
    );
    assert!(
        accepted.content_type == format.content_type()
            || accepted.content_type == format.format().content_type
    );
    // Lines are one list, except after a quote without an end.
    if !header.contains(&b'"') {
        let joined: Vec<u8> = header.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect();
        assert_eq!(accept([joined.as_slice()], offered), accepted);
    }
    // A format that is enabled but not named is not served.
    for (named_by, name) in [
        (&PROTOBUF, "application/vnd.google.protobuf"),
        (&OPENMETRICS_100, "application/openmetrics-text"),
        (&OPENMETRICS_001, "application/openmetrics-text"),
        (&TEXT_100, "text/plain"),
    ] {
        let named = header.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()));
        assert!(format.format() != named_by || named, "the header does not name {named_by:?}");
    }
});
