//! `Accept` (RFC 9110, section 12.5.1), and what Prometheus makes of it
//! (<https://prometheus.io/docs/instrumenting/content_negotiation/>).

use std::cmp::Reverse;

use super::element::{Element, Weight, elements};
use crate::exposition::encode::{EscapedFormat, Escaping, Escapings, FALLBACK, FORMATS, Format};

/// Chooses the format of an exposition from the values of `Accept`, one per line.
///
/// `offered` are the formats that are switched on; text 0.0.4 always is. The heaviest wins, and among equals
/// the first of [`FORMATS`]. Nothing, nothing that we have, or everything excluded gives text 0.0.4 and
/// no 406: "If no fallback is specified, the target MUST use PrometheusText0.0.4 as a last resort."
pub fn accept<'a>(lines: impl IntoIterator<Item = &'a [u8]>, offered: &[&'static Format]) -> Accepted {
    let mut bids: [Option<Bid>; FORMATS.len()] = [None; FORMATS.len()];
    for element in elements(lines) {
        let Some(bid) = Bid::read(element) else { continue };
        for (best, _) in bids.iter_mut().zip(FORMATS).filter(|(_, format)| **format == bid.format) {
            // "Media ranges can be overridden by more specific media ranges" (RFC 9110, section 12.5.1); of
            // two that are the same, the heavier counts.
            if best.is_none_or(|best| (best.specificity, best.weight) < (bid.specificity, bid.weight)) {
                *best = Some(bid);
            }
        }
    }
    // Since 3.4, Prometheus names its escaping in the clauses of the 1.0.0 text formats only, and cannot store names that
    // are escaped in another way: it refuses the whole scrape. A clause for protobuf that names none takes theirs.
    let announces = |bid: &&Bid| matches!(bid.format.escapings, Escapings::Announced(_));
    let of_text = bids.iter().flatten().filter(announces).find_map(|bid| bid.escaping);
    bids.into_iter()
        .flatten()
        .filter(|bid| bid.weight > 0 && (offered.contains(&bid.format) || bid.format == FALLBACK.format()))
        // The first of the heaviest.
        .min_by_key(|bid| Reverse(bid.weight))
        .map_or(Accepted::FALLBACK, |bid| bid.accept(of_text))
}

/// What `Accept` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the client gets.
    pub format: EscapedFormat,
    /// How it is announced: with its escaping if the client has asked for one and the format knows it.
    pub content_type: &'static str,
}

impl Accepted {
    const FALLBACK: Accepted = Accepted { format: FALLBACK, content_type: FALLBACK.format().content_type };
}

/// What a clause says about the one format that it names.
#[derive(Clone, Copy, Debug)]
struct Bid {
    format: &'static Format,
    /// The escaping that it asks for.
    escaping: Option<Escaping>,
    specificity: Specificity,
    weight: Weight,
}

/// How closely a media range names a format, from the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyText,
    AnyVersion,
    Exact,
}

impl Bid {
    /// Reads which format a clause names. Wildcards name text 0.0.4 and nothing else: a browser, or curl, that reads
    /// anything wants to read it, and the formats that need a parser are for those who ask for them by name.
    /// Parameters that say nothing to us (`charset`) do not matter, as in `expfmt`.
    fn read(element: Element<'_>) -> Option<Bid> {
        let (format, specificity) = if element.is("*/*") {
            (FALLBACK.format(), Specificity::Anything)
        } else if element.is("text/*") {
            (FALLBACK.format(), Specificity::AnyText)
        } else {
            let mut of_this_type = FORMATS.iter().filter(|format| element.is(format.media_type));
            of_this_type.find_map(|format| Some((*format, named(element, format)?)))?
        };
        let escaping = element.parameter("escaping").map(|value| {
            let known = Escaping::ALL.into_iter().find(|escaping| value.is(escaping.name()));
            known.unwrap_or(Escaping::Underscores)
        });
        Some(Bid { format, escaping, specificity, weight: element.weight() })
    }

    /// The format with its escaping, where the clauses of the text formats ask for this one.
    fn accept(self, of_text: Option<Escaping>) -> Accepted {
        let Bid { format, escaping, specificity: _, weight: _ } = self;
        let silent = matches!(format.escapings, Escapings::Silent);
        match escaping.or(of_text.filter(|_| silent)) {
            Some(escaping) => {
                let format = EscapedFormat::new(format, escaping);
                Accepted { format, content_type: format.content_type() }
            }
            None => Accepted { format: EscapedFormat::plain(format), content_type: format.content_type },
        }
    }
}

/// How closely a clause with a format's media type names it, if it does.
fn named(element: Element<'_>, format: &Format) -> Option<Specificity> {
    let has =
        |(name, expected): &(&str, &str)| element.parameter(name).is_some_and(|value| value.is(expected));
    if format.parameters.iter().all(has) {
        Some(Specificity::Exact)
    } else {
        let any_version = format.is_default_version && element.parameter("version").is_none();
        any_version.then_some(Specificity::AnyVersion)
    }
}

#[cfg(test)]
mod tests;
