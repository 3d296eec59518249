//! Input and output of a scrape.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::delivery::Receipt;
use super::selection::Selection;
use super::unsent::Unsent;
use crate::exposition::compress::Coding;
use crate::exposition::encode::EscapedFormat;
use crate::exposition::filter::Names;

/// The format, coding and filter of an exposition. Each gather encodes each distinct one once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Representation {
    pub(crate) format: EscapedFormat,
    pub(crate) coding: Coding,
    pub(crate) names: Names,
}

impl Representation {
    /// Returns whether this is a part of the metrics. Clients can request arbitrarily many different parts.
    pub(super) fn is_of_a_part(&self, registries: &Selection) -> bool {
        *registries != Selection::All || !self.names.is_empty()
    }
}

/// The result of a scrape.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    /// The complete body.
    pub(crate) chunks: Vec<Bytes>,
    /// The coding of the body, which may be identity instead of the requested one.
    pub(crate) coding: Coding,
    /// Kept as long as the chunks.
    pub(crate) unsent: Unsent,
    /// Confirms that the exposition was written to a client.
    pub(crate) receipt: Receipt,
}

/// Reason why a scrape returns no exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeError {
    /// All registries failed.
    Collector,
    /// Something other than a collector failed: the compressor, or a panic outside the collectors.
    Gatherer,
    /// The deadline has passed.
    Timeout,
    /// A part of the metrics was requested, the parts take long, and a scrape of the whole waits.
    Parts,
    /// A part of the metrics was requested, and the budget of unsent bytes is exceeded.
    Unsent,
}

pub(super) type ScrapeResult = Result<Exposition, ScrapeError>;

/// The representation that a waiter requests, and its channel.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) representation: Representation,
    pub(super) reply: oneshot::Sender<ScrapeResult>,
}
