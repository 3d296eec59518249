//! Maps with known keys, and their typed values.
//!
//! A value that is null or missing keeps its default, as with Go's YAML. Any scalar may be read as text, so that
//! `X-XSS-Protection: 1` is text.

use std::rc::Rc;

use super::problem::{Problem, shown};
use super::yaml::{Entry, Node, NodeKind};

/// A map with known keys.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// The path from the root. Empty for the root.
    path: &'static str,
    entries: &'a [Entry],
}

/// A value that is present.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    section: &'static str,
    key: &'a str,
    pub(super) line: usize,
    node: &'a Node,
}

impl<'a> Section<'a> {
    /// Creates the root section. No document is an empty section.
    pub(super) fn root(node: Option<&'a Rc<Node>>, known: &[&str]) -> Result<Section<'a>, Problem> {
        let Some(node) = node else { return Ok(Section { path: "", entries: &[] }) };
        let field = Field { section: "", key: "", line: node.line, node };
        Section { path: "", entries: field.entries()? }.of(known, &|| unknown(known))
    }

    /// Creates the section at `field`. Empty if there is no such field.
    pub(super) fn new(
        path: &'static str,
        field: Option<Field<'a>>,
        known: &[&str],
    ) -> Result<Section<'a>, Problem> {
        Section::free(path, field)?.of(known, &|| unknown(known))
    }

    /// Creates a section like [`Section::new`], with any keys.
    pub(super) fn free(path: &'static str, field: Option<Field<'a>>) -> Result<Section<'a>, Problem> {
        Ok(Section { path, entries: field.map_or(Ok(&[][..]), |field| field.entries())? })
    }

    pub(super) fn of(self, known: &[&str], what: &dyn Fn() -> String) -> Result<Section<'a>, Problem> {
        match self.entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            Some(entry) => Err(Problem::within(entry.line, self.path, &entry.key, what())),
            None => Ok(self),
        }
    }

    /// Returns the value of `key`, unless it is missing or null.
    pub(super) fn get(&self, key: &str) -> Option<Field<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.field(entry)).filter(|field| !field.is_null())
    }

    /// Returns the value of `key` and its text. Empty text counts as missing, as upstream.
    pub(super) fn filled(&self, key: &str) -> Result<Option<(Field<'a>, &'a str)>, Problem> {
        let Some(field) = self.get(key) else { return Ok(None) };
        field.text().map(|text| Some((field, text)).filter(|_| !text.is_empty()))
    }

    /// Returns all values, including null.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), self.field(entry)))
    }

    fn field(&self, entry: &'a Entry) -> Field<'a> {
        Field { section: self.path, key: &entry.key, line: entry.line, node: &entry.value }
    }
}

impl<'a> Field<'a> {
    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::within(self.line, self.section, self.key, what)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.node.kind, NodeKind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns the entries of a map. Null is an empty map. The root has no key.
    fn entries(self) -> Result<&'a [Entry], Problem> {
        let what = "not a section (expected keys with values)";
        match &self.node.kind {
            NodeKind::Map(entries) => Ok(entries),
            _ if self.is_null() => Ok(&[]),
            _ if self.key.is_empty() => Err(Problem::new(self.line, what)),
            NodeKind::Scalar { .. } | NodeKind::List(_) => Err(self.problem(what)),
        }
    }

    /// Returns any scalar as text. Null is empty.
    pub(super) fn text(&self) -> Result<&'a str, Problem> {
        match &self.node.kind {
            _ if self.is_null() => Ok(""),
            NodeKind::Scalar { text, plain: _ } => Ok(text),
            NodeKind::List(_) => Err(self.problem("a list (expected text)")),
            NodeKind::Map(_) => Err(self.problem("keys and values (expected text)")),
        }
    }

    /// Returns the value that has the text as its name in the table.
    pub(super) fn named<T: Copy>(&self, what: &str, table: &[(&'static str, T)]) -> Result<T, Problem> {
        let text = self.text()?;
        let found = table.iter().find(|(name, _)| *name == text);
        let unknown = || self.problem(none_of(what, text, table.iter().map(|(name, _)| *name)));
        found.map(|(_, value)| *value).ok_or_else(unknown)
    }

    /// Parses all booleans of YAML 1.1, as upstream's parser does.
    pub(super) fn boolean(&self) -> Result<bool, Problem> {
        if let NodeKind::Scalar { text, plain: true } = &self.node.kind {
            match text.as_str() {
                "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                    return Ok(true);
                }
                "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                    return Ok(false);
                }
                _ => {}
            }
        }
        Err(self.problem("neither true nor false"))
    }

    /// Parses a decimal number. Upstream's parser reads one with a leading zero as octal, so as another number.
    pub(super) fn number(&self) -> Result<u32, Problem> {
        match &self.node.kind {
            NodeKind::Scalar { text, plain: true } => {
                text.parse().ok().filter(|number: &u32| number.to_string() == text.trim_start_matches('+'))
            }
            _ => None,
        }
        .ok_or_else(|| {
            self.problem("not a whole number from 0 to 4294967295, without quotes or leading zeros")
        })
    }

    /// Returns the texts of a list with their lines.
    pub(super) fn list(&self) -> Result<Vec<Field<'a>>, Problem> {
        let NodeKind::List(nodes) = &self.node.kind else {
            return Err(self.problem("not a list"));
        };
        let fields: Vec<Field<'a>> =
            nodes.iter().map(|node| Field { line: node.line, node, ..*self }).collect();
        for field in &fields {
            field.text()?;
            if field.is_null() {
                return Err(field.problem("an empty list item"));
            }
        }
        Ok(fields)
    }
}

fn unknown(known: &[&str]) -> String {
    format!("unknown key; expected one of {}", known.join(", "))
}

/// Returns the error of a value that is not one of these names.
pub(super) fn none_of(what: &str, text: &str, names: impl Iterator<Item = &'static str>) -> String {
    format!("unknown {what}: {}; expected one of {}", shown(text), names.collect::<Vec<_>>().join(", "))
}
