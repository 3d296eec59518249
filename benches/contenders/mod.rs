//! The encoders that the benches and `comparison/` compare: ours and `prometheus::TextEncoder`.
#![allow(dead_code, reason = "each bench uses a part")]

use std::sync::LazyLock;

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, Registry, TextEncoder};
use prometheus_hyper::internals::{
    BufferPool, Coding, Compress, FALLBACK, Names, PooledChunks, are_many, encode, encode_consuming,
};

/// As in a server.
static BUFFERS: LazyLock<BufferPool> = LazyLock::new(BufferPool::default);

/// Encodes with our encoder.
pub(crate) fn ours(families: &[MetricFamily]) -> Vec<Bytes> {
    let mut chunks = PooledChunks::new(&BUFFERS);
    let skipped = encode(FALLBACK, &Names::default(), families, &mut chunks);
    assert!(skipped.is_empty(), "{skipped:?}");
    chunks.into_inner()
}

/// Encodes as the published 0.2.1 does.
pub(crate) fn text_encoder(families: &[MetricFamily]) -> Vec<u8> {
    let mut body = Vec::new();
    TextEncoder::new().encode(families, &mut body).expect("families are valid");
    body
}

/// Does the work of our server's thread for a scrape in one representation.
pub(crate) fn scrape(registry: &Registry, coding: Coding) -> Vec<Bytes> {
    let mut body = Compress::new(coding, &BUFFERS);
    let (families, names) = (registry.gather(), Names::default());
    let skipped = if are_many(&families) {
        encode_consuming(FALLBACK, &names, families, &mut body)
    } else {
        encode(FALLBACK, &names, &families, &mut body)
    };
    assert!(skipped.is_empty(), "{skipped:?}");
    body.finish().expect("writing to memory succeeds").0
}
