//! A slow and simple reader to compare the fast one with. Its only state is the family of the line before.
//!
//! It uses `std` only, and no code of the decoder. `fuzz/` includes this file, too.

use std::collections::BTreeMap;

// With a path, because `fuzz/` reads this file from another folder.
#[path = "naive/tokens.rs"]
mod tokens;

use tokens::Refused::{self, Bad, Mistaken};
use tokens::{bare, metadata_name, quoted, seconds, unescaped};

/// A sorted line for each metric, and the number of skipped lines.
pub(crate) type Read = (Vec<String>, u64);

type Labels = Vec<(String, String)>;

type Outcome<T> = Result<T, Refused>;

#[derive(Default)]
struct Family {
    name: String,
    help: Option<String>,
    kind: Option<&'static str>,
    values: Vec<String>,
    distributions: BTreeMap<Labels, Distribution>,
}

#[derive(Default)]
struct Distribution {
    /// The bounds, with counts or with the bits of values.
    bounds: Vec<(f64, u64)>,
    sum: Option<f64>,
    count: Option<u64>,
    timestamp: i64,
}

pub(crate) fn read(text: &str, openmetrics: bool) -> Read {
    let last = text.strip_suffix('\n').unwrap_or(text).rsplit('\n').next();
    if !openmetrics && last != Some("# EOF") {
        if let Ok(read) = (Reader { openmetrics: false, ..Reader::default() }).read(text) {
            return read;
        }
    }
    (Reader { openmetrics: true, ..Reader::default() }).read(text).unwrap_or_default()
}

#[derive(Default)]
struct Reader {
    openmetrics: bool,
    families: Vec<Family>,
    current: usize,
    skipped: u64,
}

impl Reader {
    fn read(mut self, text: &str) -> Outcome<Read> {
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        for (at, line) in lines.iter().enumerate() {
            match self.line(line, at + 1 == lines.len()) {
                Err(Mistaken) if !self.openmetrics => return Err(Mistaken),
                Err(_) => self.skipped += 1,
                Ok(()) => {}
            }
        }
        Ok(self.finish())
    }

