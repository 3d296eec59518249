//! The texts of a file: its paragraphs, comments, docs and literals.

use proc_macro2::{TokenStream, TokenTree};

pub(super) struct Text {
    /// File and line, or file alone.
    pub(super) place: String,
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Prose,
    Function,
    Item,
}

/// Spaces in a literal from which on it counts as prose.
const SPACES: usize = 2;

/// The paragraphs, list items and table cells of a page, without its code.
pub(super) fn of_markdown(name: &str, page: &str) -> Vec<Text> {
    let lines = page.lines().enumerate().map(|(at, line)| (at + 1, line));
    paragraphs(name, lines)
}

/// The comments of a source, docs included.
pub(super) fn of_comments(name: &str, source: &str) -> Vec<Text> {
    let lines = source.lines().enumerate().map(|(at, line)| {
        let comment = line.trim_start().strip_prefix("//");
        let comment = comment.map_or("", |comment| comment.trim_start_matches(['/', '!']));
        (at + 1, comment.strip_prefix(' ').unwrap_or(comment))
    });
    paragraphs(name, lines)
}

/// Joins lines into paragraphs. A blank line, a heading, a list item and a table row begin a new one.
fn paragraphs<'a>(name: &str, lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Text> {
    let (mut texts, mut open, mut fenced) = (Vec::<Text>::new(), false, false);
    for (at, line) in lines {
        let line = line.trim();
        if line.starts_with("```") {
            fenced = !fenced;
            open = false;
            continue;
        }
        if fenced || line.is_empty() || line.starts_with("<") {
            open = false;
            continue;
        }
        let place = || format!("{name}:{at}");
        if line.starts_with('|') {
            let cells = without_code(line);
            let cells = cells.split('|').map(str::trim).filter(|cell| !cell.is_empty());
            texts.extend(cells.map(|cell| Text { place: place(), text: cell.to_owned(), kind: Kind::Prose }));
            open = false;
            continue;
        }
        let begins = line.starts_with(['#', '>']) || is_list_item(line);
        match texts.last_mut().filter(|_| open && !begins) {
            Some(last) => last.text = format!("{} {line}", last.text),
            None => texts.push(Text { place: place(), text: line.to_owned(), kind: Kind::Prose }),
        }
        open = !line.starts_with('#');
    }
    for text in &mut texts {
        text.text = without_code(&text.text);
    }
    texts
}

fn is_list_item(line: &str) -> bool {
    let number = line.trim_start_matches(|character: char| character.is_ascii_digit());
    line.starts_with("* ") || line.starts_with("- ") || number.len() < line.len() && number.starts_with(". ")
}

/// Code becomes a word, and a quotation too, because both are somebody's own words; a link becomes its text.
fn without_code(text: &str) -> String {
    let quoted = text.replace(['“', '”'], "\"");
    let mut prose = String::new();
    for (at, part) in quoted.split('`').enumerate() {
        prose.push_str(if at % 2 == 0 { part } else { "Code" });
    }
    let mut unquoted = String::new();
    for (at, part) in prose.split('"').enumerate() {
        unquoted.push_str(if at % 2 == 0 { part } else { "Quoted" });
    }
    let mut rest = unquoted.as_str();
    let mut linked = String::new();
    while let Some(at) = rest.find("](") {
        linked.push_str(&rest[..at]);
        let target = &rest[at..];
        rest = &target[target.find(')').map_or(target.len(), |end| end + 1)..];
    }
    linked.push_str(rest);
    linked.replace('[', "")
}

/// The literals of a source that are prose.
pub(super) fn of_literals(name: &str, source: &str) -> Vec<Text> {
    let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut found = Vec::new();
    literals(tokens, &mut found);
    // Tables of numbers, the configuration of another program, and the words of ../shared/web-config/README.md.
    let data = [
        "0.0 0.001",
        "   8       0 sda",
        "global ",
        "a plain HTTP request is told so",
        "this header can not be configured",
    ];
    let is_data = |text: &str| data.iter().any(|start| text.starts_with(start) || text.ends_with(start));
    let prose = found.into_iter().filter(|text| text.matches(' ').count() >= SPACES && !is_data(text));
    prose.map(|text| Text { place: name.to_owned(), text: without_code(&text), kind: Kind::Prose }).collect()
}

fn literals(tokens: TokenStream, found: &mut Vec<String>) {
    let mut after_doc = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) if !after_doc => {
                let text = literal.to_string();
                if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                    found.push(text.replace("\\\n", " ").replace("\\n", " ").replace("\\\"", "\""));
                }
            }
            // Docs are attributes to the lexer, and comments to us.
            TokenTree::Ident(ident) => after_doc = ident == "doc",
            TokenTree::Punct(punct) if punct.as_char() == '=' => {}
            _ => after_doc = false,
        }
    }
}

/// The text of HTML and the literals of a script.
pub(super) fn of_page(name: &str, source: &str) -> Vec<Text> {
    let prose = |(at, text): (usize, &str)| Text {
        place: format!("{name}:{}", at + 1),
        text: text.trim().to_owned(),
        kind: Kind::Prose,
    };
    let lines = source.lines().enumerate();
    if name.ends_with(".html") {
        let parts = lines.flat_map(|(at, line)| {
            line.split('<').map(move |part| (at, part.rsplit('>').next().unwrap_or_default()))
        });
        return parts.map(prose).collect();
    }
    let quoted = lines.flat_map(|(at, line)| line.split('"').skip(1).step_by(2).map(move |text| (at, text)));
    quoted.filter(|(_, text)| text.matches(' ').count() >= SPACES).map(prose).collect()
}

/// The first paragraph of the docs of each public item.
pub(super) fn of_docs(name: &str, source: &str) -> Vec<Text> {
    let (mut docs, mut first, mut done) = (Vec::new(), String::new(), false);
    for (at, line) in source.lines().enumerate() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            done |= doc.trim().is_empty();
            if !done {
                first = format!("{first} {}", doc.trim()).trim().to_owned();
            }
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let item = line.strip_prefix("pub ");
        if let Some(item) = item.filter(|_| !first.is_empty()) {
            let is_function = ["fn ", "async fn ", "const fn "].iter().any(|start| item.starts_with(start));
            let kind = if is_function { Kind::Function } else { Kind::Item };
            docs.push(Text { place: format!("{name}:{}", at + 1), text: first, kind });
        }
        (first, done) = (String::new(), false);
    }
    docs
}

/// The names of the tests in a source.
pub(super) fn tests_of(source: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(function) = line.trim_start_matches("async ").strip_prefix("fn ") {
            if is_test {
                names.extend(function.split(['(', '<']).next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    names
}
