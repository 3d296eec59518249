//! YAML as a tree that knows its lines, and no more of YAML than a configuration needs.
//!
//! Bounded: nodes nest to [`MAX_DEPTH`] also by way of aliases, and an alias shares the node that it stands for, so
//! that a tree takes no more memory than its text. The limit on the text's length is that of [`crate::util::reload::Files`].

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::problem::Problem;

/// The file has three levels.
pub(super) const MAX_DEPTH: usize = 16;

/// A value, and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// One more than its tallest child.
    height: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar {
        text: String,
        /// Without quotes, so that it may be null, a boolean or a number.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key and its value. No two of one map have the same key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Rc<Node>,
}

/// The one document in `text`; none if there is nothing but comments.
pub(super) fn read(text: &str) -> Result<Option<Rc<Node>>, Problem> {
    // A byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser lets them pass in comments and quotes, which is where an editor shows them to nobody.
    if let Some(at) = text.find(|c| !is_printable(c)) {
        let line = 1 + text[..at].matches('\n').count();
        return Err(Problem::new(line, "a character that YAML does not allow"));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        // The parser's sentences hold nothing of the text but, in one, a character.
        let (event, span) = event.map_err(|error| Problem::new(error.marker().line(), error.info()))?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.root)
}

/// YAML 1.2.2, section 5.1, `c-printable`; a byte order mark belongs to the beginning alone.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

#[derive(Debug, Default)]
struct Builder {
    root: Option<Rc<Node>>,
    /// Lists and maps that are not complete.
    open: Vec<Open>,
    /// By the parser's number, which counts from 1; none while incomplete.
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

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(line, "a second document; one is all that is read"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string = is_string(tag, line)?;
                let plain = style == ScalarStyle::Plain && !string;
                let kind = Kind::Scalar { text: text.into_owned(), plain };
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
                _ => Err(Problem::new(line, "an alias of what it is a part of")),
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
            return Err(Problem::new(line, "a tag, of which only !!str is read"));
        }
        if self.open.len() + 1 >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.open.push(Open { line, anchor, height: 1, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { line, anchor, height, content }) = self.open.pop() else {
            return Ok(()); // The parser closes what it has opened.
        };
        let kind = match content {
            Content::List(nodes) => Kind::List(nodes),
            Content::Map { entries, keys: _, key: _ } => Kind::Map(entries),
        };
        self.complete(Rc::new(Node { line, kind, height }), anchor, line)
    }

    /// Puts a node where it belongs; `line` is where it stands, which for an alias is not where it begins.
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
                    Kind::Scalar { text, plain: _ } if keys.insert(text.clone()) => {
                        *key = Some((text.clone(), line))
                    }
                    Kind::Scalar { text, plain: _ } => {
                        return Err(Problem::at(line, text, "a key that stands here twice"));
                    }
                    Kind::List(_) | Kind::Map(_) => return Err(Problem::new(line, "a key that is no text")),
                },
            },
        }
        Ok(())
    }
}

/// Whether the tag says so; any other is refused, for it would be a value that we take for another.
fn is_string(tag: Option<Cow<'_, Tag>>, line: usize) -> Result<bool, Problem> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(_) => Err(Problem::new(line, "a tag, of which only !!str is read")),
    }
}

fn too_deep(line: usize) -> Problem {
    Problem::new(line, format!("more than {MAX_DEPTH} levels"))
}