    /// Removes optional blanks, which only the text format allows.
    fn blanks<'l>(&self, text: &'l str) -> &'l str {
        if self.openmetrics { text } else { text.trim_start_matches([' ', '\t']) }
    }

    /// Removes the required blanks between two parts. Returns `None` if there are none.
    fn separated<'l>(&self, text: &'l str) -> Option<&'l str> {
        if self.openmetrics {
            text.strip_prefix(' ')
        } else {
            Some(self.blanks(text)).filter(|rest| *rest != text)
        }
    }

    fn line(&mut self, line: &str, is_last: bool) -> Outcome<()> {
        let line = self.blanks(line);
        if line.is_empty() {
            return if self.openmetrics { Err(Bad) } else { Ok(()) };
        }
        let Some(comment) = line.strip_prefix('#') else { return self.sample(line) };
        let Some(comment) = self.separated(comment) else {
            return if self.openmetrics { Err(Bad) } else { Ok(()) };
        };
        let (word, rest) = comment.split_at(comment.find([' ', '\t']).unwrap_or(comment.len()));
        if self.openmetrics && word == "EOF" {
            return if is_last && rest.is_empty() { Ok(()) } else { Err(Bad) };
        }
        let rest = if self.openmetrics { rest.strip_prefix(' ').ok_or(Bad)? } else { self.blanks(rest) };
        match word {
            "HELP" => {
                let (name, rest) = metadata_name(rest)?;
                let text = rest.strip_prefix(if self.openmetrics { &[' '][..] } else { &[' ', '\t'] });
                let text = if rest.is_empty() && !self.openmetrics { "" } else { text.ok_or(Bad)? };
                let help = unescaped(text, self.openmetrics);
                let family = self.named(name);
                if family.help.as_ref().is_some_and(|before| *before != help) {
                    return Err(Bad);
                }
                family.help = Some(help);
            }
            "TYPE" => {
                let (name, rest) = metadata_name(rest)?;
                let rest = self.separated(rest).ok_or(Bad)?;
                let (word, rest) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
                if word.is_empty() || !self.blanks(rest).is_empty() {
                    return Err(Bad);
                }
                let kind = self.kind(word)?;
                let family = self.named(name);
                let is_sampled = !family.values.is_empty() || !family.distributions.is_empty();
                match family.kind {
                    Some(before) if before != kind => return Err(Bad),
                    None if is_sampled && kind != "untyped" => return Err(Bad),
                    _ => family.kind = Some(kind),
                }
            }
            "UNIT" if self.openmetrics => {
                let (name, rest) = metadata_name(rest)?;
                let unit = rest.strip_prefix(' ').ok_or(Bad)?;
                if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
                    return Err(Bad);
                }
            }
            "UNIT" => {
                let (name, unit) = rest.split_once(' ').unwrap_or_default();
                if !unit.is_empty() && name.ends_with(unit) {
                    return Err(Mistaken);
                }
            }
            _ if self.openmetrics => return Err(Bad),
            _ => {}
        }
        Ok(())
    }

    fn kind(&self, word: &str) -> Outcome<&'static str> {
        Ok(match (word, self.openmetrics) {
            ("counter", _) => "counter",
            ("gauge", _) | ("stateset", true) => "gauge",
            ("histogram", _) => "histogram",
            ("summary", _) => "summary",
            ("untyped", false) | ("unknown", true) => "untyped",
            ("info", true) => "info",
            ("gaugehistogram", true) => "gaugehistogram",
            ("stateset" | "unknown" | "info" | "gaugehistogram", false) => return Err(Mistaken),
            _ => return Err(Bad),
        })
    }

    fn named(&mut self, name: String) -> &mut Family {
        let at = self.families.iter().position(|family| family.name == name);
        self.current = at.unwrap_or_else(|| {
            self.families.push(Family { name, ..Family::default() });
            self.families.len() - 1
        });
        &mut self.families[self.current]
    }

    fn role(&self, at: usize, name: &str) -> Option<&'static str> {
        let family = self.families.get(at)?;
        let kind = family.kind.unwrap_or("untyped");
        Some(match (kind, name.strip_prefix(&family.name)?, self.openmetrics) {
            ("untyped" | "gauge", "", _) | ("counter", "", false) | ("counter", "_total", true) => "value",
            ("info", "_info", _) => "value",
            ("histogram", "_bucket", _) => "bucket",
            ("summary", "", _) => "quantile",
            ("histogram" | "summary", "_sum", _) => "sum",
            ("histogram" | "summary", "_count", _) => "count",
            ("counter" | "histogram" | "summary", "_created", true) => "created",
            ("gaugehistogram", "_bucket" | "_gsum" | "_gcount", _) => "part",
            _ => return None,
        })
    }

    fn assign(&mut self, name: &str) -> Outcome<(usize, &'static str)> {
        let known = |name: &str| self.families.iter().position(|family| family.name == name);
        let suffixed = || name.rfind('_').and_then(|cut| known(&name[..cut]));
        let mut candidates = [Some(self.current), known(name)].into_iter().flatten();
        let mut found = candidates.find_map(|at| Some((at, self.role(at, name)?)));
        if found.is_none() && known(name).is_some() {
            return Err(Bad);
        }
        found = found.or_else(|| suffixed().and_then(|at| Some((at, self.role(at, name)?))));
        let Some((at, role)) = found else {
            self.named(name.to_owned());
            return Ok((self.current, "value"));
        };
        self.current = at;
        if role == "part" {
            let help = self.families[at].help.clone();
            if known(name).is_none() {
                let family = self.named(name.to_owned());
                (family.help, family.kind) = (help, Some("gauge"));
            }
            self.named(name.to_owned());
            return Ok((self.current, self.role(self.current, name).ok_or(Bad)?));
        }
        Ok((at, role))
    }

    fn sample(&mut self, line: &str) -> Outcome<()> {
        let (mut name, mut rest, mut labels) = {
            let (name, rest) = bare(line, true);
            (name.to_owned(), rest, Vec::new())
        };
        let braces = self.blanks(rest).strip_prefix('{');
        if let Some(braces) = braces {
            let (quoted, found, after) = self.labels(braces)?;
            if name.is_empty() == quoted.is_none() {
                return Err(Bad);
            }
            name = quoted.unwrap_or(name);
            labels = found;
            rest = if self.openmetrics { after.strip_prefix(' ').ok_or(Bad)? } else { self.blanks(after) };
        } else {
            rest = self.separated(rest).filter(|rest| !name.is_empty() && !rest.is_empty()).ok_or(Bad)?;
        }
        let known = |name: &str| self.families.iter().find(|family| family.name == name);
        let base = name.strip_suffix("_total").and_then(known);
        if !self.openmetrics
            && known(&name).is_none()
            && base.is_some_and(|base| base.kind == Some("counter") && base.values.is_empty())
        {
            return Err(Mistaken);
        }
        let (at, role) = self.assign(&name)?;

        let kind = self.families[at].kind.unwrap_or("untyped");
        let reserved = match (kind, role) {
            (_, "value") => None,
            ("histogram", _) => Some("le"),
            ("summary", _) => Some("quantile"),
            _ => None,
        };
        labels.sort();
        let is_reserved =
            |name: &str| if self.openmetrics { name.starts_with("__") } else { name == "__name__" };
        if labels.windows(2).any(|pair| pair[0].0 == pair[1].0)
            || labels.iter().any(|(name, _)| is_reserved(name))
        {
            return Err(Bad);
        }
        let bound = reserved.and_then(|reserved| labels.iter().position(|(name, _)| name == reserved));
        let bound = bound.map(|at| labels.remove(at).1);
        let bound = match role {
            "bucket" | "quantile" => {
                let bound = bound.and_then(|bound| bound.parse::<f64>().ok());
                bound.filter(|bound| !bound.is_nan()).ok_or(Bad)?
            }
            _ if bound.is_some() => return Err(Bad),
            _ => 0.0,
        };
        let (token, rest) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
        let value: f64 = token.parse().map_err(|_| Bad)?;
        let count = match token.parse::<u64>() {
            _ if !matches!(role, "bucket" | "count") => 0,
            Ok(count) => count,
            Err(_) if value >= 0.0 && value.is_finite() && value.fract() == 0.0 => value as u64,
            Err(_) => return Err(Bad),
        };
        let has_exemplar = name.ends_with("_total") || name.ends_with("_bucket");
        let timestamp = self.after(rest, has_exemplar)?;
        let family = &mut self.families[at];
        if role == "value" {
            family.values.push(value_line(&labels, value.to_bits(), timestamp));
            return Ok(());
        }
        if role == "created" {
            return Ok(());
        }
        let distribution = family.distributions.entry(labels).or_default();
        let is_infinite = |(bound, _): &(f64, u64)| *bound == f64::INFINITY;
        match role {
            "bucket" if bound == f64::INFINITY && distribution.bounds.iter().any(is_infinite) => {
                return Err(Bad);
            }
            "bucket" => distribution.bounds.push((bound, count)),
            "quantile" => distribution.bounds.push((bound, value.to_bits())),
            "sum" if distribution.sum.is_none() => distribution.sum = Some(value),
            "count" if distribution.count.is_none() => distribution.count = Some(count),
            _ => return Err(Bad),
        }
        if distribution.timestamp == 0 {
            distribution.timestamp = timestamp;
        }
        Ok(())
    }

    /// Reads the text after a value and returns the timestamp.
    fn after(&self, rest: &str, has_exemplar: bool) -> Outcome<i64> {
        if self.blanks(rest).is_empty() {
            return Ok(0);
        }
        let mut rest = self.separated(rest).ok_or(Bad)?;
        let mut timestamp = 0;
        if !rest.starts_with('#') {
            let (token, after) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
            let read = if self.openmetrics { seconds(token) } else { token.parse().ok() };
            let Some(read) = read.filter(|read| *read != 0) else {
                return Err(if after.starts_with(" # {") { Mistaken } else { Bad });
            };
            timestamp = read;
            if self.blanks(after).is_empty() {
                return Ok(timestamp);
            }
            rest = self.separated(after).ok_or(Bad)?;
        }
        let exemplar = rest.strip_prefix("# {").ok_or(Bad)?;
        if !self.openmetrics {
            return Err(Mistaken);
        }
        let (_, _, rest) = self.labels(exemplar)?;
        let words: Vec<&str> = rest.strip_prefix(' ').ok_or(Bad)?.split(' ').collect();
        let is_right = match words[..] {
            [value] => value.parse::<f64>().is_ok(),
            [value, timestamp] => value.parse::<f64>().is_ok() && seconds(timestamp).is_some(),
            _ => false,
        };
        if is_right && has_exemplar { Ok(timestamp) } else { Err(Bad) }
    }

    /// Reads labels after an opening brace. Returns the name, the labels, and the text after the closing brace.
    fn labels<'l>(&self, text: &'l str) -> Outcome<(Option<String>, Labels, &'l str)> {
        let (mut name, mut labels, mut rest) = (None, Vec::new(), self.blanks(text));
        while !rest.starts_with('}') || (self.openmetrics && (name.is_some() || !labels.is_empty())) {
            let is_quoted = rest.starts_with('"');
            let (label, after) =
                if is_quoted { quoted(rest)? } else { (bare(rest, false).0.to_owned(), bare(rest, false).1) };
            if label.is_empty() {
                return Err(Bad);
            }
            rest = self.blanks(after);
            match rest.strip_prefix('=') {
                Some(after) => {
                    let (value, after) = quoted(self.blanks(after))?;
                    labels.push((label, value));
                    rest = self.blanks(after);
                }
                None if is_quoted && name.is_none() => name = Some(label),
                None => return Err(Bad),
            }
            if rest.starts_with('}') {
                break;
            }
            rest = self.blanks(rest.strip_prefix(',').ok_or(Bad)?);
        }
        Ok((name, labels, &rest[1..]))
    }

    fn finish(self) -> Read {
        let (mut lines, mut skipped) = (Vec::new(), self.skipped);
        let is_sampled = |name: &str| {
            self.families.iter().any(|family| {
                family.name == name && !(family.values.is_empty() && family.distributions.is_empty())
            })
        };
        for family in &self.families {
            let mut kind = family.kind.unwrap_or("untyped");
            let suffix = match kind {
                "counter" if self.openmetrics => "_total",
                "info" => "_info",
                _ => "",
            };
            let name = format!("{}{suffix}", family.name);
            if !suffix.is_empty() && !family.values.is_empty() && is_sampled(&name) {
                skipped += 1;
                continue;
            }
            let of_quantiles = |one: &Distribution| one.sum.is_none() && one.count.is_none();
            if kind == "info" || kind == "summary" && family.distributions.values().all(of_quantiles) {
                kind = "gauge";
            }
            let help = family.help.as_deref().unwrap_or_default();
            lines.extend(family.values.iter().map(|value| format!("{name:?} {help:?} {kind} {value}")));
            for (labels, one) in &family.distributions {
                if kind == "gauge" {
                    for (bound, value) in &one.bounds {
                        let mut labels = labels.clone();
                        labels.push(("quantile".to_owned(), format!("{bound:?}")));
                        labels.sort();
                        let value = value_line(&labels, *value, one.timestamp);
                        lines.push(format!("{name:?} {help:?} {kind} {value}"));
                    }
                    continue;
                }
                let is_infinite = |(bound, _): &&(f64, u64)| kind == "histogram" && *bound == f64::INFINITY;
                let all = one.bounds.iter().find(is_infinite).map(|(_, count)| *count);
                let Some(count) = one.count.or(all) else {
                    skipped += 1;
                    continue;
                };
                let mut bounds = one.bounds.clone();
                bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
                bounds.dedup_by(|later, first| later.0 == first.0);
                skipped += (one.bounds.len() - bounds.len()) as u64;
                bounds.retain(|bound| !is_infinite(&bound) || all != Some(count));
                let sum = one.sum.unwrap_or(f64::NAN);
                let distribution = distribution_line(labels, &bounds, sum, count, one.timestamp);
                lines.push(format!("{name:?} {help:?} {kind} {distribution}"));
            }
        }
        lines.sort();
        (lines, skipped)
    }
}

/// Returns the line of a metric with one value.
pub(crate) fn value_line(labels: &Labels, bits: u64, timestamp: i64) -> String {
    format!("{labels:?} {bits:x} {timestamp}")
}

/// Returns the line of a histogram or a summary. The bounds have counts or the bits of values.
pub(crate) fn distribution_line(
    labels: &Labels,
    bounds: &[(f64, u64)],
    sum: f64,
    count: u64,
    timestamp: i64,
) -> String {
    format!("{labels:?} {bounds:x?} {:x} {count} {timestamp}", sum.to_bits())
}
