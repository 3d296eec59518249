//! For any families, every format is well-formed, and every coding of a format has the same content.

#![no_main]

mod exposition;
mod messages;
mod plan;

use libfuzzer_sys::fuzz_target;
use plan::Plan;
use prometheus_hyper::internals::{
    BufferPool, Coding, Compress, EscapedFormat, Escaping, FORMATS, Names, PROTOBUF, Query, codings, encode,
    encode_consuming,
};
use prometheus_hyper::prometheus::proto::MetricFamily;

fuzz_target!(|plan: Plan| {
    let families = plan.families();
    let all = Names::default();
    let formats = every_format();
    for &format in &formats {
        let mut chunks = Vec::new();
        let skipped = encode(format, &all, &families, &mut chunks);
        for entry in skipped.iter() {
            assert!(!entry.to_string().contains('\n'), "a log line: {entry}");
        }
        let body = chunks.concat();
        check(format, &body);
        if families.is_empty() || skipped.is_empty() && families.iter().all(is_plain) {
            let expected: usize = families.iter().map(|family| family.get_metric().len()).sum();
            assert!(expected == 0 || body.len() > expected, "{format:?}: the body lacks samples");
        }
    }

    // One of the formats, by the other functions that return it.
    let format = formats[usize::from(plan.choice) % formats.len()];
    let mut chunks = Vec::new();
    let skipped = encode(format, &all, &families, &mut chunks);
    let body = chunks.concat();
    for coding in codings() {
        let mut compress = Compress::new(coding, &BufferPool::default());
        let consumed = encode_consuming(format, &all, families.clone(), &mut compress);
        assert_eq!(format!("{skipped:?}"), format!("{consumed:?}"));
        let (chunks, coding) = compress.finish().expect("writing to memory succeeds");
        assert!(decode(coding, &chunks.concat()) == body, "{coding:?} of {format:?}");
    }

    // A filter returns some lines of the whole, in their order.
    let names = Query::parse(&plan.filter()).expect("well-formed").names;
    let mut chunks = Vec::new();
    encode(format, &names, &families, &mut chunks);
    let part = chunks.concat();
    check(format, &part);
    if *format.format() != PROTOBUF {
        let mut lines = body.split(|&byte| byte == b'\n');
        for line in part.split(|&byte| byte == b'\n') {
            assert!(lines.any(|of_whole| of_whole == line), "{format:?}: the filter made this line");
        }
    }
});

fn every_format() -> Vec<EscapedFormat> {
    let mut formats: Vec<EscapedFormat> = FORMATS
        .iter()
        .flat_map(|format| Escaping::ALL.map(|escaping| EscapedFormat::new(format, escaping)))
        .collect();
    formats.dedup();
    formats
}

fn check(format: EscapedFormat, body: &[u8]) {
    let is_protobuf = *format.format() == PROTOBUF;
    let result = if is_protobuf { messages::check(body) } else { exposition::check(format, body) };
    if let Err(complaint) = result {
        panic!("{format:?}: {complaint}\n{}", String::from_utf8_lossy(body));
    }
}

/// Returns whether the encoder skips nothing of it, as far as this function can tell.
fn is_plain(family: &MetricFamily) -> bool {
    !family.name().is_empty() && !family.get_metric().is_empty()
}

/// Decodes with other crates than the compressors' own.
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
