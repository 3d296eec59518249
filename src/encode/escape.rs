//! Escapes inside help texts and label values.
//!
//! The text format 0.0.4: in a label value "the backslash, double-quote, and line feed characters have to be
//! escaped as `\\`, `\"`, and `\n`", in help "the line feed and backslash". Everything else, NUL and carriage
//! return included, stands for itself.

/// Writes what stands in quotes, without them: a label value or a quoted name. In OpenMetrics also a help text.
pub(super) fn quoted(out: &mut Vec<u8>, value: &str) {
    escaped(out, value.as_bytes(), b"\\\"\n");
}

/// Writes a help text of the text format.
pub(super) fn help(out: &mut Vec<u8>, help: &str) {
    escaped(out, help.as_bytes(), b"\\\n");
}

/// The source is searched, never what was just written: reading fresh bytes back stalls on the stores.
#[inline]
fn escaped<const N: usize>(out: &mut Vec<u8>, text: &[u8], special: &[u8; N]) {
    if has_any(text, special) {
        with_specials(out, text, special);
    } else {
        out.extend_from_slice(text);
    }
}

/// Label values are short and clean, so this has no way out before the end and takes eight bytes at once;
/// a call to `memchr` costs more than the search.
#[inline]
fn has_any<const N: usize>(text: &[u8], special: &[u8; N]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().any(|byte| special.contains(byte));
    };
    // The last word overlaps the one before it, which leaves no odd bytes.
    let (mut hits, mut rest) = (word_hits(last, special), text);
    while let Some((word, after)) = rest.split_first_chunk() {
        hits |= word_hits(word, special);
        rest = after;
    }
    hits != 0
}

/// Zero if none of the bytes is special. ("Determine if a word has a byte equal to n", Bit Twiddling Hacks)
#[inline]
fn word_hits<const N: usize>(word: &[u8; 8], special: &[u8; N]) -> u64 {
    const LOW_BITS: u64 = u64::MAX / 255;
    special.iter().fold(0, |hits, &byte| {
        let zero_where_equal = u64::from_ne_bytes(*word) ^ (LOW_BITS * u64::from(byte));
        hits | (zero_where_equal.wrapping_sub(LOW_BITS) & !zero_where_equal & (LOW_BITS << 7))
    })
}

#[cold]
fn with_specials(out: &mut Vec<u8>, text: &[u8], special: &[u8]) {
    for run in text.split_inclusive(|byte| special.contains(byte)) {
        match run.split_last() {
            Some((b'\n', clean)) => {
                out.extend_from_slice(clean);
                out.extend_from_slice(b"\\n");
            }
            Some((last, clean)) if special.contains(last) => {
                out.extend_from_slice(clean);
                out.extend_from_slice(&[b'\\', *last]);
            }
            _ => out.extend_from_slice(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_format_names_is_escaped() {
        for (text, value, help_text) in [
            ("", "", ""),
            ("plain", "plain", "plain"),
            ("\\", r"\\", r"\\"),
            ("\"", r#"\""#, "\""),
            ("\n", r"\n", r"\n"),
            ("\\n", r"\\n", r"\\n"),
            ("a\"b\\c\nd", r#"a\"b\\c\nd"#, r#"a"b\\c\nd"#),
            // A special byte at each place of the words that are searched at once.
            ("\n2345678", r"\n2345678", r"\n2345678"),
            ("1234567\n", r"1234567\n", r"1234567\n"),
            ("12345678\n", r"12345678\n", r"12345678\n"),
            ("1234567890123456\n8", r"1234567890123456\n8", r"1234567890123456\n8"),
            ("\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀"),
        ] {
            let (mut value_out, mut help_out) = (Vec::new(), Vec::new());
            quoted(&mut value_out, text);
            help(&mut help_out, text);
            assert_eq!(value_out, value.as_bytes(), "label value {text:?}");
            assert_eq!(help_out, help_text.as_bytes(), "help {text:?}");
        }
    }
}
