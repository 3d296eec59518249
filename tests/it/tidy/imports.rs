//! Reads the imports of one file: its `use` items, its paths and its modules, without the code of tests.
//!
//! proc-macro2 makes the tokens, so comments, strings and lifetimes need no handling. The arguments of macros
//! are read like other code.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

#[cfg(test)]
mod tests;

/// The segments of a path. The first is `crate` if the module is known, and empty if the path begins with
/// `::`. Otherwise it is a name that the file imports, declares or has from the prelude.
pub(super) type Path = Vec<String>;

#[derive(Debug, Default)]
pub(super) struct Imports {
    pub(super) uses: Vec<Use>,
    /// Paths of two segments or more, outside of `use`.
    pub(super) paths: BTreeSet<Path>,
    /// Names of one segment.
    pub(super) words: BTreeSet<String>,
    pub(super) modules: Vec<Child>,
    pub(super) features: Features,
}

#[derive(Debug, PartialEq)]
pub(super) struct Use {
    pub(super) path: Path,
    /// The name in the file, or `None` for `*`.
    pub(super) name: Option<String>,
    /// Whether it has any `pub`.
    pub(super) exported: bool,
}

/// A `mod name;` item.
#[derive(Debug, PartialEq)]
pub(super) struct Child {
    pub(super) name: String,
    /// The values of `path = "…"`, with or without a condition.
    pub(super) paths: Vec<String>,
    /// Whether a path is set without a condition, so that the module has no other file.
    pub(super) always: bool,
}

/// Counts the names of features.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Features {
    /// In an attribute of an item, of the crate, or of a row of a table.
    pub(super) at_items: usize,
    pub(super) elsewhere: usize,
}

/// Reads a file whose module is this one: `["net", "tls"]`.
pub(super) fn read(module: &[String], text: &str) -> Imports {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{module:?}: {error}"));
    let mut reader = Reader { inside: module.to_vec(), imports: Imports::default() };
    reader.read(tokens, false);
    reader.imports
}

struct Reader {
    /// The module that contains the tokens.
    inside: Path,
    imports: Imports,
}

/// The attributes of one item.
#[derive(Default)]
struct Attributes {
    tests_only: bool,
    features: usize,
    paths: Vec<String>,
    always: bool,
}

const ITEMS: [&str; 15] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

/// Words that may precede a path and are no part of it: `as ::http::Uri`.
const BEFORE_PATHS: [&str; 11] =
    ["as", "const", "dyn", "else", "for", "impl", "in", "move", "mut", "return", "where"];

impl Reader {
    fn read(&mut self, tokens: TokenStream, is_row: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut exported) = (0, false);
        let mut attributes = Attributes::default();
        while at < tokens.len() {
            if let Some(length) = attribute(&tokens[at..]) {
                attributes.add(&tokens[at + length - 1], length == 3, &mut self.imports.features);
                at += length;
                continue;
            }
            let attributes = std::mem::take(&mut attributes);
            let begins_item = ident(&tokens[at]).is_some_and(|word| ITEMS.contains(&word.as_str()));
            if attributes.tests_only {
                at += item_length(&tokens[at..]);
                continue;
            }
            let places = &mut self.imports.features;
            *(if begins_item || is_row { &mut places.at_items } else { &mut places.elsewhere }) +=
                attributes.features;
            let was_exported = std::mem::take(&mut exported);
            match &tokens[at] {
                TokenTree::Ident(word) if word == "pub" => {
                    exported = true;
                    at += 1 + usize::from(tokens.get(at + 1).is_some_and(is_scope));
                    // The attributes belong to the next item.
                    if tokens.get(at).and_then(ident).as_deref() == Some("mod") {
                        at += self.module(&tokens[at..], attributes);
                    }
                }
                TokenTree::Ident(word) if word == "mod" => at += self.module(&tokens[at..], attributes),
                TokenTree::Ident(word) if word == "use" && !is_punct(tokens.get(at + 1), '<') => {
                    let end = tokens[at..].iter().position(|token| is_punct(Some(token), ';')).unwrap();
                    self.use_tree(&tokens[at + 1..at + end], &[], was_exported);
                    at += end + 1;
                }
                TokenTree::Ident(_) => at += self.path(&tokens, at),
                TokenTree::Group(group) => {
                    if at >= 2 && is_cfg_macro(&tokens[at - 2..at]) {
                        self.imports.features.elsewhere += features(group.stream());
                    }
                    self.read(group.stream(), group.delimiter() == Delimiter::Bracket);
                    at += 1;
                }
                TokenTree::Punct(punct) if punct.as_char() == '\'' => at += 2,
                _ => at += 1,
            }
        }
    }

    /// Reads a `mod` item, starting at that word. Returns its number of tokens.
    fn module(&mut self, tokens: &[TokenTree], attributes: Attributes) -> usize {
        let name = ident(&tokens[1]).unwrap();
        if let TokenTree::Group(group) = &tokens[2] {
            self.inside.push(name);
            self.read(group.stream(), false);
            self.inside.pop();
        } else {
            self.imports.modules.push(Child { name, paths: attributes.paths, always: attributes.always });
        }
        3
    }

    /// Reads a path or a name that begins here. Returns its number of tokens.
    fn path(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let mut path = vec![ident(&tokens[start]).unwrap()];
        let mut end = start + 1;
        while !BEFORE_PATHS.contains(&path[0].as_str()) && is_path_separator(&tokens[end..]) {
            let Some(segment) = ident_at(tokens.get(end + 2)) else { break };
            path.push(segment);
            end += 3;
        }
        if start >= 2 && is_path_separator(&tokens[start - 2..]) {
            let before = &tokens[..start - 2];
            // Otherwise it is an item of a type: `Vec::<u8>::new`.
            if !is_punct(before.last(), '>') || is_punct(before.iter().rev().nth(1), '-') {
                path.insert(0, String::new());
                self.imports.paths.insert(path);
            }
        } else if path.len() > 1 {
            self.imports.paths.insert(self.absolute(path));
        } else if start == 0 || !is_punct(tokens.get(start - 1), '.') {
            self.imports.words.extend(path);
        }
        end - start
    }

    fn use_tree(&mut self, tokens: &[TokenTree], prefix: &[String], exported: bool) {
        let mut path = prefix.to_vec();
        let mut name = None;
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => {
                    let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in branches.split(|token| is_punct(Some(token), ',')) {
                        self.use_tree(branch, &path, exported);
                    }
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    self.imports.uses.push(Use { path: self.absolute(path), name: None, exported });
                    return;
                }
                TokenTree::Punct(_) if at == 0 => path.push(String::new()),
                TokenTree::Ident(word) if word == "as" => {
                    name = ident_at(tokens.get(at + 1));
                    break;
                }
                // `a::{self}` means `a`.
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                _ => {}
            }
        }
        // The path is empty after the last comma.
        if let Some(last) = path.last().cloned() {
            let name = Some(name.unwrap_or(last));
            self.imports.uses.push(Use { path: self.absolute(path), name, exported });
        }
    }

    /// Resolves `self` and `super`.
    fn absolute(&self, path: Path) -> Path {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let is_self = path[0] == "self";
        if supers == 0 && !is_self {
            return path;
        }
        let module = &self.inside[..self.inside.len() - supers];
        let rest = path.into_iter().skip(supers + usize::from(is_self));
        ["crate".to_owned()].into_iter().chain(module.iter().cloned()).chain(rest).collect()
    }
}

