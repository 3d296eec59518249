//! Splits lines into names, quoted texts and words. Only [`Cursor::end_line`] and [`Cursor::skip_line`] leave a line.

use std::borrow::Cow;

use super::fault::Fault;
use super::number;
use crate::exposition::suspects::{TOP_BITS, suspects};

/// A position in a text.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Cursor<'t> {
    /// Returns the rest of the text.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'t [u8] {
        // The position is never beyond the end.
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Returns the text from `start` to the position. Both ends are next to ASCII, so no character is split.
    #[inline(always)]
    pub(super) fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Returns the next byte of the line.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied().filter(|byte| *byte != b'\n')
    }

    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let takes = self.rest().first() == Some(&byte);
        self.at += usize::from(takes);
        takes
    }

    /// Takes this text, which has no line feed. Returns whether it was there.
    #[inline(always)]
    pub(super) fn take_text(&mut self, text: &str) -> bool {
        let takes = self.rest().starts_with(text.as_bytes());
        if takes {
            self.at += text.len();
        }
        takes
    }

    /// Takes blanks and tabs. Returns whether there are any.
    ///
    /// The text format: "tokens can be separated by any number of blanks and/or tabs".
    pub(super) fn blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > start
    }

    /// Takes an unquoted name, `[a-zA-Z_:][a-zA-Z0-9_:]*`. It is empty if there is none.
    pub(super) fn name(&mut self, colons: bool) -> &'t str {
        let start = self.at;
        let is_in = |(at, byte): (usize, &u8)| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            b'0'..=b'9' => at > 0,
            b':' => colons,
            _ => false,
        };
        self.at += self.rest().iter().enumerate().take_while(|byte| is_in(*byte)).count();
        self.since(start)
    }

    /// Takes the text up to a quotation mark, and the mark.
    pub(super) fn quoted(&mut self) -> Result<Cow<'t, str>, Fault> {
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at += plain_length(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 1;
                    // The escaped character may be a quotation mark. The first byte of a longer one is enough.
                    self.at += usize::from(self.peek().is_some());
                }
                Some(_) => self.at += 1,
                None => return Err(Fault::Quote),
            }
        }
        let quoted = self.since(start);
        self.at += 1;
        Ok(if has_escapes { unescaped(quoted, true) } else { Cow::Borrowed(quoted) })
    }

    /// Takes the text up to a quotation mark, if it has no escapes.
    #[inline(always)]
    pub(super) fn plain(&mut self) -> Option<&'t str> {
        let start = self.at;
        loop {
            self.at += plain_length(self.rest());
            match self.peek()? {
                b'"' => return Some(self.since(start)),
                b'\\' => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Takes the text up to a blank, a tab or the end of the line.
    pub(super) fn word(&mut self) -> &'t str {
        let start = self.at;
        let is_in = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\n');
        self.at += self.rest().iter().take_while(is_in).count();
        self.since(start)
    }

    /// Takes the rest of the line.
    pub(super) fn remainder(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let line = rest.find('\n').and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.at += line.len();
        line
    }

    pub(super) fn value(&mut self) -> Result<f64, Fault> {
        if let Some((value, len)) = number::plain(self.rest()) {
            self.at += len;
            return Ok(value);
        }
        number::value(self.word()).ok_or(Fault::Value)
    }

    pub(super) fn count(&mut self) -> Result<u64, Fault> {
        if let Some((count, len)) = number::plain_count(self.rest()) {
            self.at += len;
            return Ok(count);
        }
        number::count(self.word()).ok_or(Fault::Count)
    }

    /// Moves to the next line if this one is at its end. Returns whether it is.
    #[inline(always)]
    pub(super) fn end_line(&mut self) -> bool {
        match self.rest().first() {
            Some(b'\n') => self.at += 1,
            Some(_) => return false,
            None => {}
        }
        true
    }

    /// Moves to the next line from any position.
    pub(super) fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    }
}

/// Returns the number of bytes before the first quotation mark, backslash or control character.
///
/// The lowest top bit of the suspects is exact.
#[inline(always)]
fn plain_length(text: &[u8]) -> usize {
    let mut len = 0;
    while let Some(word) = text.get(len..).and_then(<[u8]>::first_chunk::<8>) {
        let found = suspects(u64::from_le_bytes(*word)) & TOP_BITS;
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let tail = text.get(len..).unwrap_or_default();
    len + tail.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')).count()
}

/// Resolves the escapes of a text. Other backslashes stay unchanged, as in Prometheus and in the Python client.
pub(super) fn unescaped(text: &str, quotes: bool) -> Cow<'_, str> {
    let Some((plain, mut rest)) = text.split_once('\\') else { return Cow::Borrowed(text) };
    let mut unescaped = String::with_capacity(text.len());
    unescaped.push_str(plain);
    loop {
        let mut characters = rest.chars();
        match characters.next() {
            Some('\\') => unescaped.push('\\'),
            Some('n') => unescaped.push('\n'),
            Some('"') if quotes => unescaped.push('"'),
            _ => {
                unescaped.push('\\');
                characters = rest.chars();
            }
        }
        let Some((plain, next)) = characters.as_str().split_once('\\') else {
            unescaped.push_str(characters.as_str());
            return Cow::Owned(unescaped);
        };
        unescaped.push_str(plain);
        rest = next;
    }
}
