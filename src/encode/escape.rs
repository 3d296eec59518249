//! Escapes inside help texts and label values.
//!
//! The text format 0.0.4: in a label value "the backslash, double-quote, and line feed characters have to be
//! escaped as `\\`, `\"`, and `\n`", in help "the line feed and backslash". Everything else, NUL and carriage
//! return included, stands for itself.

/// Writes a label value, without its quotes.
pub(super) fn label_value(out: &mut Vec<u8>, value: &str) {
    escaped(out, value.as_bytes(), |rest| memchr::memchr3(b'\\', b'"', b'\n', rest));
}

/// Writes a help text.
pub(super) fn help(out: &mut Vec<u8>, help: &str) {
    escaped(out, help.as_bytes(), |rest| memchr::memchr2(b'\\', b'\n', rest));
}

/// The source is searched, never what was just written: reading fresh bytes back stalls on the stores.
fn escaped(out: &mut Vec<u8>, mut rest: &[u8], find: impl Fn(&[u8]) -> Option<usize>) {
    while let Some(at) = find(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
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
            ("\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀", "\0\r\t\u{7f}é😀"),
        ] {
            let (mut value_out, mut help_out) = (Vec::new(), Vec::new());
            label_value(&mut value_out, text);
            help(&mut help_out, text);
            assert_eq!(value_out, value.as_bytes(), "label value {text:?}");
            assert_eq!(help_out, help_text.as_bytes(), "help {text:?}");
        }
    }
}
