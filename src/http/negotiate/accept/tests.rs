//! Headers that clients send, and the chosen formats.

use proptest::prelude::*;

use super::*;
use crate::exposition::encode::Escaping::{AllowUtf8, Dots, Underscores, Values};
use crate::exposition::encode::{OPENMETRICS_001, OPENMETRICS_100, TEXT_004, TEXT_100};

const TEXT: &[&Format] = &[&TEXT_100, &TEXT_004];
const OPEN: &[&Format] = &[&OPENMETRICS_100, &OPENMETRICS_001, &TEXT_100, &TEXT_004];

const PROTO: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

// The names of the formats in these tables, because some builds have no protobuf.
const PLAIN_004: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN_100: &str = "text/plain; version=1.0.0; charset=utf-8";
const OPEN_100: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const OPEN_001: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn accept<'a>(lines: impl IntoIterator<Item = &'a [u8]>, offered: &[&'static Format]) -> EscapedFormat {
    super::accept(lines, offered).format
}

/// OpenMetrics 1.0.0 names its media type without the parameter.
#[test]
fn echoes_the_escaping_only_on_request() {
    let rows = [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
        ("text/plain;version=1.0.0;escaping=dots", "text/plain; version=1.0.0; charset=utf-8; escaping=dots"),
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
        (&format!("{PROTO};escaping=values"), if cfg!(feature = "protobuf") { PROTOBUF } else { PLAIN_004 }),
    ];
    for (header, content_type) in rows {
        let accepted = super::accept([header.as_bytes()], FORMATS);
        assert_eq!(accepted.content_type, content_type, "{header}");
    }
}

