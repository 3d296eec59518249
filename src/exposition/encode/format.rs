//! What a format is: how a client asks for it, how a response announces it, and what writes it.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::escaping::Escaping;
use super::writer::Writer;

/// A format of an exposition: a row of [`FORMATS`](super::FORMATS).
pub struct Format {
    /// The link text on the page.
    pub title: &'static str,
    /// The value of the query parameter `format`, if it has one.
    pub query_name: Option<&'static str>,
    /// The media type in `Accept`.
    pub media_type: &'static str,
    /// The parameters that name it in a clause of `Accept`.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether a clause with its media type and without `version` names it, too.
    pub is_default_version: bool,
    /// The `Content-Type` without a word about escaping.
    pub content_type: &'static str,
    /// Which escapings it has.
    pub escapings: Escapings,
    /// Whether a line that begins with `#` may say anything.
    pub has_comments: bool,
    /// Whether the rules of OpenMetrics apply.
    pub(super) is_openmetrics: bool,
    pub(super) writer: fn() -> Box<dyn Writer>,
}

/// Which escapings a format has.
#[derive(Clone, Copy, Debug)]
pub enum Escapings {
    /// [`Escaping::Underscores`] only.
    Underscores,
    /// All of them; the `Content-Type` does not say which one was used.
    Silent,
    /// All of them, each with its `Content-Type`, in the order of [`Escaping::ALL`].
    Announced([&'static str; 4]),
}

/// Makes [`Escapings::Announced`] of a content type.
macro_rules! announced {
    ($content_type:literal) => {
        Escapings::Announced([
            concat!($content_type, "; escaping=allow-utf-8"),
            concat!($content_type, "; escaping=underscores"),
            concat!($content_type, "; escaping=dots"),
            concat!($content_type, "; escaping=values"),
        ])
    };
}

pub(super) use announced;

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.content_type)
    }
}

/// No two have the same content type.
impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.content_type == other.content_type
    }
}

impl Eq for Format {}

impl Hash for Format {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content_type.hash(state);
    }
}

/// A format, with an escaping that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EscapedFormat {
    format: &'static Format,
    escaping: Escaping,
}

impl EscapedFormat {
    /// A format that was asked for without a word about escaping.
    pub const fn plain(format: &'static Format) -> Self {
        // "If no escaping scheme is specified in the Accept header, underscores escaping SHOULD be used."
        // (escaping_schemes, "Default Behavior")
        EscapedFormat { format, escaping: Escaping::Underscores }
    }

    /// A format that was asked for with this escaping.
    ///
    /// Only the 1.0.0 formats and protobuf know the parameter; 0.0.4 and 0.0.1 have no quoted names and are
    /// always `underscores`, also for Prometheus 3.0 to 3.2, which put `escaping=allow-utf-8` on every
    /// clause; 3.4 took it back ("Escaping header is only valid for newer versions of the text formats",
    /// `scrape/scrape.go`).
    pub const fn new(format: &'static Format, escaping: Escaping) -> Self {
        match format.escapings {
            Escapings::Underscores => EscapedFormat::plain(format),
            Escapings::Silent | Escapings::Announced(_) => EscapedFormat { format, escaping },
        }
    }

    /// The format.
    pub const fn format(self) -> &'static Format {
        self.format
    }

    /// The escaping of its names.
    pub const fn escaping(self) -> Escaping {
        self.escaping
    }

    /// The `Content-Type` for a client that has asked for an escaping: with the one that it gets, which the 1.0.0 formats
    /// say (<https://prometheus.io/docs/instrumenting/content_negotiation/>); else that of the
    /// [format](Format::content_type).
    pub const fn content_type(self) -> &'static str {
        match self.format.escapings {
            Escapings::Underscores | Escapings::Silent => self.format.content_type,
            Escapings::Announced(content_types) => content_types[self.escaping as usize],
        }
    }
}
