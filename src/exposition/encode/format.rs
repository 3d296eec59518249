//! Formats: their media types, their `Content-Type` and their writers.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::escaping::Escaping;
use super::writer::Writer;

/// A format of an exposition: a row of [`FORMATS`](super::FORMATS).
pub struct Format {
    /// The text of its link on the page.
    pub title: &'static str,
    /// The value of the query parameter `format`, if it has one.
    pub query_name: Option<&'static str>,
    /// The media type in `Accept`.
    pub media_type: &'static str,
    /// The media type parameters that `Accept` must have.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether the media type without `version` selects it, too.
    pub is_default_version: bool,
    /// The `Content-Type` without the parameter `escaping`.
    pub content_type: &'static str,
    /// The escapings that it supports.
    pub escapings: Escapings,
    /// Whether any text may follow a `#` at the start of a line.
    pub has_comments: bool,
    /// Whether scrapers accept timestamps before 1970.
    pub(super) has_negative_timestamps: bool,
    /// Whether the rules of OpenMetrics apply.
    pub(super) is_openmetrics: bool,
    pub(super) writer: fn() -> Box<dyn Writer>,
}

/// The escapings that a format supports.
#[derive(Clone, Copy, Debug)]
pub enum Escapings {
    /// [`Escaping::Underscores`] only.
    Underscores,
    /// All of them. The `Content-Type` does not name the one in use.
    Silent,
    /// All of them, with one `Content-Type` for each, in the order of [`Escaping::ALL`].
    Announced([&'static str; 4]),
}

/// Expands to the [`Escapings::Announced`] of a content type.
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

/// Compares the content types, which are unique.
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

/// A format with one of the escapings that it supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EscapedFormat {
    format: &'static Format,
    escaping: Escaping,
}

impl EscapedFormat {
    /// Returns a format for a client that requests no escaping.
    pub const fn plain(format: &'static Format) -> Self {
        // "If no escaping scheme is specified in the Accept header, underscores escaping SHOULD be used."
        // (escaping_schemes, "Default Behavior")
        EscapedFormat { format, escaping: Escaping::Underscores }
    }

    /// Returns a format for a client that requests this escaping.
    ///
    /// Only the 1.0.0 formats and protobuf have the parameter. 0.0.4 and 0.0.1 have no quoted names, so they always use
    /// `underscores`. Prometheus 3.0 to 3.2 send `escaping=allow-utf-8` for every format. Prometheus 3.4 does not
    /// ("Escaping header is only valid for newer versions of the text formats", `scrape/scrape.go`).
    pub const fn new(format: &'static Format, escaping: Escaping) -> Self {
        match format.escapings {
            Escapings::Underscores => EscapedFormat::plain(format),
            Escapings::Silent | Escapings::Announced(_) => EscapedFormat { format, escaping },
        }
    }

    /// Returns the format.
    pub const fn format(self) -> &'static Format {
        self.format
    }

    /// Returns the escaping of its names.
    pub const fn escaping(self) -> Escaping {
        self.escaping
    }

    /// Returns the `Content-Type` for a client that requests an escaping.
    ///
    /// In the 1.0.0 formats it names the escaping in use
    /// (<https://prometheus.io/docs/instrumenting/content_negotiation/>).
    /// In the others it is the `Content-Type` of the [format](Format::content_type).
    pub const fn content_type(self) -> &'static str {
        match self.format.escapings {
            Escapings::Underscores | Escapings::Silent => self.format.content_type,
            Escapings::Announced(content_types) => content_types[self.escaping as usize],
        }
    }
}
