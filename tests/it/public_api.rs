//! Compares the exports of the crate with tests/it/public_api.txt, so that no change is unintended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("public_api.txt");

#[test]
fn public_api_equals_the_list() {
    let found: BTreeSet<String> = public_api();
    let listed: BTreeSet<String> = LIST.lines().map(str::to_owned).collect();
    let mut difference = String::new();
    for line in found.difference(&listed) {
        let _ = writeln!(difference, "+{line}");
    }
    for line in listed.difference(&found) {
        let _ = writeln!(difference, "-{line}");
    }
    assert!(difference.is_empty(), "tests/it/public_api.txt is out of date:\n{difference}");
    assert!(LIST.lines().is_sorted(), "tests/it/public_api.txt is not sorted");
}

/// A name occurs in code, not only in a comment. Members of equal names are not told apart.
#[test]
fn api_rs_names_each_item_of_the_list() {
    let code = include_str!("api.rs").lines().filter(|line| !line.trim_start().starts_with("//"));
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let used: BTreeSet<&str> = code.flat_map(|line| line.split(|c| !is_part(c))).collect();
    let mut unused = Vec::new();
    for line in LIST.lines() {
        // `collector::Samples: gauge: pub fn gauge(…)` has two names, `collector::Samples: impl …` has one.
        let mut parts = line.trim_start_matches("collector::").trim_end_matches('!').split(": ");
        let names = parts.by_ref().take(2).filter(|name| name.chars().all(is_part));
        unused.extend(names.filter(|name| !used.contains(name)).map(|name| format!("{name}, of {line}")));
    }
    assert!(unused.is_empty(), "tests/it/api.rs does not use:\n{}", unused.join("\n"));
}

#[test]
fn reader_finds_items_members_and_traits() {
    let source = "\
#[derive(Clone, Debug)]
pub struct Seen {
    pub field: u8,
    pub(crate) hidden: u8,
}

impl<T> Seen<T> {
    pub async fn method(
        &self,
        n: u8,
    ) -> u8 {
        n
    }

    pub(crate) fn hidden(&self) {}

    pub const LIMIT: u8 = 1;
}

impl From<u8> for Seen {
    fn from(_: u8) -> Self {}
}

pub enum Choice {
    /// The first.
    One,
    Two(u8),
}

pub(crate) struct Hidden;

impl Hidden {
    pub fn hidden() {}
}
";
    let items = read(source);
    let lines = |name: &str| items.get(name).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    let seen = [
        "#[derive(Clone, Debug)]",
        "pub struct Seen",
        "field: pub field: u8",
        "method: pub async fn method( &self, n: u8, ) -> u8",
        "LIMIT: pub const LIMIT: u8",
        "impl From<u8> for Seen",
    ];
    assert_eq!(lines("Seen"), seen);
    assert_eq!(lines("Choice"), ["pub enum Choice", "One", "Two(u8)"]);
    assert!(!lines("Hidden").iter().any(|line| line.contains("struct")));
}

/// Returns the exports of the root and of `collector`: an item or a member a line, with its signature.
fn public_api() -> BTreeSet<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources(&src) {
        let is_root = path.ends_with("src/lib.rs");
        for (name, lines) in read(&fs::read_to_string(&path).unwrap()) {
            // A function of the root may have the name of a function in another module.
            if is_root || !items.contains_key(&name) || lines.iter().any(|line| !line.starts_with("pub fn")) {
                items.entry(name).or_default().extend(lines);
            }
        }
    }
    let mut api = BTreeSet::new();
    for (module, file) in [("", "lib.rs"), ("collector::", "collector.rs")] {
        let text = fs::read_to_string(src.join(file)).unwrap();
        for (name, is_foreign) in exported(&text) {
            api.insert(format!("{module}{name}"));
            let lines = items.get(&name);
            assert!(is_foreign || lines.is_some(), "{name} is exported, but no source defines it");
            api.extend(lines.into_iter().flatten().map(|line| format!("{module}{name}: {line}")));
        }
    }
    for path in sources(&src) {
        let text = fs::read_to_string(path).unwrap();
        let macros = text.split("#[macro_export]\nmacro_rules! ").skip(1);
        api.extend(macros.map(|rest| format!("{}!", rest.split([' ', '{']).next().unwrap())));
    }
    assert!(api.len() > 150, "{} lines only", api.len());
    api
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the names that a module exports, and whether each is from another crate.
fn exported(text: &str) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    let mut statement = String::new();
    let mut is_hidden = false;
    for line in text.lines() {
        if statement.is_empty() && !line.starts_with("pub ") {
            is_hidden = line == "#[doc(hidden)]";
            continue;
        }
        statement.push_str(line.trim());
        if !line.ends_with([';', '{']) && statement.starts_with("pub use") {
            continue;
        }
        if let Some(path) = statement.strip_prefix("pub use ") {
            let path = path.trim_end_matches(';');
            let foreign = ["prometheus", "tokio_rustls::", "tokio_util::"];
            let is_foreign = foreign.iter().any(|foreign| path.starts_with(foreign));
            let list = path.rsplit("::").next().unwrap().trim_matches(['{', '}']);
            names.extend(list.split(',').map(|name| (name.trim().to_owned(), is_foreign)));
        } else if !is_hidden && !statement.starts_with("pub mod") {
            names.extend(item_name(&statement).map(|name| (name, false)));
        }
        statement.clear();
        is_hidden = false;
    }
    names.retain(|(name, _)| !name.is_empty());
    names
}

