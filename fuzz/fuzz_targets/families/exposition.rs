//! Checks a text exposition line by line, by the specifications, not by the encoder.

use std::collections::HashSet;

use prometheus_hyper::internals::{EscapedFormat, Escaping, OPENMETRICS_001, OPENMETRICS_100, TEXT_100};

type Complaint = String;

/// The family of a line.
#[derive(Default)]
struct Current {
    name: String,
    kind: Option<String>,
    helped: bool,
    sampled: bool,
}

pub(crate) fn check(format: EscapedFormat, body: &[u8]) -> Result<(), Complaint> {
    let body = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let openmetrics = [&OPENMETRICS_100, &OPENMETRICS_001].contains(&format.format());
    let quotes =
        format.escaping() == Escaping::AllowUtf8 && [&OPENMETRICS_100, &TEXT_100].contains(&format.format());
    let body = match openmetrics {
        true => body.strip_suffix("# EOF\n").ok_or("OpenMetrics ends with # EOF")?,
        false => body,
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no line feed".to_owned());
    }

    let mut seen = HashSet::new();
    let mut current = Current::default();
    for line in body.split_terminator('\n') {
        let at = |complaint: Complaint| format!("{complaint}: {line:?}");
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').ok_or_else(|| at("unknown comment".into()))?;
            let (name, rest) = family_name(rest, quotes).map_err(at)?;
            if name != current.name || current.sampled {
                if !seen.insert(name.clone()) {
                    return Err(at("a second HELP or TYPE block of a name".into()));
                }
                current = Current { name, ..Current::default() };
            }
            let rest = rest.strip_prefix(' ').ok_or_else(|| at("no space after the name".into()))?;
            match word {
                "HELP" if !current.helped => {
                    escapes(rest, openmetrics).map_err(at)?;
                    current.helped = true;
                }
                "TYPE" if current.kind.is_none() => {
                    let untyped = if openmetrics { "unknown" } else { "untyped" };
                    if !["counter", "gauge", "histogram", "summary", untyped].contains(&rest) {
                        return Err(at("not a type".into()));
                    }
                    current.kind = Some(rest.to_owned());
                }
                _ => return Err(at("a duplicate or unknown comment".into())),
            }
        } else {
            let sample = Sample::read(line, quotes).map_err(at)?;
            let kind = current.kind.as_deref().ok_or_else(|| at("no TYPE before the sample".into()))?;
            sample.belongs(&current.name, kind, openmetrics).map_err(at)?;
            current.sampled = true;
            if let Some(timestamp) = sample.timestamp {
                let legal = match openmetrics {
                    true => timestamp.parse::<f64>().is_ok_and(f64::is_finite),
                    false => timestamp.parse::<i64>().is_ok(),
                };
                if !legal {
                    return Err(at("no timestamp".into()));
                }
            }
        }
    }
    Ok(())
}

struct Sample<'l> {
    name: String,
    labels: Vec<(String, &'l str)>,
    timestamp: Option<&'l str>,
}

impl<'l> Sample<'l> {
    fn read(line: &'l str, quotes: bool) -> Result<Self, Complaint> {
        let (mut name, mut rest) = bare(line, true);
        let mut labels = Vec::new();
        if let Some(mut inner) = rest.strip_prefix('{') {
            let mut first = true;
            loop {
                if let Some(after) = inner.strip_prefix('}') {
                    if first {
                        return Err("empty braces".into());
                    }
                    rest = after;
                    break;
                }
                if !first {
                    inner = inner.strip_prefix(',').ok_or("no comma between labels")?;
                }
                if inner.starts_with('"') {
                    let (quoted, after) = quoted(inner)?;
                    let quoted = unescape(quoted);
                    if !quotes {
                        return Err("a quoted name without an escaping that allows it".into());
                    }
                    if quoted.is_empty() {
                        return Err("a name without a letter".into());
                    }
                    if let Some(after) = after.strip_prefix('=') {
                        inner = after;
                        labels.push((quoted, ""));
                    } else {
                        if !first || !name.is_empty() {
                            return Err("a second name".into());
                        }
                        if is_bare(&quoted) {
                            return Err("quotes where none are needed".into());
                        }
                        (name, inner, first) = (quoted, after, false);
                        continue;
                    }
                } else {
                    let (label, after) = bare(inner, false);
                    inner = after.strip_prefix('=').ok_or("no = after a label name")?;
                    if label.is_empty() {
                        return Err("a label without a name".into());
                    }
                    labels.push((label, ""));
                }
                let (value, after) = self::quoted(inner)?;
                if let Some(label) = labels.last_mut() {
                    label.1 = value;
                }
                (inner, first) = (after, false);
            }
        }
        if name.is_empty() {
            return Err("a sample without a name".into());
        }
        let names: HashSet<_> = labels.iter().map(|(name, _)| name).collect();
        if names.len() < labels.len() {
            return Err("a duplicate label name".into());
        }
        if names.contains(&"__name__".to_owned()) {
            return Err("a label named __name__".into());
        }
        let mut words = rest.strip_prefix(' ').ok_or("no space before the value")?.split(' ');
        number(words.next().ok_or("no value")?)?;
        let timestamp = words.next();
        if words.next().is_some() {
            return Err("more than a value and a timestamp".into());
        }
        Ok(Sample { name, labels, timestamp })
    }

