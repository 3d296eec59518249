//! Any `Accept` is answered with a format that is switched on, and a plain one as a naive reader reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::{Choice, Format, accept};

/// What a server may have switched on beside text 0.0.4.
const OFFERED: [&[Format]; 4] = [
    &[],
    &[Format::Text100],
    &[Format::Text100, Format::OpenMetrics100, Format::OpenMetrics001],
    &Format::ALL,
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, header)) = data.split_first() else { return };
    let offered = OFFERED[usize::from(first) % OFFERED.len()];
    // Each line feed begins another header line, as no value can have one in it.
    let lines = || header.split(|&byte| byte == b'\n');
    let accepted = accept(lines(), offered);
    let choice = accepted.choice;

    assert!(choice.format == Format::Text004 || offered.contains(&choice.format), "{choice:?}");
    assert_eq!(
        choice,
        Choice::escaped(choice.format, choice.escaping),
        "an escaping that the format has not"
    );
    assert!(
        accepted.content_type == choice.content_type()
            || accepted.content_type == choice.format.content_type()
    );
    // Lines are one list, but for a quote that is never closed.
    if !header.contains(&b'"') {
        let joined: Vec<u8> = header.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect();
        assert_eq!(accept([joined.as_slice()], offered), accepted);
    }
    // What is switched on and not asked for by name is not given.
    for (format, name) in [
        (Format::Protobuf, "application/vnd.google.protobuf"),
        (Format::OpenMetrics100, "application/openmetrics-text"),
        (Format::OpenMetrics001, "application/openmetrics-text"),
        (Format::Text100, "text/plain"),
    ] {
        let named = header.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()));
        assert!(choice.format != format || named, "nobody named {format:?}");
    }
});
