//! Checks that the sources have the structure of DESIGN.md. `cargo test --test it tidy:: -- --nocapture`
//! prints the layers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::tree::Tree;

mod imports;
mod tree;

/// A module at the root uses only modules of its level or below.
const LAYERS: &[(&str, u8)] = &[
    ("lib", 11),
    ("guide", 11),
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

/// The modules that may name each library.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("base64", &["auth"]),
    ("bcrypt", &["auth"]),
    ("clap", &["builder"]),
    ("flate2", &["exposition"]),
    ("http", &["handler", "http", "net", "web_config"]),
    ("http_body", &["http", "net"]),
    ("hyper", &["handler", "internals", "net"]),
    ("hyper_util", &["net"]),
    ("libc", &["net", "util"]),
    ("prometheus::proto", &["collector", "exposition", "scrape", "telemetry"]),
    ("rustls", &[]),
    ("saphyr_parser", &["web_config"]),
    ("sd_listen_fds", &["net"]),
    ("sha2", &["auth"]),
    ("socket2", &["net"]),
    ("subtle", &["auth"]),
    (
        "tokio",
        &[
            "auth",
            "builder",
            "collector",
            "engine",
            "guard",
            "handler",
            "http",
            "internals",
            "net",
            "scrape",
            "server",
            "signal",
            "util",
        ],
    ),
    ("tokio::net", &["net"]),
    ("tokio_rustls", &["builder", "lib", "net"]),
    ("tokio_util", &["auth", "builder", "engine", "guard", "handler", "internals", "lib", "net", "server"]),
    ("tower_service", &["handler"]),
    ("zstd", &["exposition"]),
];

/// Pure files in impure modules.
const PURE: [&str; 9] = [
    "auth/failed_logins.rs",
    "auth/rate_limit.rs",
    "net/connection/head_end.rs",
    "net/connection/phase.rs",
    "net/connection_limit/eviction.rs",
    "net/connection_limit/pressure.rs",
    "scrape/coalescer.rs",
    "scrape/gathered.rs",
    "scrape/selection.rs",
];

/// I/O, threads and async.
const IMPURE: [&str; 9] = [
    "hyper",
    "libc",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
    "tokio_util",
];
/// The exceptions, because addresses and times are values.
const VALUES: [&str; 5] = [
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "tokio::time::Instant",
];
const CLOCKS: [&str; 3] =
    ["std::time::Instant::now", "std::time::SystemTime::now", "tokio::time::Instant::now"];

/// The files that may name a feature, because they declare modules or contain tables.
const NAME_FEATURES: &[&str] = &[
    "auth.rs",
    "auth/credentials.rs",
    "auth/grants.rs",
    "auth/rate_limit.rs",
    "builder.rs",
    "builder/metrics.rs",
    "builder/options/access.rs",
    "builder/options/metrics.rs",
    "builder/server.rs",
    "builder/tls.rs",
    "collector.rs",
    "collector/defaults.rs",
    "exposition/compress.rs",
    "exposition/encode.rs",
    "handler.rs",
    "http.rs",
    "http/access.rs",
    "http/document.rs",
    "http/responses.rs",
    "internals.rs",
    "lib.rs",
    "net.rs",
    "net/listener.rs",
    "net/tls.rs",
    "net/tls/settings.rs",
    "telemetry.rs",
    "util.rs",
];

/// Including tests.
const MOST_LINES: usize = 450;
/// Without blank lines, comments and tests.
const MOST_CODE: usize = 14_620;
const MEDIAN_CODE: usize = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn library() -> Tree {
    let tree = Tree::read(&root().join("src"), "lib.rs");
    assert!(tree.files.len() > 100, "too few sources found");
    tree
}

struct Source {
    path: PathBuf,
    text: String,
    /// Without the tests at its end, comments and blank lines.
    code: Vec<String>,
}

/// Returns every source in a folder.
fn sources(folder: &str) -> Vec<Source> {
    let (mut folders, mut sources) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines();
                let code =
                    code.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
                let code = code.map(str::to_owned).collect();
                sources.push(Source { path, code, text });
            }
        }
    }
    assert!(sources.len() > 1, "{folder}: too few sources found");
    sources
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
            || self.path.iter().any(|folder| folder == "tests" || folder == "tests.rs")
    }
}

fn layer(unit: &str) -> u8 {
    let found = LAYERS.iter().find(|(name, _)| *name == unit);
    found.unwrap_or_else(|| panic!("src/{unit}.rs has no layer: give it one, here and in DESIGN.md")).1
}

#[test]
fn imports_between_files_have_no_cycle() {
    let library = library();
    println!("src/:\n{}", library.drawn());
    let found = library.cycles();
    let arrows: String =
        found.iter().map(|cycle| format!("{cycle:?}\n{}", library.arrows_among(cycle))).collect();
    assert!(found.is_empty(), "cycles:\n{arrows}");
}

