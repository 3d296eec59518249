//! Any `Accept-Encoding` gets a coding that the build has and that the header does not refuse.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::{Coding, accept_encoding};

/// The codings of a build, in either order.
const COMPRESSED: [&[Coding]; 5] =
    [&[], &[Coding::Gzip], &[Coding::Zstd], &[Coding::Zstd, Coding::Gzip], &[Coding::Gzip, Coding::Zstd]];

fuzz_target!(|data: &[u8]| {
    let Some((&first, header)) = data.split_first() else { return };
    let compressed = COMPRESSED[usize::from(first) % COMPRESSED.len()];
    let lines = || header.split(|&byte| byte == b'\n');
    let coding = accept_encoding(lines(), compressed);

    assert!(coding == Coding::Identity || compressed.contains(&coding), "the build does not have {coding:?}");
    if header.contains(&b'"') {
        return;
    }
    // Lines are one list, except after a quote without an end.
    let joined: Vec<u8> = header.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect();
    assert_eq!(accept_encoding([joined.as_slice()], compressed), coding);

    // A naive parser, which asserts only cases that it knows.
    let elements: Vec<Element> = joined.split(|&byte| byte == b',').map(Element::new).collect();
    let listed =
        |name: &str| elements.iter().any(|element| element.name.eq_ignore_ascii_case(name.as_bytes()));
    if coding != Coding::Identity {
        let names = coding.names().iter().any(|name| listed(name));
        assert!(names || listed("*"), "the header does not name {coding:?}");
        let of = |element: &&Element| match names {
            true => coding.names().iter().any(|name| element.name.eq_ignore_ascii_case(name.as_bytes())),
            false => element.name == b"*",
        };
        assert!(!elements.iter().filter(of).all(|element| element.refused), "{coding:?} is refused");
    } else if let Some(wanted) = compressed.iter().find(|coding| listed(coding.names()[0])) {
        // A coding that is named without a parameter, and only once, is accepted.
        let alone = elements.iter().filter(|element| !element.name.is_empty()).count() == 1;
        assert!(!alone || joined.contains(&b';'), "{wanted:?} is accepted and not served");
    }
});

struct Element<'a> {
    name: &'a [u8],
    /// Whether it has `q=0` and nothing else.
    refused: bool,
}

impl<'a> Element<'a> {
    fn new(element: &'a [u8]) -> Self {
        let end = element.iter().position(|&byte| byte == b';').unwrap_or(element.len());
        let blank: Vec<u8> = element[end..].iter().copied().filter(|byte| !b" \t".contains(byte)).collect();
        Element { name: element[..end].trim_ascii(), refused: [&b";q=0"[..], b";Q=0"].contains(&&blank[..]) }
    }
}
