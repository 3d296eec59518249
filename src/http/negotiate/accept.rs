//! `Accept` (RFC 9110, section 12.5.1), and what Prometheus makes of it
//! (<https://prometheus.io/docs/instrumenting/content_negotiation/>).

use std::cmp::Reverse;

use super::element::{Element, Value, Weight, elements};
use crate::exposition::encode::{Choice, Escaping, Format};

/// Chooses the format of an exposition from the values of `Accept`, one per line.
///
/// `offered` are the formats that are switched on; text 0.0.4 always is. The heaviest wins, and among equals
/// the first of [`Format::ALL`]. Nothing, nothing that we have, or everything excluded gives text 0.0.4 and
/// no 406: "If no fallback is specified, the target MUST use PrometheusText0.0.4 as a last resort."
pub fn accept<'a>(lines: impl IntoIterator<Item = &'a [u8]>, offered: &[Format]) -> Accepted {
    let mut bids = Format::ALL.map(|format| (format, None::<Bid>));
    for element in elements(lines) {
        let Some(bid) = read(element) else { continue };
        for (_, best) in bids.iter_mut().filter(|(format, _)| *format == bid.choice.format) {
            // "Media ranges can be overridden by more specific media ranges" (RFC 9110, section 12.5.1); of
            // two that are the same, the heavier counts.
            if best
                .as_ref()
                .is_none_or(|best| (best.specificity, best.weight) < (bid.specificity, bid.weight))
            {
                *best = Some(bid);
            }
        }
    }
    escape_protobuf_as_text(&mut bids);
    bids.into_iter()
        .filter(|(format, _)| offered.contains(format) || *format == Format::Text004)
        .filter_map(|(_, bid)| bid.filter(|bid| bid.weight > 0))
        // The first of the heaviest.
        .min_by_key(|bid| Reverse(bid.weight))
        .map_or(Accepted::FALLBACK, Bid::accept)
}

/// Since 3.4, Prometheus names its escaping in the clauses of the 1.0.0 text formats only, and cannot store names that are
/// escaped in another way: it refuses the whole scrape. A clause for protobuf that names none takes theirs.
fn escape_protobuf_as_text(bids: &mut [(Format, Option<Bid>)]) {
    let of = |format| bids.iter().find(|(known, _)| *known == format).and_then(|(_, bid)| *bid);
    let text =
        [Format::OpenMetrics100, Format::Text100].map(of).into_iter().flatten().find(|bid| bid.escaping);
    let Some(Bid { choice: Choice { escaping, .. }, .. }) = text else { return };
    for bid in bids.iter_mut().filter_map(|(_, bid)| bid.as_mut()) {
        if bid.choice.format == Format::Protobuf && !bid.escaping {
            bid.choice = Choice::escaped(Format::Protobuf, escaping);
        }
    }
}

/// What `Accept` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the client gets.
    pub choice: Choice,
    /// How it is announced: with its escaping if the client has asked for one and the format knows it.
    pub content_type: &'static str,
}

impl Accepted {
    const FALLBACK: Accepted =
        Accepted { choice: Choice::FALLBACK, content_type: Choice::FALLBACK.format.content_type() };
}

/// What a clause says about the one format that it names.
#[derive(Clone, Copy, Debug)]
struct Bid {
    choice: Choice,
    /// Whether it asks for an escaping, whichever.
    escaping: bool,
    specificity: Specificity,
    weight: Weight,
}

impl Bid {
    fn accept(self) -> Accepted {
        let Bid { choice, escaping, specificity: _, weight: _ } = self;
        let content_type = if escaping { choice.content_type() } else { choice.format.content_type() };
        Accepted { choice, content_type }
    }
}

/// How closely a media range names a format, from the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyText,
    AnyVersion,
    Exact,
}

