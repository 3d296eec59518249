//! Keeps the house as DESIGN.md draws it.

use std::fs;
use std::path::{Path, PathBuf};

/// A module uses only modules of its level or below.
const LEVELS: &[(&str, u8)] = &[
    ("lib", 11),
    ("internals", 11),
    ("builder", 10),
    ("web_config", 9),
    ("server", 8),
    ("guard", 8),
    ("handler", 8),
    ("signal", 8),
    ("net", 7),
    ("http", 6),
    ("scrape", 5),
    ("auth", 4),
    ("engine", 3),
    ("collector", 3),
    ("telemetry", 2),
    ("exposition", 1),
    ("util", 0),
];

struct Source {
    path: PathBuf,
    /// The name of the module at the crate's root that it belongs to.
    module: String,
    /// Without the tests at its foot, which may use what they like, and without comments.
    code: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let relative = path.strip_prefix(&root).unwrap().with_extension("");
                let module = relative.iter().next().unwrap().to_str().unwrap().to_owned();
                let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
                let code = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                sources.push(Source { path, module, code, text });
            }
        }
    }
    assert!(sources.len() > 10, "the sources are elsewhere");
    sources
}

fn level(module: &str) -> u8 {
    let found = LEVELS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("src/{module}.rs has no level: give it one, here and in DESIGN.md")).1
}

#[test]
fn a_module_uses_only_modules_of_its_level_or_below() {
    for source in sources() {
        // So that what is used can be read off the line.
        assert!(!source.code.contains("crate::{"), "{}: name each module", source.path.display());
        let own = level(&source.module);
        for (other, level) in LEVELS {
            let uses = names(&source.code, &format!("crate::{other}"));
            assert!(!uses || *level <= own, "{}: uses {other}, which is above it", source.path.display());
        }
    }
}

/// Whether `name` stands in the code as a path's beginning.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn each_library_stays_where_it_belongs() {
    let table: &[(&str, &[&str])] = &[
        ("hyper::", &["net", "handler"]),
        ("hyper_util::", &["net"]),
        ("tokio::net", &["net"]),
        ("http::", &["http", "net", "handler", "builder"]),
        ("http_body::", &["http", "net"]),
        ("prometheus::proto", &["scrape", "exposition", "telemetry", "collector"]),
        (
            "tokio::",
            &[
                "internals",
                "builder",
                "server",
                "guard",
                "handler",
                "net",
                "http",
                "scrape",
                "auth",
                "signal",
                "util",
                "collector",
                "engine",
            ],
        ),
        ("blowfish::", &["auth"]),
        ("sha2::", &["auth"]),
        ("subtle::", &["auth"]),
        ("clap::", &["builder"]),
        ("tokio_rustls::", &["lib", "builder", "net"]),
        ("saphyr_parser::", &["web_config"]),
        ("libc::", &["util"]),
        (
            "tokio_util::",
            &["lib", "internals", "builder", "server", "guard", "net", "auth", "engine", "handler"],
        ),
    ];
    for source in sources() {
        for (library, modules) in table {
            let uses = names(&source.code, library);
            assert!(
                !uses || modules.contains(&source.module.as_str()),
                "{}: names {library}",
                source.path.display()
            );
        }
    }
}

/// Pure files in modules that are not.
const PURE: [&str; 3] = ["scrape/coalescer.rs", "scrape/gathered.rs", "scrape/selection.rs"];

#[test]
fn the_pure_modules_are_pure() {
    let is_pure = |source: &&Source| {
        source.module == "exposition" || PURE.iter().any(|file| source.path.ends_with(file))
    };
    let sources = sources();
    assert!(PURE.iter().all(|file| sources.iter().any(|source| source.path.ends_with(file))), "{PURE:?}");
    for source in sources.iter().filter(is_pure) {
        for word in ["async ", ".await", "std::fs", "std::net", "std::thread", "Instant::now", "SystemTime"] {
            assert!(!source.code.contains(word), "{}: {word:?} in a pure file", source.path.display());
        }
    }
}

#[test]
fn registries_are_gathered_in_one_place() {
    let places: Vec<String> = sources()
        .iter()
        .flat_map(|source| vec![source.path.display().to_string(); source.code.matches(".gather()").count()])
        .collect();
    assert_eq!(places.len(), 1, "{places:?}");
}

/// `rust-version` is 1.85, clippy's `incompatible_msrv` sees the library's functions but not the language.
#[test]
fn the_language_is_that_of_the_stated_rust_version() {
    for source in sources() {
        let chain = source.text.lines().find(|line| line.contains("&& let ") || line.contains("|| let "));
        assert_eq!(chain, None, "{}: let chains came with 1.88", source.path.display());
    }
}

#[test]
fn files_are_small_and_open_with_what_they_are() {
    for source in sources() {
        let lines = source.code.lines().count();
        assert!(lines <= 450, "{}: {lines} lines of code", source.path.display());
        assert!(source.text.starts_with("//!"), "{}: says not what it is", source.path.display());
    }
}

#[test]
fn features_are_named_where_modules_are_and_in_tables_only() {
    let (mut named, mut all) = (0, 0);
    for source in sources() {
        named += source.code.matches("feature = ").count();
        all += source.code.lines().count();
    }
    assert!(named * 1000 < 5 * all, "{named} of {all} lines name a feature");
}
