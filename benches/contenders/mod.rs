//! What the benches and `comparison/` compare: our encoder and `prometheus::TextEncoder`.
#![allow(dead_code, reason = "each uses its part")]

use std::sync::LazyLock;

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};
use prometheus_hyper::internals::{
    BufferPool, Coding, Compress, FALLBACK, Names, PooledChunks, are_many, encode, encode_consuming,
};

/// As a server has them.
static BUFFERS: LazyLock<BufferPool> = LazyLock::new(BufferPool::default);

/// Ours.
pub(crate) fn ours(families: &[MetricFamily]) -> Vec<Bytes> {
    let mut chunks = PooledChunks::new(&BUFFERS);
    let skipped = encode(FALLBACK, &Names::default(), families, &mut chunks);
    assert!(skipped.is_empty(), "{skipped:?}");
    chunks.into_inner()
}

/// What the published 0.2.1 has.
pub(crate) fn text_encoder(families: &[MetricFamily]) -> Vec<u8> {
    let mut body = Vec::new();
    TextEncoder::new().encode(families, &mut body).expect("families are valid");
    body
}

/// What our server does on its thread, where one form is asked for.
pub(crate) fn scrape(registry: &Registry, coding: Coding) -> Vec<Bytes> {
    let mut body = Compress::reusing(coding, &BUFFERS);
    let (families, names) = (registry.gather(), Names::default());
    let skipped = if are_many(&families) {
        encode_consuming(FALLBACK, &names, families, &mut body)
    } else {
        encode(FALLBACK, &names, &families, &mut body)
    };
    assert!(skipped.is_empty(), "{skipped:?}");
    body.finish().expect("there is memory").0
}
