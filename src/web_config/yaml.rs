//! A YAML parser for configurations, which builds a tree with line numbers.
//!
//! The tree is bounded: the depth is limited to [`MAX_DEPTH`], aliases included. An alias shares its node, so that a
//! tree takes memory proportional to its text. [`crate::util::reload::Files`] limits the length of the text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::problem::Problem;

/// Maximum depth. The file has three levels.
pub(super) const MAX_DEPTH: usize = 16;

/// A value, and the line in which it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: NodeKind,
    /// One more than the height of its tallest child.
    height: usize,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Scalar {
        text: String,
        /// Whether it has no quotes, so that it may be null, a boolean or a number.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key and its value. Keys are unique within a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Rc<Node>,
}

/// Parses the only document in `text`. Returns `None` if there are only comments.
pub(super) fn read(text: &str) -> Result<Option<Rc<Node>>, Problem> {
    // A byte order mark is not part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser accepts them in comments and quotes, where editors do not show them.
    if let Some(at) = text.find(|c| !is_printable(c)) {
        let line = 1 + text[..at].matches('\n').count();
        return Err(Problem::new(line, "a character that YAML does not allow"));
    }
    let mut builder = TreeBuilder::default();
    for event in Parser::new_from_str(text) {
        // The parser's messages quote nothing of the text, except one character in one of them.
        let (event, span) = event.map_err(|error| Problem::new(error.marker().line(), error.info()))?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.root)
}

/// Returns whether YAML 1.2.2, section 5.1, allows the character (`c-printable`). A byte order mark is allowed at the
/// start only.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

#[derive(Debug, Default)]
struct TreeBuilder {
    root: Option<Rc<Node>>,
    /// Lists and maps that are not complete.
    open: Vec<Open>,
    /// Indexed by the parser's number, which counts from 1. `None` while incomplete.
    anchors: Vec<Option<Rc<Node>>>,
}

#[derive(Debug)]
struct Open {
    line: usize,
    anchor: usize,
    height: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, usize)> },
}

impl TreeBuilder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(line, "a second document (expected one)"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string = is_string(tag, line)?;
                let plain = style == ScalarStyle::Plain && !string;
                let kind = NodeKind::Scalar { text: text.into_owned(), plain };
                self.complete(Rc::new(Node { line, kind, height: 1 }), anchor, line)
            }
            Event::SequenceStart(anchor, tag) => self.open(Content::List(Vec::new()), anchor, tag, line),
            Event::MappingStart(anchor, tag) => {
                let map = Content::Map { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.open(map, anchor, tag, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(anchor) {
                Some(Some(node)) => {
                    let node = Rc::clone(node);
                    self.complete(node, 0, line)
                }
                _ => Err(Problem::new(line, "an alias of a node that contains it")),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        line: usize,
    ) -> Result<(), Problem> {
        if tag.is_some() {
            return Err(Problem::new(line, "unsupported tag (expected !!str or none)"));
        }
        if self.open.len() + 1 >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.open.push(Open { line, anchor, height: 1, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { line, anchor, height, content }) = self.open.pop() else {
            return Ok(()); // The parser balances these events.
        };
        let kind = match content {
            Content::List(nodes) => NodeKind::List(nodes),
            Content::Map { entries, keys: _, key: _ } => NodeKind::Map(entries),
        };
        self.complete(Rc::new(Node { line, kind, height }), anchor, line)
    }

    /// Adds a complete node to its parent. `line` is its position, which for an alias is not where the node begins.
    fn complete(&mut self, node: Rc<Node>, anchor: usize, line: usize) -> Result<(), Problem> {
        if anchor > 0 {
            if self.anchors.len() <= anchor {
                self.anchors.resize(anchor + 1, None);
            }
            self.anchors[anchor] = Some(Rc::clone(&node));
        }
        let depth = self.open.len();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        if depth + node.height > MAX_DEPTH {
            return Err(too_deep(line));
        }
        open.height = open.height.max(node.height + 1);
        match &mut open.content {
            Content::List(nodes) => nodes.push(node),
            Content::Map { entries, keys, key } => match key.take() {
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
                None => match &node.kind {
                    NodeKind::Scalar { text, plain: _ } if keys.insert(text.clone()) => {
                        *key = Some((text.clone(), line))
                    }
                    NodeKind::Scalar { text, plain: _ } => {
                        return Err(Problem::at(line, text, "duplicate key"));
                    }
                    NodeKind::List(_) | NodeKind::Map(_) => {
                        return Err(Problem::new(line, "a key that is not text"));
                    }
                },
            },
        }
        Ok(())
    }
}

/// Returns whether the tag is `!!str`. Other tags are rejected, because they would change the value's type.
fn is_string(tag: Option<Cow<'_, Tag>>, line: usize) -> Result<bool, Problem> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(_) => Err(Problem::new(line, "unsupported tag (expected !!str or none)")),
    }
}

fn too_deep(line: usize) -> Problem {
    Problem::new(line, format!("more than {MAX_DEPTH} levels"))
}
