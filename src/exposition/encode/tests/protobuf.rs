//! Protobuf messages. The package `proto-check` tests that the `protobuf` crate reads them.

use super::*;

fn families() -> Vec<MetricFamily> {
    let mut counters = family("c_total", MetricType::COUNTER, vec![counter(&[("a.b", "é\n\u{1}")], 1.5)]);
    counters.set_help("Help.".to_owned());
    let mut metric = labelled(&[]);
    metric.set_histogram(histogram(&[(1.0, 1)], f64::NAN, 300));
    metric.set_timestamp_ms(-1);
    vec![counters, family("h", MetricType::HISTOGRAM, vec![metric])]
}

#[test]
fn writes_delimited_messages() {
    let expected = [
        &b"\x2c"[..],
        b"\x0a\x07c_total\x12\x05Help.\x18\x00",
        b"\x22\x18",
        b"\x0a\x0b\x0a\x03a.b\x12\x04\xc3\xa9\n\x01",
        b"\x1a\x09\x09\0\0\0\0\0\0\xf8\x3f",
        b"\x2d",
        b"\x0a\x01h\x18\x04",
        b"\x22\x26",
        b"\x3a\x19\x08\xac\x02\x11\0\0\0\0\0\0\xf8\x7f",
        b"\x1a\x0b\x08\x01\x11\0\0\0\0\0\0\xf0\x3f",
        b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ];
    let format = EscapedFormat::new(&PROTOBUF, Escaping::AllowUtf8);
    let (bytes, skipped) = written(format, &[], &families());
    assert!(skipped.is_empty(), "{skipped:?}");
    assert_eq!(bytes, expected.concat());
}

#[test]
fn sizes_exclude_skipped_metrics() {
    let metrics = || vec![gauge(&[("a", "1")], 1.0), gauge(&[("b", "1")], 1.0)];
    let bad = || vec![gauge(&[("a", "1")], 2.0), gauge(&[("__name__", "1")], 1.0)];
    let mut repeated = labelled(&[]);
    repeated.set_summary(summary(&[(0.5, 1.0), (0.5, 2.0)], 1.0, 1));
    let with_bad = [metrics()[..1].to_vec(), bad(), metrics()[1..].to_vec()].concat();
    let (expected, _) =
        written(EscapedFormat::plain(&PROTOBUF), &[], &[family("g", MetricType::GAUGE, metrics())]);
    let families = [
        family("g", MetricType::GAUGE, with_bad),
        family("only_bad", MetricType::GAUGE, bad()[1..].to_vec()),
        family("repeated", MetricType::SUMMARY, vec![repeated]),
    ];
    let (bytes, skipped) = written(EscapedFormat::plain(&PROTOBUF), &[], &families);
    assert_eq!(bytes, expected);
    assert_eq!(counted(&skipped), [(SkipReason::Repeated, 2), (SkipReason::Labels, 2)]);
}

#[test]
fn splits_chunks_between_metrics() {
    let metrics = (0..50_000).map(|at| gauge(&[("at", &at.to_string())], 1.0)).collect();
    let mut chunks = Vec::new();
    let families = [family("g", MetricType::GAUGE, metrics)];
    encode(EscapedFormat::plain(&PROTOBUF), &Names::default(), &families, &mut chunks);
    let chunks = chunks;
    assert!(chunks.len() > 10);
    for chunk in &chunks[1..] {
        assert!(chunk.len() <= CHUNK_SIZE && chunk[0] == 0x22, "{}", chunk.len());
    }
}
