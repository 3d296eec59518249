//! Writes families in a representation, and reports skipped metrics.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::exposition::Representation;
use crate::exposition::buffer_pool::BufferPool;
use crate::exposition::chunk::Sink;
use crate::exposition::compress::{Coding, Compress};
use crate::exposition::encode::{SkipCount, Skipped};
use crate::telemetry::{Cause, Reporter, Telemetry};

/// The complete body and its coding.
pub(crate) type Written = (Vec<Bytes>, Coding);

/// Error of the compressor, which lacks memory.
#[derive(Debug)]
pub(crate) struct Unwritten;

/// Writes expositions. Log lines are limited, because a faulty family is faulty at every scrape.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    /// Prefix of each log line.
    prefix: &'static str,
    skipped: Reporter,
    compressor: Reporter,
    buffers: BufferPool,
}

impl BodyWriter {
    pub(crate) fn new(telemetry: &Arc<Telemetry>, prefix: &'static str) -> Self {
        let (skipped, compressor) = (telemetry.reporter(Cause::Skipped), telemetry.reporter(Cause::Gather));
        BodyWriter { prefix, skipped, compressor, buffers: BufferPool::default() }
    }

    /// Writes a body in this representation: the comment, if the format supports comments, and the output of
    /// `encode`.
    pub(crate) fn write(
        &self,
        representation: &Representation,
        comment: Option<&'static str>,
        encode: impl FnOnce(&mut dyn Sink) -> Skipped,
    ) -> Result<Written, Unwritten> {
        let mut body =
            YieldingSink { compress: Compress::new(representation.coding, &self.buffers), begun: false };
        if let Some(comment) = comment.filter(|_| representation.format.format().has_comments) {
            body.chunk(&mut comment.as_bytes().to_vec());
        }
        self.report(&encode(&mut body));
        body.compress.finish().map_err(|error| {
            self.compressor
                .report(1, || tracing::error!(%error, "{}failed to compress the metrics", self.prefix));
            Unwritten
        })
    }

    /// Logs the names of a probe's families at debug, because its target may have chosen them.
    fn report(&self, skipped: &Skipped) {
        let (prefix, is_of_probe) = (self.prefix, !self.prefix.is_empty());
        self.skipped.report(skipped.iter().map(|entry| entry.count).sum(), || {
            for entry @ SkipCount { reason, count, first: _ } in skipped.iter() {
                if is_of_probe {
                    tracing::warn!("{prefix}{reason}: {count} skipped; the name is logged at debug");
                } else {
                    tracing::warn!("{entry}");
                }
            }
        });
        if is_of_probe {
            skipped.iter().for_each(|entry| tracing::debug!("{prefix}{entry}"));
        }
    }
}

/// A body under construction. Yields to the host's threads between two chunks.
struct YieldingSink {
    compress: Compress,
    begun: bool,
}

impl Sink for YieldingSink {
    fn buffer(&mut self) -> Vec<u8> {
        self.compress.buffer()
    }

    fn chunk(&mut self, buffer: &mut Vec<u8>) {
        if self.begun {
            thread::yield_now();
        }
        self.begun = true;
        self.compress.chunk(buffer);
    }
}
