//! Writes families in the form that was asked for, and says what could not be written.

use std::thread;

use bytes::Bytes;

use super::exposition::Form;
use crate::exposition::compress::{Coding, Compress};
use crate::exposition::encode::{Omissions, Sink, Spares};
use crate::telemetry::{Cause, Reporter, Telemetry};

/// The complete body, and what it is compressed with.
pub(crate) type Written = (Vec<Bytes>, Coding);

/// The compressor has failed, which is short of memory.
#[derive(Debug)]
pub(crate) struct Unwritten;

/// What is wrong with a family is wrong at every scrape: its lines in the log are few.
#[derive(Debug)]
pub(crate) struct Writer {
    /// What each line begins with.
    prefix: &'static str,
    skipped: Reporter,
    compressor: Reporter,
    spares: Spares,
}

impl Writer {
    pub(crate) fn new(telemetry: &Telemetry, prefix: &'static str) -> Self {
        let (skipped, compressor) = (telemetry.reporter(Cause::LeftOut), telemetry.reporter(Cause::Gather));
        Writer { prefix, skipped, compressor, spares: Spares::default() }
    }

    /// A body in this form: the comment, where the format has some, and what `encode` writes.
    pub(crate) fn write(
        &self,
        form: &Form,
        comment: Option<&'static str>,
        encode: impl FnOnce(&mut InTurns) -> Omissions,
    ) -> Result<Written, Unwritten> {
        let mut body = InTurns { compress: Compress::reusing(form.coding, &self.spares), begun: false };
        if let Some(comment) = comment.filter(|_| form.choice.format.has_comments()) {
            let buffer = body.piece(comment.as_bytes().to_vec());
            body.end(buffer);
        }
        self.report(&encode(&mut body));
        body.compress.finish().map_err(|error| {
            self.compressor
                .report(1, || tracing::error!(%error, "{}cannot compress the metrics", self.prefix));
            Unwritten
        })
    }

    fn report(&self, omissions: &Omissions) {
        self.skipped.report(omissions.iter().map(|omission| omission.count).sum(), || {
            omissions.iter().for_each(|omission| tracing::warn!("{}{omission}", self.prefix));
        });
    }
}

/// A body in the making; between two pieces the host's other threads have their turn.
pub(crate) struct InTurns {
    compress: Compress,
    begun: bool,
}

impl Sink for InTurns {
    fn begin(&mut self) -> Vec<u8> {
        self.compress.begin()
    }

    fn piece(&mut self, piece: Vec<u8>) -> Vec<u8> {
        if self.begun {
            thread::yield_now();
        }
        self.begun = true;
        self.compress.piece(piece)
    }

    fn end(&mut self, buffer: Vec<u8>) {
        self.compress.end(buffer);
    }
}
