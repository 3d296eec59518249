//! A static document and its compressed bodies.

use std::fmt;

use bytes::Bytes;
use once_cell::sync::{Lazy, OnceCell};

use crate::exposition::chunk::Sink;
use crate::exposition::compress::{Coding, Compress};
use crate::exposition::encode::Format;

/// Makes the page at `/`. Without the feature `page` it has no implementation.
pub(crate) trait Render: fmt::Debug + Send + Sync {
    fn document(self: Box<Self>, program: Program, endpoints: Endpoints) -> Document;
}

/// The program's name and version, without any configuration.
#[derive(Debug)]
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page shows it"))]
pub(crate) struct Program {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

/// The endpoints that the page links and scrapes.
#[derive(Debug)]
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page links them"))]
pub(crate) struct Endpoints {
    pub(crate) metrics: String,
    /// The formats that a scraper may choose.
    pub(crate) formats: Vec<&'static Format>,
    /// The paths of the probes, each of which needs a `target`.
    pub(crate) probes: Vec<String>,
    /// Whether the server also has health and readiness checks.
    pub(crate) health: bool,
}

/// A document that does not depend on requests. It is rendered and compressed at the first request, because most servers
/// never show their page.
#[derive(Debug)]
pub(crate) struct Document {
    plain: Lazy<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
    compressed: [OnceCell<Compressed>; Coding::ALL.len()],
    /// The value of `Content-Security-Policy`.
    pub(crate) policy: &'static str,
}

/// The chunks of a body and their coding.
type Compressed = (Vec<Bytes>, Coding);

impl Document {
    #[cfg(feature = "page")]
    pub(crate) fn new(render: impl FnOnce() -> String + Send + 'static, policy: &'static str) -> Self {
        let plain = Lazy::new(Box::new(|| Bytes::from(render())) as _);
        Document { plain, compressed: Default::default(), policy }
    }

    /// Returns the document in this coding if possible, and the coding that it has.
    pub(crate) fn body(&self, coding: Coding) -> Compressed {
        let plain = || (vec![self.plain.clone()], Coding::Identity);
        let index =
            Coding::ALL.iter().position(|other| *other == coding).filter(|_| coding != Coding::Identity);
        let compressed = index.and_then(|index| self.compressed.get(index));
        compressed.map_or_else(plain, |cell| {
            let made = cell.get_or_try_init(|| {
                let mut compress = Compress::once(coding);
                compress.chunk(&mut self.plain.to_vec());
                compress.finish()
            });
            // Compression failed for lack of memory. The next request tries again.
            made.map_or_else(|_| plain(), Clone::clone)
        })
    }
}
