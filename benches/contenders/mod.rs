//! What the benches and `comparison/` compare: our encoder and `prometheus::TextEncoder`.
#![allow(dead_code, reason = "each uses its part")]

use std::sync::LazyLock;

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};
use prometheus_hyper::internals::{
    Choice, Coding, Compress, Names, Pieces, Spares, are_many, encode, encode_consuming,
};

/// As a server has them.
static SPARES: LazyLock<Spares> = LazyLock::new(Spares::default);

/// Ours.
pub(crate) fn ours(families: &[MetricFamily]) -> Vec<Bytes> {
    let mut pieces = Pieces::reusing(&SPARES);
    let omissions = encode(Choice::FALLBACK, &Names::default(), families, &mut pieces);
    assert!(omissions.is_empty(), "{omissions:?}");
    pieces.into_inner()
}

/// What the published 0.2.1 has.
pub(crate) fn text_encoder(families: &[MetricFamily]) -> Vec<u8> {
    let mut body = Vec::new();
    TextEncoder::new().encode(families, &mut body).expect("families are valid");
    body
}

/// What our server does on its thread, where one form is asked for.
pub(crate) fn scrape(registry: &Registry, coding: Coding) -> Vec<Bytes> {
    let mut body = Compress::reusing(coding, &SPARES);
    let (families, names) = (registry.gather(), Names::default());
    let omissions = if are_many(&families) {
        encode_consuming(Choice::FALLBACK, &names, families, &mut body)
    } else {
        encode(Choice::FALLBACK, &names, &families, &mut body)
    };
    assert!(omissions.is_empty(), "{omissions:?}");
    body.finish().expect("there is memory").0
}