#[test]
fn imports_of_the_comparison_have_no_cycle() {
    let comparison = Tree::read(&root().join("comparison/src"), "main.rs");
    println!("comparison/src/:\n{}", comparison.drawn());
    assert_eq!(comparison.cycles().first().map(|cycle| comparison.arrows_among(cycle)), None);
}

#[test]
fn layer_imports_nothing_from_a_higher_layer() {
    let library = library();
    let stale = LAYERS.iter().find(|(name, _)| !library.files.iter().any(|file| file.unit() == *name));
    assert_eq!(stale, None, "there is no such module");
    let mut wrong = Vec::new();
    for file in &library.files {
        for used in file.uses.iter().map(|used| &library.files[*used]) {
            if layer(used.unit()) > layer(file.unit()) {
                wrong.push(format!("{} uses {}, which is above it", file.name, used.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn library_is_named_only_in_its_modules() {
    let tree = library();
    let mut wrong = Vec::new();
    for (library, units) in LIBRARIES {
        let mut unused: BTreeSet<&str> = units.iter().copied().collect();
        for file in &tree.files {
            for path in file.outside.iter().filter(|path| is_within(path, library)) {
                unused.remove(file.unit());
                if !units.contains(&file.unit()) {
                    wrong.push(format!("{} names {path}", file.name));
                }
            }
        }
        wrong.extend(
            unused.iter().map(|unit| format!("LIBRARIES allows {library} in {unit}, which does not name it")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns whether a path is equal to another or below it.
fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn pure_files_have_no_io_clock_or_async() {
    let library = library();
    let named = |name: &str| library.files.iter().any(|file| file.name == name);
    assert!(PURE.iter().all(|name| named(name)), "{PURE:?}");
    let mut wrong = Vec::new();
    for file in
        library.files.iter().filter(|file| file.unit() == "exposition" || PURE.contains(&file.name.as_str()))
    {
        for path in &file.outside {
            let is_in = |list: &[&str]| list.iter().any(|above| is_within(path, above));
            if is_in(&CLOCKS) || is_in(&IMPURE) && !is_in(&VALUES) {
                wrong.push(format!("{} names {path}", file.name));
            }
        }
        for word in ["async", "await"].into_iter().filter(|word| file.imports.words.contains(*word)) {
            wrong.push(format!("{} uses {word}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn features_are_named_only_at_items_of_listed_files() {
    let library = library();
    let mut named = BTreeSet::new();
    for file in &library.files {
        let features = &file.imports.features;
        assert_eq!(features.elsewhere, 0, "{}: a feature is named in a function or at a field", file.name);
        if features.at_items > 0 {
            named.insert(file.name.as_str());
        }
    }
    assert_eq!(
        named,
        NAME_FEATURES.iter().copied().collect(),
        "NAME_FEATURES differs from the files that name a feature"
    );
}

#[test]
fn only_one_line_gathers_registries() {
    let sources = sources("src");
    let places = sources.iter().filter(|source| !source.is_test()).flat_map(|source| {
        let lines = source.code.iter().filter(|line| line.contains(".gather()"));
        lines.map(|line| format!("{}: {line}", source.path.display()))
    });
    let places: Vec<String> = places.collect();
    assert_eq!(places.len(), 1, "{places:?}");
}

/// `rust-version` is 1.85. Clippy's `incompatible_msrv` checks the items of std, not the syntax.
#[test]
fn syntax_is_that_of_rust_version() {
    for source in sources("src") {
        let chain = source.text.lines().find(|line| line.contains("&& let ") || line.contains("|| let "));
        assert_eq!(chain, None, "{}: let chains need Rust 1.88", source.path.display());
    }
}

#[test]
fn sources_are_short_and_begin_with_a_doc_comment() {
    let mut too_long = Vec::new();
    for folder in ["src", "tests", "benches", "comparison/src", "faults", "fuzz", "testing"] {
        for source in sources(folder) {
            let name = source.path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            assert!(source.text.starts_with("//!"), "{name}: does not begin with a doc comment");
            if source.text.lines().count() > MOST_LINES {
                too_long.push(name);
            }
        }
    }
    assert!(too_long.is_empty(), "files of more than {MOST_LINES} lines: {too_long:?}");
}

#[test]
fn library_has_few_lines_of_code() {
    let sources = sources("src");
    let mut code: Vec<usize> =
        sources.iter().filter(|source| !source.is_test()).map(|source| source.code.len()).collect();
    code.sort_unstable();
    let (all, median) = (code.iter().sum::<usize>(), code[code.len() / 2]);
    println!("src/: {all} lines of code in {} files, {median} in the median", code.len());
    assert!(all <= MOST_CODE, "{all} lines of code; the limit is {MOST_CODE}");
    assert!(median < MEDIAN_CODE, "the median file has {median} lines of code");
}
