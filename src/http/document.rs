//! A page as it is served: one static document.

use std::fmt;

use bytes::Bytes;
use once_cell::sync::OnceCell;

use crate::exposition::chunk::Sink;
use crate::exposition::compress::{Coding, Compress};
use crate::exposition::encode::Format;

/// Makes the page at `/`. Without feature `page` nothing does.
pub(crate) trait Render: fmt::Debug + Send + Sync {
    fn render(&self, program: Program<'_>, places: &Places<'_>) -> Document;
}

/// What is known of the program without a word of its user's.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page shows it"))]
pub(crate) struct Program<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
}

/// Where the page finds what it links and scrapes.
#[derive(Debug)]
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page links them"))]
pub(crate) struct Places<'a> {
    pub(crate) metrics: &'a str,
    /// Those a scraper may choose from.
    pub(crate) formats: &'a [&'static Format],
    /// The paths of the probes, each of which takes a `target`.
    pub(crate) probes: &'a [&'a str],
    /// Whether health and readiness are served there, too.
    pub(crate) health: bool,
}

/// The page as it is served. Made once; nothing in it comes from a request.
#[derive(Debug)]
pub(crate) struct Document {
    plain: Bytes,
    /// Made at the first request: most servers never show their page.
    compressed: [OnceCell<Compressed>; Coding::ALL.len()],
    /// The value of `Content-Security-Policy`.
    pub(crate) policy: &'static str,
}

/// The pieces of a body, and what they are compressed with.
type Compressed = (Vec<Bytes>, Coding);

impl Document {
    #[cfg(feature = "page")]
    pub(crate) fn new(plain: String, policy: &'static str) -> Self {
        Document { plain: plain.into(), compressed: Default::default(), policy }
    }

    /// The page in this coding, if it can be had in it, and the coding that it is in.
    pub(crate) fn body(&self, coding: Coding) -> Compressed {
        let plain = || (vec![self.plain.clone()], Coding::Identity);
        let place =
            Coding::ALL.iter().position(|other| *other == coding).filter(|_| coding != Coding::Identity);
        let compressed = place.and_then(|place| self.compressed.get(place));
        compressed.map_or_else(plain, |cell| {
            let made = cell.get_or_try_init(|| {
                let mut compress = Compress::once(coding);
                compress.chunk(&mut self.plain.to_vec());
                compress.finish()
            });
            // Short of memory: the next one may have more luck.
            made.map_or_else(|_| plain(), Clone::clone)
        })
    }
}
