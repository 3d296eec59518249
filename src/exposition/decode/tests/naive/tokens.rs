//! The tokens of a line. The naive reader uses them.

use Refused::Bad;

/// Reason why a line is not read.
pub(super) enum Refused {
    Bad,
    /// The text is OpenMetrics.
    Mistaken,
}

pub(super) fn metadata_name(text: &str) -> Result<(String, &str), Refused> {
    let (name, rest) = if text.starts_with('"') {
        quoted(text)?
    } else {
        (bare(text, true).0.to_owned(), bare(text, true).1)
    };
    if name.is_empty() { Err(Bad) } else { Ok((name, rest)) }
}

/// Splits off the longest `[a-zA-Z_][a-zA-Z0-9_]*`, with colons in the names of metrics.
pub(super) fn bare(text: &str, colons: bool) -> (&str, &str) {
    let is_in = |at: usize, character: char| {
        character.is_ascii_alphabetic()
            || character == '_'
            || (colons && character == ':')
            || (at > 0 && character.is_ascii_digit())
    };
    let end = text.char_indices().find(|(at, character)| !is_in(*at, *character));
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

pub(super) fn quoted(text: &str) -> Result<(String, &str), Refused> {
    let inner = text.strip_prefix('"').ok_or(Bad)?;
    let mut is_escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Ok((unescaped(&inner[..at], true), &inner[at + 1..])),
            _ => {}
        }
    }
    Err(Bad)
}

pub(super) fn unescaped(text: &str, quotes: bool) -> String {
    let (mut plain, mut characters) = (String::new(), text.chars().peekable());
    while let Some(character) = characters.next() {
        let next = (character == '\\').then(|| characters.peek().copied()).flatten();
        match next {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') if quotes => plain.push('"'),
            _ => {
                plain.push(character);
                continue;
            }
        }
        characters.next();
    }
    plain
}

/// Reads a timestamp of OpenMetrics. Returns milliseconds, rounded down.
pub(super) fn seconds(token: &str) -> Option<i64> {
    let magnitude = token.strip_prefix(['+', '-']).unwrap_or(token);
    let is_plain = magnitude.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = token.parse().ok()?;
    let milliseconds = if is_plain {
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let kept: String = fraction.chars().chain("000".chars()).take(3).collect();
        let all: i128 = format!("0{whole}{kept}").parse().ok()?;
        let is_more = fraction.bytes().skip(3).any(|digit| digit != b'0');
        if token.starts_with('-') { -all - i128::from(is_more) } else { all }
    } else {
        let milliseconds = (value * 1000.0).floor();
        if !milliseconds.is_finite() {
            return None;
        }
        milliseconds as i128
    };
    milliseconds.try_into().ok()
}