impl Attributes {
    /// Reads the content of the brackets. Inner attributes count for the whole file.
    fn add(&mut self, brackets: &TokenTree, is_inner: bool, features_of_file: &mut Features) {
        let TokenTree::Group(group) = brackets else { unreachable!("an attribute has brackets") };
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let word = ident(&tokens[0]).unwrap_or_default();
        if is_inner {
            features_of_file.at_items += features(group.stream());
            return;
        }
        self.features += features(group.stream());
        self.tests_only |= word == "test" || word == "cfg" && names_test(group.stream());
        self.always |= word == "path";
        if word == "path" || word == "cfg_attr" {
            self.paths.extend(path_values(group.stream()));
        }
    }
}

/// Returns the number of tokens of the attribute that begins here.
fn attribute(tokens: &[TokenTree]) -> Option<usize> {
    let is_brackets = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket);
    match tokens {
        [hash, brackets, ..] if is_punct(Some(hash), '#') && is_brackets(brackets) => Some(2),
        [hash, bang, brackets, ..]
            if is_punct(Some(hash), '#') && is_punct(Some(bang), '!') && is_brackets(brackets) =>
        {
            Some(3)
        }
        _ => None,
    }
}

/// Returns the number of tokens of the item, field, variant or statement that begins here.
fn item_length(tokens: &[TokenTree]) -> usize {
    let words = tokens.iter().map_while(|token| match token {
        TokenTree::Ident(word) => Some(Some(word.to_string())),
        // The parentheses of `pub(crate)`.
        group if is_scope(group) => Some(None),
        _ => None,
    });
    let word = words.flatten().find(|word| word != "pub").unwrap_or_default();
    let ends_with_semicolon = ["const", "let", "static", "type", "use"].contains(&word.as_str())
        && !matches!(tokens.get(1), Some(TokenTree::Ident(next)) if next == "fn");
    let is_item = ITEMS.contains(&word.as_str());
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !ends_with_semicolon,
        token => is_punct(Some(token), ';') || is_punct(Some(token), ',') && !is_item,
    });
    end.map_or(tokens.len(), |end| end + 1)
}

/// Returns whether a condition holds only in tests.
fn names_test(condition: TokenStream) -> bool {
    let mut before = String::new();
    condition.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            before = word.to_string();
            before == "test"
        }
        TokenTree::Group(group) => !["any", "not"].contains(&before.as_str()) && names_test(group.stream()),
        _ => false,
    })
}

/// Returns the values of `path = "…"`.
fn path_values(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut values = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => values.extend(path_values(group.stream())),
            TokenTree::Ident(word) if word == "path" => {
                if let Some(TokenTree::Literal(value)) = tokens.get(at + 2) {
                    values.push(value.to_string().trim_matches('"').to_owned());
                }
            }
            _ => {}
        }
    }
    values
}

/// Counts the names of features in these tokens.
fn features(tokens: TokenStream) -> usize {
    let in_token = |token: TokenTree| match token {
        TokenTree::Group(group) => features(group.stream()),
        TokenTree::Ident(word) => usize::from(word == "feature"),
        _ => 0,
    };
    tokens.into_iter().map(in_token).sum()
}

fn ident(token: &TokenTree) -> Option<String> {
    let TokenTree::Ident(word) = token else { return None };
    Some(word.to_string())
}

fn ident_at(token: Option<&TokenTree>) -> Option<String> {
    token.and_then(ident)
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':')
}

/// Returns whether this token is the scope after `pub`.
fn is_scope(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    let first = group.stream().into_iter().next().as_ref().and_then(ident).unwrap_or_default();
    group.delimiter() == Delimiter::Parenthesis && ["crate", "in", "self", "super"].contains(&first.as_str())
}

fn is_cfg_macro(tokens: &[TokenTree]) -> bool {
    ident(&tokens[0]).as_deref() == Some("cfg") && is_punct(Some(&tokens[1]), '!')
}