    /// Returns whether a family of this type may have this sample.
    fn belongs(&self, family: &str, kind: &str, openmetrics: bool) -> Result<(), Complaint> {
        let suffix = self.name.strip_prefix(family).ok_or("a sample of another family")?;
        let bound = match kind {
            "histogram" => Some("le"),
            "summary" => Some("quantile"),
            _ => None,
        };
        let bounds: Vec<_> = self.labels.iter().filter(|(name, _)| Some(name.as_str()) == bound).collect();
        let bounded = match (kind, suffix) {
            ("counter", "_total") if openmetrics => false,
            ("counter", "") if !openmetrics => false,
            ("gauge" | "unknown" | "untyped", "") => false,
            ("histogram", "_bucket") | ("summary", "") => true,
            ("histogram" | "summary", "_sum" | "_count") => false,
            _ => return Err(format!("a {kind} has no such sample")),
        };
        if bounded != (bounds.len() == 1) {
            return Err(format!("{} bounds", bounds.len()));
        }
        for (_, value) in bounds {
            number(value)?;
            if openmetrics && !value.contains(['.', 'e', 'N', 'I']) {
                return Err("a bound that is not canonical".into());
            }
        }
        Ok(())
    }
}

/// Parses the name of a family in a comment.
fn family_name(text: &str, quotes: bool) -> Result<(String, &str), Complaint> {
    let (name, rest) = bare(text, true);
    if !name.is_empty() {
        return Ok((name, rest));
    }
    let (name, rest) = quoted(text)?;
    let name = unescape(name);
    if !quotes || is_bare(&name) || name.is_empty() {
        return Err("quotes that are not needed, or not allowed".into());
    }
    Ok((name, rest))
}

/// Parses the longest `[a-zA-Z_][a-zA-Z0-9_]*`, with colons in the names of metrics.
fn bare(text: &str, colons: bool) -> (String, &str) {
    let end = text
        .bytes()
        .enumerate()
        .position(|(at, byte)| {
            let fits = byte.is_ascii_alphabetic()
                || byte == b'_'
                || (colons && byte == b':')
                || (at > 0 && byte.is_ascii_digit());
            !fits
        })
        .unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

fn is_bare(name: &str) -> bool {
    bare(name, true).1.is_empty()
}

/// Returns the text between quotes, still escaped, and the rest.
fn quoted(text: &str) -> Result<(&str, &str), Complaint> {
    let inner = text.strip_prefix('"').ok_or("no quote")?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                escapes(&inner[..at], true)?;
                return Ok((&inner[..at], &inner[at + 1..]));
            }
            _ => {}
        }
    }
    Err("a quote without an end".into())
}

/// Checks that every backslash begins a known escape, and that each character that needs an escape has one.
fn escapes(text: &str, quotes: bool) -> Result<(), Complaint> {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if quotes => return Err("a bare quote".into()),
            '\\' => match characters.next() {
                Some('\\' | 'n') => {}
                Some('"') if quotes => {}
                escaped => return Err(format!("{escaped:?} is not an escape")),
            },
            _ => {}
        }
    }
    Ok(())
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.clone().next() == Some('n') => {
                characters.next();
                plain.push('\n');
            }
            '\\' => plain.extend(characters.next()),
            character => plain.push(character),
        }
    }
    plain
}

/// Accepts numbers that all parsers accept. Go's, Python's and Rust's differ in the others.
fn number(text: &str) -> Result<(), Complaint> {
    let spelled = ["NaN", "+Inf", "-Inf"].contains(&text);
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte));
    if spelled || digits && text.parse::<f64>().is_ok() {
        Ok(())
    } else {
        Err(format!("{text:?} is not a number"))
    }
}
