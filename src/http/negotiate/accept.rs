//! `Accept` (RFC 9110, section 12.5.1) with the rules of Prometheus
//! (<https://prometheus.io/docs/instrumenting/content_negotiation/>).

use std::cmp::Reverse;

use super::element::{Element, Weight, elements};
use crate::exposition::encode::{EscapedFormat, Escaping, Escapings, FALLBACK, FORMATS, Format};

/// Chooses the format of an exposition from the values of `Accept`, one per line.
///
/// `offered` are the enabled formats. Text 0.0.4 is the fallback, offered or not. The highest weight wins, and among equal weights
/// the first of [`FORMATS`]. No header, only unknown formats, or everything excluded gives text 0.0.4 and no 406: "If
/// no fallback is specified, the target MUST use PrometheusText0.0.4 as a last resort."
pub fn accept<'a>(lines: impl IntoIterator<Item = &'a [u8]>, offered: &[&'static Format]) -> Accepted {
    let mut candidates: [Option<Candidate>; FORMATS.len()] = [None; FORMATS.len()];
    for element in elements(lines) {
        let Some(candidate) = Candidate::read(element) else { continue };
        for (best, _) in candidates.iter_mut().zip(FORMATS).filter(|(_, format)| **format == candidate.format)
        {
            // "Media ranges can be overridden by more specific media ranges" (RFC 9110, section 12.5.1). Of two
            // equally specific ranges, the higher weight counts.
            if best.is_none_or(|best| {
                (best.specificity, best.weight) < (candidate.specificity, candidate.weight)
            }) {
                *best = Some(candidate);
            }
        }
    }
    // Since 3.4, Prometheus sends its escaping only with the 1.0.0 text formats. It rejects the whole scrape if names
    // have another escaping. So a protobuf clause without an escaping uses that of the text formats.
    let announces = |candidate: &&Candidate| matches!(candidate.format.escapings, Escapings::Announced(_));
    let of_text = candidates.iter().flatten().filter(announces).find_map(|candidate| candidate.escaping);
    candidates
        .into_iter()
        .flatten()
        .filter(|candidate| candidate.weight > 0 && offered.contains(&candidate.format))
        // `min_by_key` returns the first of equal items.
        .min_by_key(|candidate| Reverse(candidate.weight))
        .map_or(Accepted { format: FALLBACK, content_type: FALLBACK.format().content_type }, |candidate| {
            candidate.accept(of_text)
        })
}

/// The result of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The format of the response.
    pub format: EscapedFormat,
    /// The content type. It names the escaping if the client asked for one and the format has that parameter.
    pub content_type: &'static str,
}

/// A clause that names one format.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    format: &'static Format,
    /// The requested escaping.
    escaping: Option<Escaping>,
    specificity: Specificity,
    weight: Weight,
}

/// How specifically a media range names a format, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyText,
    AnyVersion,
    Exact,
}

impl Candidate {
    /// Parses a clause. Wildcards mean text 0.0.4 only: a browser or curl shows the response to people, while formats
    /// that need a parser must be requested by name. Unknown parameters (`charset`) are ignored, as in `expfmt`.
    fn read(element: Element<'_>) -> Option<Candidate> {
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
        Some(Candidate { format, escaping, specificity, weight: element.weight() })
    }

    /// Returns the format with its escaping. `of_text` is the escaping of the text formats' clauses.
    fn accept(self, of_text: Option<Escaping>) -> Accepted {
        let Candidate { format, escaping, specificity: _, weight: _ } = self;
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

/// Returns how specifically a clause with a format's media type names the format.
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
