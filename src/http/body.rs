//! The body of a response: pieces that are complete before the head is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::scrape::Unsent;

/// The body of a response of [`Handler`](crate::Handler): complete before the response is given out, so that its size
/// is exact and it can not fail.
#[derive(Debug, Default)]
pub struct Body {
    pieces: vec::IntoIter<Bytes>,
    remaining: u64,
    /// Counts it among what is unsent, if it is an exposition.
    unsent: Option<Unsent>,
}

impl Body {
    pub(crate) fn len(&self) -> u64 {
        self.remaining
    }

    /// Counts it among what is unsent.
    pub(crate) fn counted(mut self, unsent: Unsent) -> Self {
        self.unsent = Some(unsent);
        self
    }

    /// Leaves it to the caller for how long this counts.
    pub(crate) fn take_unsent(&mut self) -> Option<Unsent> {
        self.unsent.take()
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(pieces: Vec<Bytes>) -> Self {
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Body { pieces: pieces.into_iter(), remaining, unsent: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        vec![bytes].into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.next().map(|piece| {
            self.remaining -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
