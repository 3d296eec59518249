//! The body of a response: chunks that are complete before the head is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::scrape::Delivery;

/// The body of a response of [`Handler`](crate::Handler). It is complete before the response is returned, so its size
/// is exact and it never fails.
#[derive(Debug, Default)]
pub struct Body {
    chunks: vec::IntoIter<Bytes>,
    /// The bytes of the chunks.
    pub(super) remaining: u64,
    /// The delivery to the client, if the body is an exposition. The connection takes it, and completes it when the body
    /// is written.
    pub(crate) delivery: Option<Delivery>,
}

impl Body {
    pub(crate) fn new(chunks: Vec<Bytes>) -> Self {
        let remaining = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Body { chunks: chunks.into_iter(), remaining, delivery: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::new(vec![bytes])
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
        Poll::Ready(self.chunks.next().map(|chunk| {
            self.remaining -= chunk.len() as u64;
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
