//! Whatever collectors come up with, every format of it is well-formed and every coding of that the same.

#![no_main]

mod exposition;
mod messages;
mod plan;

use libfuzzer_sys::fuzz_target;
use plan::Plan;
use prometheus_hyper::internals::{
    Choice, Coding, Compress, Escaping, Format, Names, Pieces, Query, codings, encode, encode_consuming,
};
use prometheus_hyper::prometheus::proto::MetricFamily;

fuzz_target!(|plan: Plan| {
    let families = plan.families();
    let all = Names::default();
    let choices = every_choice();
    for &choice in &choices {
        let mut pieces = Pieces::default();
        let omissions = encode(choice, &all, &families, &mut pieces);
        for omission in omissions.iter() {
            assert!(!omission.to_string().contains('\n'), "a log line: {omission}");
        }
        let body = pieces.into_inner().concat();
        check(choice, &body);
        if families.is_empty() || omissions.is_empty() && families.iter().all(is_plain) {
            let expected: usize = families.iter().map(|family| family.get_metric().len()).sum();
            assert!(expected == 0 || body.len() > expected, "something is missing: {choice:?}");
        }
    }

    // One of the choices, by the other ways to it.
    let choice = choices[usize::from(plan.choice) % choices.len()];
    let mut pieces = Pieces::default();
    let omissions = encode(choice, &all, &families, &mut pieces);
    let body = pieces.into_inner().concat();
    for coding in codings() {
        let mut compress = Compress::new(coding);
        let consumed = encode_consuming(choice, &all, families.clone(), &mut compress);
        assert_eq!(format!("{omissions:?}"), format!("{consumed:?}"));
        let (pieces, coding) = compress.finish().expect("there is memory");
        assert!(decode(coding, &pieces.concat()) == body, "{coding:?} of {choice:?}");
    }

    // A filter shows a part of the whole: some of its lines, in their order.
    let names = Query::parse(&plan.filter()).expect("well-formed").names;
    let mut pieces = Pieces::default();
    encode(choice, &names, &families, &mut pieces);
    let part = pieces.into_inner().concat();
    check(choice, &part);
    if choice.format != Format::Protobuf {
        let mut lines = body.split(|&byte| byte == b'\n');
        for line in part.split(|&byte| byte == b'\n') {
            assert!(lines.any(|of_whole| of_whole == line), "{choice:?}: the filter made this line");
        }
    }
});

fn every_choice() -> Vec<Choice> {
    let mut choices: Vec<Choice> =
        Format::ALL.into_iter().flat_map(|format| Escaping::ALL.map(|escaping| Choice::escaped(format, escaping))).collect();
    choices.dedup();
    choices
}

fn check(choice: Choice, body: &[u8]) {
    let result = match choice.format {
        Format::Protobuf => messages::check(body),
        Format::OpenMetrics100 | Format::OpenMetrics001 | Format::Text100 | Format::Text004 => {
            exposition::check(choice, body)
        }
    };
    if let Err(complaint) = result {
        panic!("{choice:?}: {complaint}\n{}", String::from_utf8_lossy(body));
    }
}

/// Whether nothing about it is to be left out, so far as that can be seen from here.
fn is_plain(family: &MetricFamily) -> bool {
    !family.name().is_empty() && !family.get_metric().is_empty()
}

/// By others' decoders than those that the crate's compressors come with.
fn decode(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => {
            // No name, no comment, no extra field (RFC 1952, section 2.3), and a trailer of eight bytes.
            assert_eq!(body[..4], [0x1f, 0x8b, 8, 0], "the header of a gzip member");
            let deflated = &body[10..body.len() - 8];
            miniz_oxide::inflate::decompress_to_vec(deflated).expect("a deflate stream")
        }
        Coding::Zstd => {
            let mut decoded = Vec::new();
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(body).expect("a zstd frame");
            std::io::Read::read_to_end(&mut decoder, &mut decoded).expect("a zstd stream");
            decoded
        }
    }
}
