//! Any `Accept-Encoding` is answered with a coding that we have and that it does not refuse.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::{Coding, accept_encoding};

/// What a build may have, in either order.
const COMPRESSED: [&[Coding]; 5] =
    [&[], &[Coding::Gzip], &[Coding::Zstd], &[Coding::Zstd, Coding::Gzip], &[Coding::Gzip, Coding::Zstd]];

fuzz_target!(|data: &[u8]| {
    let Some((&first, header)) = data.split_first() else { return };
    let compressed = COMPRESSED[usize::from(first) % COMPRESSED.len()];
    let lines = || header.split(|&byte| byte == b'\n');
    let coding = accept_encoding(lines(), compressed);

    assert!(coding == Coding::Identity || compressed.contains(&coding), "{coding:?} is not there");
    if header.contains(&b'"') {
        return;
    }
    // Lines are one list, but for a quote that is never closed.
    let joined: Vec<u8> = header.iter().map(|&byte| if byte == b'\n' { b',' } else { byte }).collect();
    assert_eq!(accept_encoding([joined.as_slice()], compressed), coding);

    // A naive reader: what it is sure of holds.
    let elements: Vec<Element> = joined.split(|&byte| byte == b',').map(Element::new).collect();
    let listed =
        |name: &str| elements.iter().any(|element| element.name.eq_ignore_ascii_case(name.as_bytes()));
    if coding != Coding::Identity {
        let names = coding.names().iter().any(|name| listed(name));
        assert!(names || listed("*"), "nobody asked for {coding:?}");
        let of = |element: &&Element| match names {
            true => coding.names().iter().any(|name| element.name.eq_ignore_ascii_case(name.as_bytes())),
            false => element.name == b"*",
        };
        assert!(!elements.iter().filter(of).all(|element| element.refused), "{coding:?} is refused");
    } else if let Some(wanted) = compressed.iter().find(|coding| listed(coding.names()[0])) {
        // Named without any parameter, and nothing else said: it is wanted.
        let alone = elements.iter().filter(|element| !element.name.is_empty()).count() == 1;
        assert!(!alone || joined.contains(&b';'), "{wanted:?} is wanted and not given");
    }
});

struct Element<'a> {
    name: &'a [u8],
    /// Whether it says `q=0` and nothing else.
    refused: bool,
}

impl<'a> Element<'a> {
    fn new(element: &'a [u8]) -> Self {
        let end = element.iter().position(|&byte| byte == b';').unwrap_or(element.len());
        let blank: Vec<u8> = element[end..].iter().copied().filter(|byte| !b" \t".contains(byte)).collect();
        Element { name: element[..end].trim_ascii(), refused: [&b";q=0"[..], b";Q=0"].contains(&&blank[..]) }
    }
}
