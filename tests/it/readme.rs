//! Checks the README: its length, its completeness, and that its links work in the package.

use std::fs;
use std::path::Path;

const MOST_LINES: usize = 130;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the relative targets of links.
fn relative_links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    targets.filter(|target| !target.contains("://")).collect()
}

/// Returns the paths in the package, from `include` in Cargo.toml. Each begins with a slash.
fn included() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let include = manifest.lines().find_map(|line| line.strip_prefix("include = [")).unwrap();
    include.split('"').skip(1).step_by(2).map(|path| path.trim_start_matches('/').to_owned()).collect()
}

#[test]
fn readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= MOST_LINES, "{lines} lines; the limit is {MOST_LINES}");
}

#[test]
fn relative_links_work_in_the_package() {
    let included = included();
    for file in ["README.md", "examples/README.md"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let links = relative_links(&text);
        assert!(links.len() > 5, "{file}: {links:?}");
        for link in links {
            let path = Path::new(file).parent().unwrap().join(link);
            assert!(root().join(&path).exists(), "{file}: no {link}");
            let is_included = included.iter().any(|prefix| path.starts_with(prefix));
            assert!(is_included, "{file}: {link} is not in the package, which has {included:?}");
        }
    }
}

#[test]
fn readme_names_the_examples_and_the_features() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let features = manifest.split_once("[features]").unwrap().1.split("\n[").next().unwrap();
    let features = features.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    // These two enable nothing on their own.
    for feature in features.filter(|name| !["default", "internal_metrics"].contains(name)) {
        assert!(text.contains(&format!("`{feature}`")), "no feature {feature}");
    }
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let name = example.unwrap().file_name().into_string().unwrap();
        // These two are no starting points. examples/README.md lists them.
        if name.ends_with(".rs") && !["clock.rs", "page.rs"].contains(&name.as_str()) {
            assert!(text.contains(&format!("(examples/{name})")), "no example {name}");
        }
    }
}
