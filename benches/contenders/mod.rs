//! What the benches and `bench/` compare: our encoder and `prometheus::TextEncoder`.
#![allow(dead_code, reason = "each uses its part")]

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};
use prometheus_hyper::internals::{Choice, Coding, Compress, Names, Pieces, encode, encode_consuming};

/// Ours.
pub(crate) fn ours(families: &[MetricFamily]) -> Pieces {
    let mut pieces = Pieces::default();
    let omissions = encode(Choice::FALLBACK, &Names::default(), families, &mut pieces);
    assert!(omissions.is_empty(), "{omissions:?}");
    pieces
}

/// What the published 0.2.1 has.
pub(crate) fn text_encoder(families: &[MetricFamily]) -> Vec<u8> {
    let mut body = Vec::new();
    TextEncoder::new().encode(families, &mut body).expect("families are valid");
    body
}

/// What our server does on its thread.
pub(crate) fn scrape(registry: &Registry, coding: Coding) -> Vec<Bytes> {
    let mut body = Compress::new(coding);
    let omissions = encode_consuming(Choice::FALLBACK, &Names::default(), registry.gather(), &mut body);
    assert!(omissions.is_empty(), "{omissions:?}");
    body.finish().expect("there is memory").0
}
