//! The table of formats: what can be served, in our order, and how each calls itself.

/// A format of an exposition. [`Format::ALL`] lists those that are negotiated, in our order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Length-delimited `io.prometheus.client.MetricFamily` messages. Without the feature `protobuf` text 0.0.4
    /// is written in its place, so it must not be offered.
    Protobuf,
    /// OpenMetrics text, 1.0.0.
    OpenMetrics100,
    /// The same body as [`Format::OpenMetrics100`] under the version that Prometheus before 2.40 asked for.
    OpenMetrics001,
    /// Prometheus text 1.0.0: 0.0.4 plus quoted names.
    Text100,
    /// Prometheus text 0.0.4, which every scraper and every browser reads.
    Text004,
}

/// What happens to names outside `[a-zA-Z_:][a-zA-Z0-9_:]*`
/// (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Nothing: they go out as they are, quoted where the format is text.
    AllowUtf8,
    /// Every other character becomes `_`.
    Underscores,
    /// `.` becomes `_dot_`, `_` and every other character `__`.
    Dots,
    /// `U__`, and then `_` becomes `__` and every other character its code point between underscores.
    Values,
}

/// What a client gets: a format, and its names escaped in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The format.
    pub format: Format,
    /// The escaping of its names.
    pub escaping: Escaping,
}

impl Format {
    /// The `Content-Type` without a word about escaping.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Format::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Format::Text100 => "text/plain; version=1.0.0; charset=utf-8",
            Format::Text004 => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Every format, the one that wins a tie first: the order of Prometheus' own `scrape_protocols` with all
    /// of them on (`DefaultProtoFirstScrapeProtocols`). Both ends had to ask for the first three, so a tie
    /// means that they are wanted; text 0.0.4 is last because it is what all others fall back to.
    pub const ALL: [Format; 5] =
        [Format::Protobuf, Format::OpenMetrics100, Format::OpenMetrics001, Format::Text100, Format::Text004];

    pub(super) const fn is_openmetrics(self) -> bool {
        matches!(self, Format::OpenMetrics100 | Format::OpenMetrics001)
    }

    /// Whether a line that begins with `#` may say anything: in OpenMetrics it may not.
    pub(crate) const fn has_comments(self) -> bool {
        matches!(self, Format::Text004 | Format::Text100)
    }
}

impl Escaping {
    /// Every escaping.
    pub const ALL: [Escaping; 4] =
        [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    /// The value of the parameter `escaping` that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}

impl Choice {
    /// Text 0.0.4: what everybody gets who asks for nothing that we have.
    pub const FALLBACK: Choice = Choice { format: Format::Text004, escaping: Escaping::Underscores };

    /// A format asked for without a word about escaping.
    pub const fn plain(format: Format) -> Choice {
        // "If no escaping scheme is specified in the Accept header, underscores escaping SHOULD be used."
        // (escaping_schemes, "Default Behavior")
        Choice { format, escaping: Escaping::Underscores }
    }

    /// A format asked for with this escaping.
    ///
    /// Only the 1.0.0 formats and protobuf know the parameter; 0.0.4 and 0.0.1 have no quoted names and are
    /// always `underscores`, also for Prometheus 3.0 to 3.2, which put `escaping=allow-utf-8` on every
    /// clause; 3.4 took it back ("Escaping header is only valid for newer versions of the text formats",
    /// `scrape/scrape.go`).
    pub const fn escaped(format: Format, escaping: Escaping) -> Choice {
        match format {
            Format::Protobuf | Format::OpenMetrics100 | Format::Text100 => Choice { format, escaping },
            Format::OpenMetrics001 | Format::Text004 => Choice::plain(format),
        }
    }

    /// The `Content-Type` for a client that has asked for an escaping: with the one that it gets, which the 1.0.0 formats
    /// say (<https://prometheus.io/docs/instrumenting/content_negotiation/>); else that of the
    /// [format](Format::content_type).
    pub const fn content_type(self) -> &'static str {
        macro_rules! escaped {
            ($content_type:literal) => {
                match self.escaping {
                    Escaping::AllowUtf8 => concat!($content_type, "; escaping=allow-utf-8"),
                    Escaping::Underscores => concat!($content_type, "; escaping=underscores"),
                    Escaping::Dots => concat!($content_type, "; escaping=dots"),
                    Escaping::Values => concat!($content_type, "; escaping=values"),
                }
            };
        }
        match self.format {
            Format::OpenMetrics100 => escaped!("application/openmetrics-text; version=1.0.0; charset=utf-8"),
            Format::Text100 => escaped!("text/plain; version=1.0.0; charset=utf-8"),
            Format::Protobuf | Format::OpenMetrics001 | Format::Text004 => self.format.content_type(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        const PROTOBUF: &str =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        use Escaping::{AllowUtf8, Dots, Underscores, Values};
        let rows = [
            (Format::Text004, Underscores, "text/plain; version=0.0.4; charset=utf-8".to_owned()),
            (Format::Text004, AllowUtf8, "text/plain; version=0.0.4; charset=utf-8".to_owned()),
            (
                Format::Text100,
                AllowUtf8,
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8".to_owned(),
            ),
            (
                Format::Text100,
                Underscores,
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores".to_owned(),
            ),
            (
                Format::OpenMetrics100,
                Dots,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots".to_owned(),
            ),
            (
                Format::OpenMetrics001,
                Values,
                "application/openmetrics-text; version=0.0.1; charset=utf-8".to_owned(),
            ),
            (Format::Protobuf, Values, PROTOBUF.to_owned()),
        ];
        for (format, escaping, expected) in rows {
            let choice = Choice::escaped(format, escaping);
            assert_eq!(choice.content_type(), expected, "{format:?} {escaping:?}");
        }
    }

    #[test]
    fn content_types_name_their_escaping() {
        for format in Format::ALL {
            for escaping in Escaping::ALL {
                let content_type = Choice::escaped(format, escaping).content_type();
                let named = content_type.ends_with(&format!("; escaping={}", escaping.name()));
                let names_it = matches!(format, Format::Text100 | Format::OpenMetrics100);
                assert_eq!(named, names_it, "{content_type}");
                assert_eq!(content_type.contains("escaping"), names_it, "{content_type}");
            }
        }
    }

    #[test]
    fn plain_choices() {
        for format in Format::ALL {
            assert_eq!(Choice::plain(format).escaping, Escaping::Underscores, "{format:?}");
        }
        assert_eq!(Choice::plain(Format::Text004), Choice::FALLBACK);
    }
}
