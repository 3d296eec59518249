//! Escapes help texts and label values.
//!
//! The text format 0.0.4: in a label value "the backslash, double-quote, and line feed characters have to be
//! escaped as `\\`, `\"`, and `\n`", in help "the line feed and backslash". All other characters are written
//! unchanged, NUL and carriage return included.

use super::line::Line;
use crate::exposition::suspects::{TOP_BITS, suspects};

/// Writes a label value or a quoted name without its quotes. In OpenMetrics it writes help texts, too.
///
/// Most label values are short and need no escapes. The search loads many bytes at once and some of them twice, because
/// a call to `memchr` takes longer than this search. It reads the source: reading written bytes back stalls on
/// the stores.
#[inline(always)]
pub(super) fn quoted(out: &mut Line<'_>, value: &str) {
    let text = value.as_bytes();
    let clean = match text.len() {
        0 => true,
        1 => put_clean::<1>(out, text),
        2..4 => put_clean::<2>(out, text),
        4..8 => put_clean::<4>(out, text),
        8..16 => put_clean::<8>(out, text),
        16..=32 => put_clean::<16>(out, text),
        33..=64 => put_clean::<32>(out, text),
        _ => put_long(out, text, b"\\\"\n"),
    };
    if !clean {
        out.lend(|out| with_escapes(out, text, b"\\\"\n"));
    }
}

/// Writes a text of `N` to `2 * N` bytes, unless it may need escapes. Returns whether it was written.
#[inline(always)]
fn put_clean<const N: usize>(out: &mut Line<'_>, text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else { return false };
    let clean = (suspects_in(first) | suspects_in(last)) & TOP_BITS == 0;
    if clean {
        out.put_ends::<N>(text);
    }
    clean
}

/// Writes a text of any length, unless it needs escapes. Returns whether it was written.
///
/// From 64 bytes on, the search of the standard library is faster, including its call.
#[inline(always)]
fn put_long(out: &mut Line<'_>, text: &[u8], special: &[u8]) -> bool {
    let clean = !special.iter().any(|special| text.contains(special));
    if clean {
        out.put(text);
    }
    clean
}

#[inline(always)]
fn suspects_in<const N: usize>(text: &[u8; N]) -> u64 {
    text.chunks(8).fold(0, |found, chunk| {
        let mut word = [b'_'; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        found | suspects(u64::from_ne_bytes(word))
    })
}

/// Writes a help text of the text format.
pub(super) fn help(out: &mut Line<'_>, help: &str) {
    let text = help.as_bytes();
    if !put_long(out, text, b"\\\n") {
        with_escapes(out, text, b"\\\n");
    }
}

#[cold]
fn with_escapes(out: &mut Line<'_>, text: &[u8], special: &[u8]) {
    for run in text.split_inclusive(|byte| special.contains(byte)) {
        match run.split_last() {
            Some((b'\n', clean)) => {
                out.put(clean);
                out.put(b"\\n");
            }
            Some((last, clean)) if special.contains(last) => {
                out.put(clean);
                out.put(&[b'\\', *last]);
            }
            _ => out.put(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::line, *};

    #[test]
    fn escapes_only_what_the_format_requires() {
        for (text, value, help_text) in [
            ("", "", ""),
            ("plain", "plain", "plain"),
            ("\\", r"\\", r"\\"),
            ("\"", r#"\""#, "\""),
            ("\n", r"\n", r"\n"),
            ("\\n", r"\\n", r"\\n"),
            ("a\"b\\c\nd", r#"a\"b\\c\nd"#, r#"a"b\\c\nd"#),
            ("\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀"),
        ] {
            let (mut value_out, mut help_out) = (Vec::new(), Vec::new());
            line::into(&mut value_out, |line| quoted(line, text));
            line::into(&mut help_out, |line| help(line, text));
            assert_eq!(value_out, value.as_bytes(), "label value {text:?}");
            assert_eq!(help_out, help_text.as_bytes(), "help {text:?}");
        }
    }

    #[test]
    fn escapes_a_special_byte_at_each_offset_of_each_length() {
        let plain =
            |len: usize| -> String { (0..len).map(|at| ["a", "!", " ", "#", "]", "["][at % 6]).collect() };
        let quoted = |text: &str| {
            let mut out = Vec::new();
            line::into(&mut out, |line| super::quoted(line, text));
            String::from_utf8(out).unwrap()
        };
        for len in 0..140 {
            assert_eq!(quoted(&plain(len)), plain(len));
            for (at, (special, escaped)) in
                (0..len).flat_map(|at| [("\"", "\\\""), ("\\", r"\\"), ("\n", r"\n")].map(|row| (at, row)))
            {
                let (before, after) = (plain(at), plain(len - at - 1));
                let text = format!("{before}{special}{after}");
                assert_eq!(quoted(&text), format!("{before}{escaped}{after}"), "{text:?}");
            }
        }
    }
}