fn choose(header: &str, offered: &[&'static Format]) -> (&'static str, Escaping) {
    let format = accept([header.as_bytes()], offered);
    (format.format().content_type, format.escaping())
}

/// Headers of real clients, and the format with text only, with OpenMetrics, and with protobuf too.
#[test]
fn chooses_formats_for_real_clients() {
    let text = (PLAIN_004, Underscores);
    let text_100 = (PLAIN_100, AllowUtf8);
    let open_001 = (OPEN_001, Underscores);
    let open = (OPEN_100, Underscores);
    let open_utf8 = (OPEN_100, AllowUtf8);
    let protobuf = (PROTOBUF, Underscores);
    let protobuf_utf8 = (PROTOBUF, AllowUtf8);
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
            [(PLAIN_100, Dots), (OPEN_100, Dots), (PROTOBUF, Dots)],
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
    for (client, header, [text, open, all]) in rows {
        let expected = [text, open, if cfg!(feature = "protobuf") { all } else { open }];
        let found = [TEXT, OPEN, FORMATS].map(|offered| choose(header, offered));
        assert_eq!(found, expected, "{client}: {header}");
    }
}

/// All formats are enabled.
#[test]
fn follows_the_rules_of_negotiation() {
    let text = (PLAIN_004, Underscores);
    let open = (OPEN_100, Underscores);
    let rows = [
        // No known format.
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
        // Wildcards mean text 0.0.4, whatever their weight.
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
        ("text/plain;version=1.0.0", (PLAIN_100, Underscores)),
        ("application/openmetrics-text", open),
        ("application/openmetrics-text;version=0.0.1", (OPEN_001, Underscores)),
        (
            "application/openmetrics-text;version=2.0.0, \
             application/openmetrics-text;version=1.0.0;q=0.1",
            open,
        ),
        // Case, blanks, quotes.
        ("Application/OpenMetrics-Text;VERSION=1.0.0;Q=0.9,text/plain;q=0.5", open),
        ("\tapplication/openmetrics-text ; version=1.0.0 ;q=0.9 , text/plain ; q=0.5", open),
        ("application/openmetrics-text;version=\"1.0.0\"", open),
        ("application/openmetrics-text;x=\", text/plain;\";version=\"1\\.0.0\";q=0.5,text/plain;q=0.4", open),
        ("text/plain;q=0.5;version=1.0.0, application/openmetrics-text;q=0.4", (PLAIN_100, Underscores)),
        // Weights and exclusion.
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", text),
        ("application/openmetrics-text;q=0", text),
        ("application/openmetrics-text;q=0, text/plain;q=0", text),
        ("text/plain;q=0, application/openmetrics-text;q=0.1", open),
        ("*/*;q=0, application/openmetrics-text;q=0.1", open),
        ("*/*;q=0", text),
        // The more specific range decides, wherever it is.
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
        // Among equal weights, the order of `FORMATS` decides.
        ("text/plain, application/openmetrics-text", open),
        ("text/plain, text/plain;version=1.0.0", (PLAIN_100, Underscores)),
        ("application/openmetrics-text;version=0.0.1, application/openmetrics-text;version=1.0.0", open),
        // An unreadable weight comes after all readable ones.
        ("application/openmetrics-text;q=2, text/plain;q=0.1", text),
        ("application/openmetrics-text;q=high", open),
        ("text/plain;q=2, application/openmetrics-text;q=0.1", open),
        // The escaping of the winning clause.
        ("text/plain;version=1.0.0;escaping=allow-utf-8", (PLAIN_100, AllowUtf8)),
        ("text/plain;version=1.0.0;escaping=underscores", (PLAIN_100, Underscores)),
        ("text/plain;version=1.0.0;escaping=dots", (PLAIN_100, Dots)),
        ("text/plain;version=1.0.0;escaping=values", (PLAIN_100, Values)),
        ("text/plain;version=1.0.0;Escaping=\"values\"", (PLAIN_100, Values)),
        ("text/plain;version=1.0.0;escaping=allow-utf8", (PLAIN_100, Underscores)),
        ("text/plain;version=1.0.0;escaping=", (PLAIN_100, Underscores)),
        ("text/plain;version=1.0.0;escaping=dots;escaping=values", (PLAIN_100, Values)),
        (
            "text/plain;version=1.0.0;escaping=dots;q=0.4, \
             application/openmetrics-text;escaping=values;q=0.5",
            (OPEN_100, Values),
        ),
        ("text/plain;version=0.0.4;escaping=values", text),
        ("application/openmetrics-text;version=0.0.1;escaping=dots", (OPEN_001, Underscores)),
    ];
    for (header, expected) in rows {
        assert_eq!(choose(header, FORMATS), expected, "{header}");
    }
}

/// Prometheus 2.42, and Prometheus 3.5 with `metric_name_validation_scheme: legacy`, lost the whole scrape because of
/// one name with a dot.
#[cfg(feature = "protobuf")]
#[test]
fn protobuf_uses_the_escaping_of_the_text_formats() {
    let rows = [
        ("", "", Underscores),
        (";escaping=allow-utf-8", "", AllowUtf8),
        (";escaping=underscores", "", Underscores),
        (";escaping=values", "", Values),
        (";escaping=x", "", Underscores),
        ("", "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.1", AllowUtf8),
        ("", "application/openmetrics-text;version=1.0.0;escaping=dots;q=0.1", Dots),
        (";escaping=values", "text/plain;version=1.0.0;escaping=dots;q=0.1", Values),
        // These formats always use underscores.
        ("", "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.1", Underscores),
        ("", "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.1", Underscores),
        // Of two, the escaping of OpenMetrics.
        (
            "",
            "text/plain;version=1.0.0;escaping=dots;q=0.3,\
             application/openmetrics-text;version=1.0.0;escaping=values;q=0.1",
            Values,
        ),
    ];
    for (parameter, others, expected) in rows {
        let header = format!("{PROTO}{parameter},{others}");
        assert_eq!(choose(&header, FORMATS), (PROTOBUF, expected), "{header}");
    }
}

#[test]
fn joins_lines_to_one_list() {
    let lines = ["text/plain;q=0.5", "", "application/openmetrics-text;q=0.6"].map(str::as_bytes);
    assert_eq!(accept(lines, FORMATS), EscapedFormat::plain(&OPENMETRICS_100));
    assert_eq!(accept([], FORMATS), FALLBACK);
}

/// Every way to name a format, with the format and its specificity.
const RANGES: [(&str, &str, usize); 9] = [
    ("*/*", PLAIN_004, 0),
    ("text/*", PLAIN_004, 1),
    ("Text/Plain", PLAIN_004, 2),
    ("text/plain; version=0.0.4", PLAIN_004, 3),
    ("text/plain ;Version=\"1.0.0\"", PLAIN_100, 3),
    ("application/openmetrics-text", OPEN_100, 2),
    ("application/openmetrics-text;version=1.0.0", OPEN_100, 3),
    ("application/openmetrics-text;version=0.0.1", OPEN_001, 3),
    (PROTO, PROTOBUF, 3),
];

proptest! {
    #[test]
    fn any_bytes_give_an_offered_format(lines: Vec<Vec<u8>>) {
        let choice = accept(lines.iter().map(Vec::as_slice), OPEN);
        prop_assert!(choice == FALLBACK || OPEN.contains(&choice.format()));
    }

    #[test]
    fn junk_of_the_grammar_never_panics(
        header in "([a-z/*.;,=\" \\\\]|q=|version=1.0.0|text/plain|[^a-z]){0,80}",
    ) {
        prop_assert!(OPEN.contains(&accept([header.as_bytes()], OPEN).format()));
    }

    #[test]
    fn chooses_like_a_naive_parser(
        clauses in prop::collection::vec((prop::sample::select(RANGES.to_vec()), 0..=9u16), 0..8),
    ) {
        let header: Vec<_> = clauses.iter().map(|((range, ..), q)| format!("{range};q=0.{q}")).collect();
        let weight = |format| {
            let named = clauses.iter().filter(|((_, names, _), _)| *names == format);
            named.map(|((_, _, specificity), q)| (specificity, *q)).max().map_or(0, |(_, q)| q)
        };
        let mut expected = (0, PLAIN_004);
        for format in FORMATS {
            if weight(format.content_type) > expected.0 {
                expected = (weight(format.content_type), format.content_type);
            }
        }
        prop_assert_eq!(choose(&header.join(" ,"), FORMATS).0, expected.1, "{:?}", header);
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
            accept(lines, FORMATS)
        };
        let unsorted = choice(&clauses);
        clauses.sort_by_key(|(_, index)| *index);
        prop_assert_eq!(unsorted, choice(&clauses), "{:?}", clauses);
    }
}
