//! Every text of the project follows the rules of CONTRIBUTING.md, "How the project speaks".
//!
//! `cargo test --test it prose:: -- --nocapture` prints how many texts each test has read.

use std::fs;
use std::path::{Path, PathBuf};

use self::rules::{faults, is_sentence, starts_with_verb};
use self::texts::{Kind, Text};

mod rules;
mod texts;

/// Folders whose Rust files are read: comments, docs and texts in quotes.
const FOLDERS: &[&str] = &["benches", "comparison", "examples", "faults", "fuzz", "src", "testing", "tests"];
/// These hold the forbidden words themselves.
const RULES: &[&str] = &["tests/it/prose.rs", "tests/it/prose/rules.rs", "tests/it/prose/texts.rs"];
const LONGEST_TEST_NAME: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

/// Every file below a folder of the project with this extension, by its path below the root, with its text.
fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "corpus", "artifacts"].contains(&name) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<(String, String)> {
    let all = FOLDERS.iter().flat_map(|folder| files(&root().join(folder), "rs"));
    let files: Vec<_> = all.filter(|(name, _)| !RULES.contains(&name.as_str())).collect();
    assert!(files.len() > 200, "the sources are elsewhere");
    files
}

/// Fails with each fault, if there are any.
fn report(read: usize, faults: &[String]) {
    println!("{read} texts, {} faults", faults.len());
    assert!(faults.is_empty(), "{} faults in {read} texts:\n{}", faults.len(), faults.join("\n"));
}

fn report_faults(texts: &[Text]) {
    let found = texts.iter().flat_map(|text| {
        let faults = faults(&text.text).into_iter();
        faults.map(move |fault| format!("{}: {fault}", text.place))
    });
    report(texts.len(), &found.collect::<Vec<_>>());
}

#[test]
fn pages_are_in_plain_english() {
    let pages = files(&root(), "md");
    assert!(pages.len() > 10, "the pages are elsewhere");
    report_faults(&pages.iter().flat_map(|(name, page)| texts::of_markdown(name, page)).collect::<Vec<_>>());
}

#[test]
fn comments_and_docs_are_in_plain_english() {
    report_faults(
        &rust_files().iter().flat_map(|(name, source)| texts::of_comments(name, source)).collect::<Vec<_>>(),
    );
}

#[test]
fn errors_logs_and_bodies_are_in_plain_english() {
    report_faults(
        &rust_files().iter().flat_map(|(name, source)| texts::of_literals(name, source)).collect::<Vec<_>>(),
    );
}

#[test]
fn the_page_is_in_plain_english() {
    let sources = ["html", "js"].map(|extension| files(&root().join("src/http/page"), extension)).concat();
    assert!(sources.len() > 1, "the page is elsewhere");
    report_faults(
        &sources.iter().flat_map(|(name, source)| texts::of_page(name, source)).collect::<Vec<_>>(),
    );
}

#[test]
fn docs_of_public_items_open_with_a_sentence() {
    let mut found = Vec::new();
    let mut read = 0;
    for (name, source) in rust_files().iter().filter(|(name, _)| name.starts_with("src/")) {
        for Text { place, text, kind } in texts::of_docs(name, source) {
            read += 1;
            if !is_sentence(&text) || kind == Kind::Function && !starts_with_verb(&text) {
                found.push(format!("{place}: {text}"));
            }
        }
    }
    report(read, &found);
}

#[test]
fn test_names_are_short() {
    let (mut found, mut read) = (Vec::new(), 0);
    for (name, source) in rust_files() {
        for test in texts::tests_of(&source) {
            read += 1;
            let words = test.replace('_', " ");
            found.extend(faults(&words).into_iter().map(|fault| format!("{name}: {test}: {fault}")));
            if test.len() > LONGEST_TEST_NAME {
                found.push(format!("{name}: {test}: {} characters", test.len()));
            }
        }
    }
    report(read, &found);
}
