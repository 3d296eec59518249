//! The text form (<https://protobuf.dev/reference/protobuf/textformat-spec/>), a field a line, as
//! `protoc --decode` prints it. For people.

use std::io::Write;

use super::super::line::Line;
use super::schema::{Field, Fields, Message};

/// Writes fields, each on a line of its own. What is written to a line is taken, so nothing fails.
pub(super) struct Readable<'o, 'r> {
    out: &'o mut Line<'r>,
    depth: usize,
}

impl<'o, 'r> Readable<'o, 'r> {
    pub(super) fn new(out: &'o mut Line<'r>) -> Self {
        Self { out, depth: 0 }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = 2 * self.depth);
    }
}

impl Fields for Readable<'_, '_> {
    fn string(&mut self, Field(_, name): Field, value: &str) {
        let mut escaped = String::with_capacity(value.len());
        for character in value.chars() {
            match character {
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                '"' => escaped.push_str("\\\""),
                '\\' => escaped.push_str("\\\\"),
                // Three digits always, for the next character may be one.
                '\0'..' ' | '\x7f' => escaped.push_str(&format!("\\{:03o}", u32::from(character))),
                _ => escaped.push(character),
            }
        }
        self.line(format_args!("{name}: \"{escaped}\""));
    }

    fn double(&mut self, Field(_, name): Field, value: f64) {
        if value.is_nan() {
            self.line(format_args!("{name}: nan"));
        } else {
            // The infinities are `inf` and `-inf` here as there.
            self.line(format_args!("{name}: {value}"));
        }
    }

    fn uint64(&mut self, Field(_, name): Field, value: u64) {
        self.line(format_args!("{name}: {value}"));
    }

    fn int64(&mut self, Field(_, name): Field, value: i64) {
        self.line(format_args!("{name}: {value}"));
    }

    fn constant(&mut self, Field(_, name): Field, _: u64, constant: &str) {
        self.line(format_args!("{name}: {constant}"));
    }

    fn message(&mut self, Field(_, name): Field, message: &impl Message) {
        self.line(format_args!("{name} {{"));
        self.depth += 1;
        message.write(self);
        self.depth -= 1;
        self.line(format_args!("}}"));
    }
}
