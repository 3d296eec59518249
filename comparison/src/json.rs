//! Writes results and targets as JSON: numbers in seconds, bytes or counts.

use std::fmt::Write;

use crate::machine;
use crate::results::{Results, Value};
use crate::targets::{Limit, Target};

pub(crate) fn json(results: &Results, targets: &[Target]) -> String {
    let results: Vec<String> = results
        .entries
        .iter()
        .map(|entry| {
            let reason =
                if let Value::None(reason) = &entry.value { text(reason) } else { "null".to_owned() };
            object(&[
                ("figure", text(entry.figure)),
                ("case", text(&entry.case)),
                ("row", text(&entry.row)),
                ("quantity", text(entry.quantity)),
                ("unit", text(entry.value.unit())),
                ("value", number(entry.value.number())),
                ("scrapes", entry.scrapes.map_or("null".to_owned(), |scrapes| scrapes.to_string())),
                ("missing", reason),
            ])
        })
        .collect();
    let targets: Vec<String> = targets
        .iter()
        .map(|target| {
            let (side, limit) = match target.limit {
                Limit::AtLeast(limit) => ("at least", limit),
                Limit::AtMost(limit) => ("at most", limit),
            };
            object(&[
                ("figure", text(&target.figure)),
                ("side", text(side)),
                ("limit", number(Some(limit))),
                ("measured", number(target.measured.ok())),
                ("met", target.met().map_or("null".to_owned(), |met| met.to_string())),
            ])
        })
        .collect();
    object(&[
        ("cores", machine::cores().to_string()),
        ("cpu", text(&machine::cpu_model())),
        ("rustc", text(&machine::rustc())),
        ("command", text(&machine::command())),
        ("release", (!cfg!(debug_assertions)).to_string()),
        ("results", format!("[\n{}\n]", results.join(",\n"))),
        ("targets", format!("[\n{}\n]", targets.join(",\n"))),
    ])
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}: {value}", text(name))).collect();
    format!("{{{}}}", members.join(", "))
}

/// JSON has neither infinity nor NaN.
fn number(number: Option<f64>) -> String {
    number.filter(|number| number.is_finite()).map_or("null".to_owned(), |number| number.to_string())
}

/// RFC 8259, section 7.
fn text(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..=' ' if character != ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_strings() {
        for (plain, quoted) in [
            ("a b", r#""a b""#),
            ("a\"b\\", r#""a\"b\\""#),
            ("a\nb\u{1f}", r#""a\u000ab\u001f""#),
            ("µ×", r#""µ×""#),
        ] {
            assert_eq!(text(plain), quoted);
        }
        assert_eq!(number(Some(f64::NAN)), "null");
    }
}