/// The format that a clause names. Wildcards name text 0.0.4 and nothing else: a browser, or curl, that reads
/// anything wants to read it, and the formats that need a parser are for those who ask for them by name.
/// Parameters that say nothing to us (`charset`) do not matter, as in `expfmt`.
fn read(element: Element<'_>) -> Option<Bid> {
    let [mut version, mut proto, mut encoding, mut escaping] = [None::<Value<'_>>; 4];
    for (name, value) in element.parameters() {
        for (known, slot) in [
            ("version", &mut version),
            ("proto", &mut proto),
            ("encoding", &mut encoding),
            ("escaping", &mut escaping),
        ] {
            // Names know no case (RFC 9110, section 5.6.6). Prometheus 3.0 to 3.2 send `escaping` twice; the
            // last counts, as in `expfmt`.
            if name.eq_ignore_ascii_case(known.as_bytes()) {
                *slot = Some(value);
            }
        }
    }
    let is = |value: Option<Value<'_>>, expected| value.is_some_and(|value| value.is(expected));

    let (format, specificity) = if element.is("*/*") {
        (Format::Text004, Specificity::Anything)
    } else if element.is("text/*") {
        (Format::Text004, Specificity::AnyText)
    } else if element.is("text/plain") {
        match version {
            None => (Format::Text004, Specificity::AnyVersion),
            Some(version) if version.is("0.0.4") => (Format::Text004, Specificity::Exact),
            Some(version) if version.is("1.0.0") => (Format::Text100, Specificity::Exact),
            Some(_) => return None,
        }
    } else if element.is("application/openmetrics-text") {
        match version {
            // Prometheus 2.40.0 asks so for whatever is current.
            None => (Format::OpenMetrics100, Specificity::AnyVersion),
            Some(version) if version.is("1.0.0") => (Format::OpenMetrics100, Specificity::Exact),
            Some(version) if version.is("0.0.1") => (Format::OpenMetrics001, Specificity::Exact),
            Some(_) => return None,
        }
    } else if element.is("application/vnd.google.protobuf")
        && is(proto, "io.prometheus.client.MetricFamily")
        && is(encoding, "delimited")
    {
        (Format::Protobuf, Specificity::Exact)
    } else {
        return None;
    };

    let choice = match escaping {
        None => Choice::plain(format),
        Some(value) => {
            let known = Escaping::ALL.into_iter().find(|escaping| value.is(escaping.name()));
            Choice::escaped(format, known.unwrap_or(Escaping::Underscores))
        }
    };
    Some(Bid { choice, escaping: escaping.is_some(), specificity, weight: element.weight() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::encode::Escaping::{AllowUtf8, Dots, Underscores, Values};
    use crate::exposition::encode::Format::{OpenMetrics001, OpenMetrics100, Protobuf, Text004, Text100};
    use proptest::prelude::*;

    const TEXT: &[Format] = &[Text100, Text004];
    const OPEN: &[Format] = &[OpenMetrics100, OpenMetrics001, Text100, Text004];

    const PROTO: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn accept<'a>(lines: impl IntoIterator<Item = &'a [u8]>, offered: &[Format]) -> Choice {
        super::accept(lines, offered).choice
    }

    /// Prometheus 2 does not know the parameter and is not told of it.
    #[test]
    fn an_escaping_is_echoed_to_those_who_have_asked_for_one() {
        let rows = [
            ("", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
            ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
            (
                "text/plain;version=1.0.0;escaping=dots",
                "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
            ),
            (
                "text/plain;version=1.0.0;escaping=other",
                "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                "application/openmetrics-text;version=1.0.0",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (
                "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8",
                "application/openmetrics-text; version=0.0.1; charset=utf-8",
            ),
            (
                &format!("{PROTO};escaping=values"),
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            ),
        ];
        for (header, content_type) in rows {
            let accepted = super::accept([header.as_bytes()], &Format::ALL);
            assert_eq!(accepted.content_type, content_type, "{header}");
        }
    }

    fn choose(header: &str, offered: &[Format]) -> (Format, Escaping) {
        let choice = accept([header.as_bytes()], offered);
        (choice.format, choice.escaping)
    }

    /// What real clients send, and what they get with text only, with OpenMetrics, and with protobuf as well.
    #[test]
    fn real_clients() {
        let text = (Text004, Underscores);
        let text_100 = (Text100, AllowUtf8);
        let open_001 = (OpenMetrics001, Underscores);
        let open = (OpenMetrics100, Underscores);
        let open_utf8 = (OpenMetrics100, AllowUtf8);
        let protobuf = (Protobuf, Underscores);
        let protobuf_utf8 = (Protobuf, AllowUtf8);
        let rows = [
            (
                "Prometheus 1, Telegraf",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                [text, text, protobuf],
            ),
            (
                "Prometheus 2.5 to 2.39",
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                [text, open_001, open_001],
            ),
            (
                "Prometheus 2.40.0",
                "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;q=0.6,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                [text, open, open],
            ),
            (
                "Prometheus 2.40.1 to 2.48",
                "application/openmetrics-text;version=1.0.0,\
                 application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
                 */*;q=0.1",
                [text, open, open],
            ),
            (
                "Prometheus 2.42 with native histograms",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                 application/openmetrics-text;version=1.0.0;q=0.8,\
                 application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
                 */*;q=0.1",
                [text, open, protobuf],
            ),
            (
                "Prometheus 2.49.0",
                "application/openmetrics-text;version=1.0.0;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
                 */*;q=2",
                [text, open, open],
            ),
            (
                "Prometheus 2.49.0, scrape_protocols: [OpenMetricsText1.0.0]",
                "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=2",
                [text, open, open],
            ),
            (
                "Prometheus 2.49.1 to 2.55",
                "application/openmetrics-text;version=1.0.0;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
                 */*;q=0.2",
                [text, open, open],
            ),
            (
                "Prometheus 3.0.0 to 3.2.0",
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
                [text_100, open_utf8, open_utf8],
            ),
            (
                "Prometheus 3.0.0 to 3.2.0, scrape_protocols: [PrometheusText0.0.4]",
                "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.6,*/*;q=0.5",
                [text; 3],
            ),
            (
                "Prometheus 3.4 and later",
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
                 */*;q=0.2",
                [text_100, open_utf8, open_utf8],
            ),
            (
                "Prometheus 3.4 and later, protobuf first",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,\
                 */*;q=0.1",
                [text_100, open_utf8, protobuf_utf8],
            ),
            (
                "Prometheus 3.4 and later, protobuf first, metric_name_escaping_scheme: dots",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 q=0.6,application/openmetrics-text;version=1.0.0;escaping=dots;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=dots;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                [(Text100, Dots), (OpenMetrics100, Dots), (Protobuf, Dots)],
            ),
            (
                "Prometheus 3.4 and later, scrape_protocols: [PrometheusProto]",
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 q=0.6,*/*;q=0.5",
                [text, text, protobuf],
            ),
            ("VictoriaMetrics 1.79", "text/plain;version=0.0.4;q=1,*/*;q=0.1", [text; 3]),
            ("curl, wget", "*/*", [text; 3]),
            ("Java", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", [text; 3]),
            ("Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", [text; 3]),
            (
                "Chrome",
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                 image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
                [text; 3],
            ),
        ];
        for (client, header, expected) in rows {
            let found = [TEXT, OPEN, &Format::ALL].map(|offered| choose(header, offered));
            assert_eq!(found, expected, "{client}: {header}");
        }
    }

    /// With everything switched on.
    #[test]
    fn rules() {
        let text = (Text004, Underscores);
        let open = (OpenMetrics100, Underscores);
        let rows = [
            // Nothing, and nothing that we have.
            ("", text),
            (",;=\"", text),
            ("application/json", text),
            ("text/html", text),
            ("text/plain;version=2.0.0", text),
            ("application/openmetrics-text;version=2.0.0", text),
            ("application/openmetrics-text;version=1.0.1", text),
            ("application/openmetrics-text;version=", text),
            ("application/vnd.google.protobuf", text),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", text),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited", text),
            // Wildcards name text 0.0.4, whatever they weigh.
            ("*/*", text),
            ("text/*", text),
            ("application/*", text),
            ("application/*, text/*;q=0.1", text),
            ("application/openmetrics-text;q=0.1, */*", text),
            ("application/openmetrics-text, */*", open),
            ("text/plain;version=1.0.0;q=0.1, text/*;q=0.2", text),
            // Versions.
            ("text/plain", text),
            ("text/plain;charset=utf-8", text),
            ("text/plain;version=1.0.0", (Text100, Underscores)),
            ("application/openmetrics-text", open),
            ("application/openmetrics-text;version=0.0.1", (OpenMetrics001, Underscores)),
            (
                "application/openmetrics-text;version=2.0.0, \
                 application/openmetrics-text;version=1.0.0;q=0.1",
                open,
            ),
            // Case, blanks, quotes.
            ("Application/OpenMetrics-Text;VERSION=1.0.0;Q=0.9,text/plain;q=0.5", open),
            ("\tapplication/openmetrics-text ; version=1.0.0 ;q=0.9 , text/plain ; q=0.5", open),
            ("application/openmetrics-text;version=\"1.0.0\"", open),
            (
                "application/openmetrics-text;x=\", text/plain;\";version=\"1\\.0.0\";q=0.5,text/plain;q=0.4",
                open,
            ),
            ("text/plain;q=0.5;version=1.0.0, application/openmetrics-text;q=0.4", (Text100, Underscores)),
            // Weights and exclusion.
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", text),
            ("application/openmetrics-text;q=0", text),
            ("application/openmetrics-text;q=0, text/plain;q=0", text),
            ("text/plain;q=0, application/openmetrics-text;q=0.1", open),
            ("*/*;q=0, application/openmetrics-text;q=0.1", open),
            ("*/*;q=0", text),
            // The more specific decides, wherever it stands.
            ("text/plain;q=0.1, */*, application/openmetrics-text;q=0.2", open),
            ("*/*, application/openmetrics-text;q=0.2, text/plain;q=0.1", open),
            ("text/*;q=0.1, */*, application/openmetrics-text;q=0.2", open),
            ("text/plain;version=0.0.4;q=0.1, text/plain, application/openmetrics-text;q=0.2", open),
            (
                "application/openmetrics-text;version=1.0.0;q=0, \
                 application/openmetrics-text, text/plain;q=0.1",
                text,
            ),
            ("text/plain;q=0.1, text/plain;q=0.3, application/openmetrics-text;q=0.2", text),
            // Ties go to our order.
            ("text/plain, application/openmetrics-text", open),
            ("text/plain, text/plain;version=1.0.0", (Text100, Underscores)),
            ("application/openmetrics-text;version=0.0.1, application/openmetrics-text;version=1.0.0", open),
            // A weight that is none stands behind those that are some.
            ("application/openmetrics-text;q=2, text/plain;q=0.1", text),
            ("application/openmetrics-text;q=high", open),
            ("text/plain;q=2, application/openmetrics-text;q=0.1", open),
            // The escaping of the clause that wins.
            ("text/plain;version=1.0.0;escaping=allow-utf-8", (Text100, AllowUtf8)),
            ("text/plain;version=1.0.0;escaping=underscores", (Text100, Underscores)),
            ("text/plain;version=1.0.0;escaping=dots", (Text100, Dots)),
            ("text/plain;version=1.0.0;escaping=values", (Text100, Values)),
            ("text/plain;version=1.0.0;Escaping=\"values\"", (Text100, Values)),
            ("text/plain;version=1.0.0;escaping=allow-utf8", (Text100, Underscores)),
            ("text/plain;version=1.0.0;escaping=", (Text100, Underscores)),
            ("text/plain;version=1.0.0;escaping=dots;escaping=values", (Text100, Values)),
            (
                "text/plain;version=1.0.0;escaping=dots;q=0.4, \
                 application/openmetrics-text;escaping=values;q=0.5",
                (OpenMetrics100, Values),
            ),
            ("text/plain;version=0.0.4;escaping=values", text),
            ("application/openmetrics-text;version=0.0.1;escaping=dots", (OpenMetrics001, Underscores)),
        ];
        for (header, expected) in rows {
            assert_eq!(choose(header, &Format::ALL), expected, "{header}");
        }
    }

    /// Prometheus 2.42, and Prometheus 3.5 with `metric_name_validation_scheme: legacy`, lost the whole scrape to one name with
    /// a dot.
    #[test]
    fn protobuf_takes_its_escaping_from_the_text_formats() {
        let rows = [
            ("", "", Underscores),
            (";escaping=allow-utf-8", "", AllowUtf8),
            (";escaping=underscores", "", Underscores),
            (";escaping=values", "", Values),
            (";escaping=x", "", Underscores),
            ("", "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.1", AllowUtf8),
            ("", "application/openmetrics-text;version=1.0.0;escaping=dots;q=0.1", Dots),
            (";escaping=values", "text/plain;version=1.0.0;escaping=dots;q=0.1", Values),
            // These formats always have underscores.
            ("", "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.1", Underscores),
            ("", "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.1", Underscores),
            // Of two, that of OpenMetrics.
            (
                "",
                "text/plain;version=1.0.0;escaping=dots;q=0.3,\
                 application/openmetrics-text;version=1.0.0;escaping=values;q=0.1",
                Values,
            ),
        ];
        for (parameter, others, expected) in rows {
            let header = format!("{PROTO}{parameter},{others}");
            assert_eq!(choose(&header, &Format::ALL), (Protobuf, expected), "{header}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        let lines = ["text/plain;q=0.5", "", "application/openmetrics-text;q=0.6"].map(str::as_bytes);
        assert_eq!(accept(lines, &Format::ALL), Choice::plain(OpenMetrics100));
        assert_eq!(accept([], &Format::ALL), Choice::FALLBACK);
    }

    /// Every way to name a format, with the format and how closely it is named.
    const RANGES: [(&str, Format, usize); 9] = [
        ("*/*", Text004, 0),
        ("text/*", Text004, 1),
        ("Text/Plain", Text004, 2),
        ("text/plain; version=0.0.4", Text004, 3),
        ("text/plain ;Version=\"1.0.0\"", Text100, 3),
        ("application/openmetrics-text", OpenMetrics100, 2),
        ("application/openmetrics-text;version=1.0.0", OpenMetrics100, 3),
        ("application/openmetrics-text;version=0.0.1", OpenMetrics001, 3),
        (PROTO, Protobuf, 3),
    ];

    proptest! {
        #[test]
        fn any_bytes_give_what_we_offer(lines: Vec<Vec<u8>>) {
            let choice = accept(lines.iter().map(Vec::as_slice), &[]);
            prop_assert_eq!(choice, Choice::FALLBACK);
        }

        #[test]
        fn junk_of_the_grammar_never_panics(
            header in "([a-z/*.;,=\" \\\\]|q=|version=1.0.0|text/plain|[^a-z]){0,80}",
        ) {
            prop_assert!(OPEN.contains(&accept([header.as_bytes()], OPEN).format));
        }

        #[test]
        fn like_a_naive_reader(
            clauses in prop::collection::vec((prop::sample::select(RANGES.to_vec()), 0..=9u16), 0..8),
        ) {
            let header: Vec<_> = clauses.iter().map(|((range, ..), q)| format!("{range};q=0.{q}")).collect();
            let weight = |format| {
                let named = clauses.iter().filter(|((_, names, _), _)| *names == format);
                named.map(|((_, _, specificity), q)| (specificity, *q)).max().map_or(0, |(_, q)| q)
            };
            let mut expected = (0, Text004);
            for format in Format::ALL {
                if weight(format) > expected.0 {
                    expected = (weight(format), format);
                }
            }
            prop_assert_eq!(choose(&header.join(" ,"), &Format::ALL).0, expected.1, "{:?}", header);
        }

        #[test]
        fn order_does_not_matter(
            weights in Just((1..=RANGES.len()).collect::<Vec<_>>()).prop_shuffle(),
            order in Just((0..RANGES.len()).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let clauses = RANGES.iter().zip(weights)
                .map(|((range, ..), tenths)| format!("{range};q=0.{tenths}"));
            let mut clauses: Vec<_> = clauses.zip(order).collect();
            let choice = |clauses: &[(String, usize)]| {
                let lines = clauses.iter().map(|(clause, _)| clause.as_bytes());
                accept(lines, &Format::ALL)
            };
            let unsorted = choice(&clauses);
            clauses.sort_by_key(|(_, place)| *place);
            prop_assert_eq!(unsorted, choice(&clauses), "{:?}", clauses);
        }
    }
}
