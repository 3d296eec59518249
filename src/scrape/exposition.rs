//! What a scrape asks for, and what it gets.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::delivery::Receipt;
use super::selection::Selection;
use super::unsent::Unsent;
use crate::exposition::compress::Coding;
use crate::exposition::encode::EscapedFormat;
use crate::exposition::filter::Names;

/// How an exposition is written: its format, coding and filter. Of each gather each distinct one is encoded once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Representation {
    pub(crate) format: EscapedFormat,
    pub(crate) coding: Coding,
    pub(crate) names: Names,
}

impl Representation {
    /// Whether it is of a part of the metrics: of these there are as many as clients can think of.
    pub(super) fn is_of_a_part(&self, registries: &Selection) -> bool {
        *registries != Selection::All || !self.names.is_empty()
    }
}

/// What a scrape gets.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    /// Complete.
    pub(crate) pieces: Vec<Bytes>,
    /// What it is compressed with, which may be less than was asked for.
    pub(crate) coding: Coding,
    /// Kept for as long as its pieces are.
    pub(crate) unsent: Unsent,
    /// To be handed in when it has been written to a client.
    pub(crate) receipt: Receipt,
}

/// Why there is no exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeError {
    /// All registries failed.
    Collector,
    /// Something else than a collector failed: the compressor, or a panic outside of the collectors.
    Gatherer,
    /// The deadline has passed.
    Timeout,
    /// It is of a part of the metrics, and the budget of unsent bytes is exceeded.
    Unsent,
}

pub(super) type Outcome = Result<Exposition, ScrapeError>;

/// Who gets an outcome, and in which representation.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) representation: Representation,
    pub(super) reply: oneshot::Sender<Outcome>,
}