/// Returns the name of the item that a line begins: `pub struct Guard {`.
fn item_name(line: &str) -> Option<String> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words
        .by_ref()
        .find(|word| ["struct", "enum", "trait", "type", "fn", "const", "static"].contains(word))?;
    words.next().map(str::to_owned)
}

/// Returns public items, their public members and the traits that they implement, by name. Relies on rustfmt:
/// an item begins and ends in the first column.
fn read(source: &str) -> BTreeMap<String, Vec<String>> {
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut derives = Vec::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod tests {")) {
            break;
        }
        if line.starts_with("#[derive") {
            derives.push(line.to_owned());
            continue;
        }
        if line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let mut begin = line.to_owned();
        let is_impl = line.starts_with("impl");
        let is_item = line.starts_with("pub ") && item_name(line).is_some();
        if !is_impl && !is_item {
            derives.clear();
            continue;
        }
        while !begin.ends_with(['{', ';', '}']) {
            begin.push(' ');
            begin.push_str(lines.next().unwrap_or(";").trim());
        }
        let has_members = begin.ends_with('{');
        let signature = signature_of(&begin);
        let (name, is_inherent) = if is_impl { implementing(&signature) } else { (item_name(&begin), true) };
        if let Some((of_trait, _)) = signature.split_once(" for ").filter(|_| is_impl) {
            // Lists an implementation under our trait too, so that every type is covered.
            let name = of_trait.rsplit(' ').next().unwrap().to_owned();
            items.entry(name).or_default().push(signature.clone());
        }
        let Some(name) = name else { continue };
        let found = items.entry(name).or_default();
        found.append(&mut derives);
        if !is_impl || !is_inherent {
            found.push(signature);
        }
        // A function has no members.
        if !has_members || !is_inherent || is_item && !is_type(&begin) {
            continue;
        }
        let is_enum = begin.contains("enum ");
        let is_trait = begin.contains("trait ");
        while let Some(line) = lines.next() {
            if line == "}" {
                break;
            }
            let Some(member) = line.strip_prefix("    ") else { continue };
            let is_variant = is_enum && member.starts_with(|c: char| c.is_ascii_uppercase());
            let is_required = is_trait && member.starts_with("fn ");
            if !(is_variant || is_required || member.starts_with("pub ")) {
                continue;
            }
            let mut member = member.to_owned();
            while !member.ends_with(['{', ';', ',', '}'])
                || member.ends_with(',') && member.contains('(') && !is_variant
            {
                member.push(' ');
                member.push_str(lines.next().unwrap_or(";").trim());
            }
            let member = signature_of(&member);
            let name = item_name(&member)
                .or_else(|| member.strip_prefix("pub ")?.split(':').next().map(str::to_owned));
            found.push(name.map_or_else(|| member.clone(), |name| format!("{name}: {member}")));
        }
    }
    items
}

/// Removes the body, the value, and the private fields of a tuple.
fn signature_of(begin: &str) -> String {
    let signature = begin.trim_end_matches([' ', '{', '}', ';', ',']);
    let end = if signature.starts_with("pub struct ") {
        signature.find('(')
    } else if ["pub const ", "pub static ", "pub type "].iter().any(|kind| signature.starts_with(kind)) {
        signature.find(" = ")
    } else {
        None
    };
    signature[..end.unwrap_or(signature.len())].to_owned()
}

fn is_type(begin: &str) -> bool {
    ["pub struct ", "pub enum ", "pub trait "].iter().any(|kind| begin.starts_with(kind))
}

/// Returns the type of an `impl`, and whether the `impl` is inherent.
fn implementing(signature: &str) -> (Option<String>, bool) {
    let without_bounds = signature.split(" where ").next().unwrap();
    let (target, is_inherent) = match without_bounds.split_once(" for ") {
        Some((_, target)) => (target, false),
        None => {
            let rest = &without_bounds["impl".len()..];
            let mut depth = 0;
            let end = rest.find(|c: char| {
                match c {
                    '<' => depth += 1,
                    '>' => depth -= 1,
                    _ => {}
                }
                depth == 0 && c == ' '
            });
            (&rest[end.map_or(0, |end| end + 1)..], true)
        }
    };
    let name: String = target.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    ((!name.is_empty()).then_some(name), is_inherent)
}
