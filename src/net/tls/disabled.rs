//! Without the feature `tls` connections are plain. This keeps its absence out of everything else.

use std::fmt;
use std::time::Instant;

use crate::net::stream::Stream;

/// There is none.
#[derive(Debug)]
pub(crate) enum Tls {}

/// Nobody is.
#[derive(Debug)]
pub(crate) enum Refused {}

#[allow(clippy::unused_async, reason = "the same shape as with the feature")]
impl Tls {
    pub(crate) fn look(&self, _now: Instant) {
        match *self {}
    }

    pub(crate) async fn handshake(
        &self,
        _stream: Stream,
        _hello_complete: impl FnOnce(),
    ) -> Result<Stream, Refused> {
        match *self {}
    }
}

impl Refused {
    pub(crate) fn counts(&self) -> bool {
        match *self {}
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
