//! The files of a crate, and the imports between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::imports::{self, Imports};

pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// The files of each module. A module has two if another file replaces it when a feature is disabled.
    modules: BTreeMap<imports::Path, Vec<usize>>,
}

pub(super) struct File {
    /// The path below the root, with slashes.
    pub(super) name: String,
    module: imports::Path,
    pub(super) imports: Imports,
    /// The other files that it uses.
    pub(super) uses: BTreeSet<usize>,
    /// The paths in other crates that it names. `core::` and `alloc::` are `std::`.
    pub(super) outside: BTreeSet<String>,
}

/// The target of a path.
enum Target {
    /// An item in one of these files.
    Item(BTreeSet<usize>),
    /// These files themselves, named by their module.
    Module(BTreeSet<usize>),
    Outside(String),
}

impl Tree {
    /// Reads the crate with this root file, without its tests.
    pub(super) fn read(root: &Path, first: &str) -> Tree {
        let mut texts = |name: &str| fs::read_to_string(root.join(name)).ok();
        Tree::of(first, &mut texts)
    }

    /// Reads a crate from texts by file name.
    fn of(first: &str, text: &mut dyn FnMut(&str) -> Option<String>) -> Tree {
        let mut tree = Tree { files: Vec::new(), modules: BTreeMap::new() };
        let source = text(first).unwrap_or_else(|| panic!("there is no {first}"));
        tree.add(first, Vec::new(), &source, "", text);
        for file in 0..tree.files.len() {
            let (uses, outside) = tree.used_by(file);
            tree.files[file].uses = uses;
            tree.files[file].outside = outside;
        }
        tree
    }

    /// Adds a file and its modules. Their files are in this folder.
    fn add(
        &mut self,
        name: &str,
        module: imports::Path,
        source: &str,
        folder: &str,
        text: &mut dyn FnMut(&str) -> Option<String>,
    ) {
        let imports = imports::read(&module, source);
        let mut found = Vec::new();
        for child in &imports.modules {
            let own_folder = &name[..name.rfind('/').map_or(0, |slash| slash + 1)];
            let mut files = Vec::new();
            if !child.always {
                let stem = format!("{folder}{}", child.name);
                files.push((format!("{stem}.rs"), format!("{stem}/")));
                files.push((format!("{stem}/mod.rs"), format!("{stem}/")));
            }
            for path in &child.paths {
                let file = joined(own_folder, path);
                let inside = file[..file.rfind('/').map_or(0, |slash| slash + 1)].to_owned();
                files.push((file, inside));
            }
            let before = found.len();
            for (file, inside) in files {
                if let Some(source) = text(&file) {
                    found.push((child.name.clone(), file, inside, source));
                }
            }
            assert!(found.len() > before, "{name}: no file for mod {}", child.name);
        }
        self.modules.entry(module.clone()).or_default().push(self.files.len());
        self.files.push(File {
            name: name.to_owned(),
            module: module.clone(),
            imports,
            uses: BTreeSet::new(),
            outside: BTreeSet::new(),
        });
        for (child, file, inside, source) in found {
            let module = module.iter().cloned().chain([child]).collect();
            self.add(&file, module, &source, &inside, text);
        }
    }

    fn used_by(&self, file: usize) -> (BTreeSet<usize>, BTreeSet<String>) {
        let (mut uses, mut outside) = (BTreeSet::new(), BTreeSet::new());
        let imports = &self.files[file].imports;
        let mut take = |target, of_module| match target {
            Target::Item(files) => uses.extend(files),
            Target::Module(files) if of_module => uses.extend(files),
            Target::Module(_) => {}
            Target::Outside(path) => {
                outside.insert(path);
            }
        };
        for import in &imports.uses {
            let Some(name) = &import.name else {
                self.resolve(file, &import.path, 0).into_iter().for_each(|target| take(target, true));
                continue;
            };
            for target in self.resolve(file, &import.path, 0) {
                // A parent that exports an item of its child does not use the child. The importer of the item
                // does.
                let passed_on =
                    import.exported && !imports.words.contains(name) && self.is_below(&target, file);
                if !passed_on {
                    // Importing a module is no use of it. Naming an item in it is.
                    take(target, false);
                }
            }
        }
        for path in &imports.paths {
            self.resolve(file, path, 0).into_iter().for_each(|target| take(target, false));
        }
        uses.remove(&file);
        // The other file of the same module.
        uses.retain(|used| self.files[*used].module != self.files[file].module);
        (uses, outside)
    }

    fn is_below(&self, target: &Target, file: usize) -> bool {
        let (Target::Item(files) | Target::Module(files)) = target else { return false };
        files.iter().all(|target| self.files[*target].module.starts_with(&self.files[file].module))
    }

    /// Returns the targets of a path in this file.
    fn resolve(&self, file: usize, path: &[String], depth: u8) -> Vec<Target> {
        assert!(depth < 20, "{}: {path:?} imports itself", self.files[file].name);
        let File { module, imports, .. } = &self.files[file];
        if path[0] == "crate" {
            return self.walk(Vec::new(), &path[1..], depth);
        }
        if imports.modules.iter().any(|child| child.name == path[0]) {
            return self.walk(module.clone(), path, depth);
        }
        let targets = self.follow(file, path, depth);
        if targets.is_empty() { vec![Target::Outside(outside(path))] } else { targets }
    }

    /// Resolves the path by the file's `use` of its first name.
    fn follow(&self, file: usize, path: &[String], depth: u8) -> Vec<Target> {
        let named =
            self.files[file].imports.uses.iter().filter(|import| import.name.as_ref() == Some(&path[0]));
        // Skips `use http;`, and exported macros.
        let named = named.filter(|import| import.path[0] != path[0]);
        named
            .flat_map(|import| {
                let path: imports::Path = import.path.iter().chain(&path[1..]).cloned().collect();
                self.resolve(file, &path, depth + 1)
            })
            .collect()
    }

    /// Resolves a path relative to this module.
    fn walk(&self, mut module: imports::Path, mut path: &[String], depth: u8) -> Vec<Target> {
        while let [name, rest @ ..] = path {
            module.push(name.clone());
            if !self.modules.contains_key(&module) {
                module.pop();
                break;
            }
            path = rest;
        }
        let files = &self.modules[&module];
        if path.is_empty() {
            return vec![Target::Module(files.iter().copied().collect())];
        }
        let exported: Vec<Target> = files.iter().flat_map(|file| self.follow(*file, path, depth)).collect();
        if exported.is_empty() { vec![Target::Item(files.iter().copied().collect())] } else { exported }
    }

    /// Returns groups of files in which each file uses each other, directly or indirectly.
    pub(super) fn cycles(&self) -> Vec<Vec<&str>> {
        let reached: Vec<BTreeSet<usize>> =
            (0..self.files.len()).map(|file| self.reached_from(file)).collect();
        let mut cycles = BTreeSet::new();
        for file in 0..self.files.len() {
            let others = reached[file].iter().filter(|other| reached[**other].contains(&file));
            let mut names: Vec<&str> = others.map(|other| self.files[*other].name.as_str()).collect();
            names.sort_unstable();
            if !names.is_empty() {
                cycles.insert(names);
            }
        }
        cycles.into_iter().collect()
    }

    fn reached_from(&self, file: usize) -> BTreeSet<usize> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
        while let Some(file) = open.pop() {
            open.extend(self.files[file].uses.iter().filter(|used| reached.insert(**used)));
        }
        reached
    }

    /// Returns the imports between these files, one a line.
    pub(super) fn arrows_among(&self, names: &[&str]) -> String {
        let mut lines = String::new();
        for file in self.files.iter().filter(|file| names.contains(&file.name.as_str())) {
            let used = file.uses.iter().map(|used| self.files[*used].name.as_str());
            let used: Vec<&str> = used.filter(|name| names.contains(name)).collect();
            writeln!(lines, "    {} uses {}", file.name, used.join(", ")).unwrap();
        }
        lines
    }

    /// Returns the units that each unit at the root uses.
    pub(super) fn units(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in &self.files {
            let used = file.uses.iter().map(|used| self.files[*used].unit());
            units.entry(file.unit()).or_default().extend(used.filter(|used| *used != file.unit()));
        }
        units
    }

    /// Returns units with their levels, imports and cycles.
    pub(super) fn drawn(&self) -> String {
        let units = self.units();
        let mut levels: BTreeMap<&str, usize> = units.keys().map(|unit| (*unit, 0)).collect();
        // As many rounds as units, because a cycle among them would never end.
        for _ in 0..units.len() {
            for (unit, used) in &units {
                let above = used.iter().map(|used| levels[used] + 1).max().unwrap_or(0);
                levels.insert(unit, above);
            }
        }
        let mut sorted: Vec<(&str, usize)> = levels.into_iter().collect();
        sorted.sort_by_key(|(unit, level)| (std::cmp::Reverse(*level), *unit));
        let mut text = String::new();
        for (unit, level) in &sorted {
            let used: Vec<&str> = units[unit].iter().copied().collect();
            writeln!(text, "{level:>2} {unit} -> {}", used.join(", ")).unwrap();
        }
        let among_files: usize = self.files.iter().map(|file| file.uses.len()).sum();
        writeln!(
            text,
            "{} units, {} levels, {} arrows; {} files, {among_files} arrows, {} cycles",
            units.len(),
            sorted.iter().map(|(_, level)| level).collect::<BTreeSet<_>>().len(),
            units.values().map(BTreeSet::len).sum::<usize>(),
            self.files.len(),
            self.cycles().len(),
        )
        .unwrap();
        text
    }
}

impl File {
    /// Returns the module at the root that contains the file, or `lib`.
    pub(super) fn unit(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

fn outside(path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).filter(|segment| !segment.is_empty()).collect();
    let path = path.join("::");
    match path.split_once("::") {
        Some(("core" | "alloc", rest)) => format!("std::{rest}"),
        _ => path,
    }
}

/// Resolves a path relative to a folder.
fn joined(folder: &str, path: &str) -> String {
    let mut joined = PathBuf::from(folder);
    for part in Path::new(path) {
        if part == ".." && joined.file_name().is_some() {
            joined.pop();
        } else {
            joined.push(part);
        }
    }
    joined.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        Tree::of("lib.rs", &mut |name| files.get(name).map(|text| (*text).to_owned()))
    }

    /// Returns the files that a file uses, and the paths in other crates.
    fn used_by(tree: &Tree, name: &str) -> String {
        let file = tree.files.iter().find(|file| file.name == name).unwrap();
        let used = file.uses.iter().map(|used| tree.files[*used].name.clone());
        used.chain(file.outside.iter().cloned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn resolves_an_item_to_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod net; mod util; pub use net::Listener;"),
            (
                "net.rs",
                "mod listener; mod tls; pub(crate) use listener::{Listener, Socket as TcpSocket}; use crate::util;",
            ),
            ("net/listener.rs", "pub struct Listener; pub struct Socket;"),
            ("net/tls.rs", "TEXT"),
            ("util.rs", "pub(crate) mod io_error; pub fn f() {}"),
            ("util/io_error.rs", "pub fn annotated() {}"),
        ];
        let table = [
            ("", ""),
            ("use super::Listener;", "net/listener.rs"),
            ("use super::TcpSocket;", "net/listener.rs"),
            ("use crate::{net::{Listener}, util};", "net/listener.rs"),
            ("use crate::Listener;", "net/listener.rs"),
            ("fn f() -> crate::Listener {}", "net/listener.rs"),
            ("fn f() { super::Listener::new() }", "net/listener.rs"),
            ("use super::listener; fn f() { listener::Listener::new() }", "net/listener.rs"),
            ("use super::Other;", "net.rs"),
            ("fn f() { super::g() }", "net.rs"),
            ("use super::*;", "net.rs"),
            ("use crate::Other;", "lib.rs"),
            ("use crate::util; fn f() { util::f() }", "util.rs"),
            ("use crate::util; fn f() { util::io_error::annotated() }", "util/io_error.rs"),
            // A `use` of the parent is visible in its children.
            ("fn f() { super::util::io_error::annotated() }", "util/io_error.rs"),
            (
                "use tokio::net; fn f() { net::TcpStream::connect() }",
                "tokio::net tokio::net::TcpStream::connect",
            ),
            ("use core::net::IpAddr;", "std::net::IpAddr"),
            ("fn f() -> ::http::Uri { http::Uri::new() }", "http::Uri http::Uri::new"),
            ("mod inner { use super::super::Listener; fn f() { super::g() } }", "net/listener.rs"),
            ("#[cfg(test)] mod tests { use crate::util::f; }", ""),
        ];
        for (text, expected) in table {
            let mut files = files;
            files[3].1 = text;
            assert_eq!(used_by(&tree(&files), "net/tls.rs"), expected, "{text}");
        }
    }

    #[test]
    fn parent_does_not_use_a_child_that_it_only_exports() {
        let table = [
            ("mod b; pub use b::C;", ""),
            ("mod b; pub(crate) use b::{C, D};", ""),
            ("mod b; use b::C;", "a/b.rs"),
            ("mod b; pub use b::C; fn f(c: C) {}", "a/b.rs"),
            ("mod b; pub use b::C; fn f() { C::new() }", "a/b.rs"),
            ("mod b; pub use b::C; fn f() { b::g() }", "a/b.rs"),
            // `z` is no child, so exporting an item of it is a use.
            ("mod b; pub use crate::z::C;", "z.rs"),
        ];
        for (text, expected) in table {
            let files = [("lib.rs", "mod a; mod z;"), ("a.rs", text), ("a/b.rs", ""), ("z.rs", "")];
            assert_eq!(used_by(&tree(&files), "a.rs"), expected, "{text}");
        }
    }

    #[test]
    fn finds_the_files_of_modules() {
        let files = [
            (
                "lib.rs",
                "#[cfg_attr(not(unix), path = \"a/absent.rs\")] mod a; #[path = \"../../elsewhere/b.rs\"] mod b; mod c;",
            ),
            ("a.rs", "mod deep;"),
            ("a/absent.rs", "use crate::c::C;"),
            ("a/deep.rs", ""),
            ("../../elsewhere/b.rs", "mod below;"),
            ("../../elsewhere/below.rs", ""),
            ("c/mod.rs", "mod d;"),
            ("c/d.rs", "use crate::a::A;"),
        ];
        let tree = tree(&files);
        assert_eq!(tree.files.len(), files.len());
        assert_eq!(used_by(&tree, "a/absent.rs"), "c/mod.rs");
        assert_eq!(used_by(&tree, "c/d.rs"), "a.rs a/absent.rs");
    }

    #[test]
    fn finds_cycles() {
        let files = |a: &'static str, b: &'static str, c: &'static str| {
            [("lib.rs", "mod a; mod b; pub use a::A; fn f(_: A) {}"), ("a.rs", a), ("b.rs", b), ("a/c.rs", c)]
        };
        let table: [(&str, &str, &str, &[&[&str]]); 6] = [
            ("mod c; use c::C;", "use crate::a::A;", "", &[]),
            ("mod c; pub use c::C; pub struct A;", "", "use super::A;", &[]),
            ("mod c; use c::C; pub struct A;", "", "use super::A;", &[&["a.rs", "a/c.rs"]]),
            ("mod c; use crate::b::B;", "use crate::a::A;", "", &[&["a.rs", "b.rs"]]),
            ("mod c; use c::C;", "use crate::a::A;", "use crate::b::B;", &[&["a.rs", "a/c.rs", "b.rs"]]),
            ("mod c; use crate::f;", "", "", &[&["a.rs", "lib.rs"]]),
        ];
        for (a, b, c, expected) in table {
            assert_eq!(tree(&files(a, b, c)).cycles(), expected, "{a} {b} {c}");
        }
    }

    #[test]
    fn draws_units_and_levels() {
        let files = [
            ("lib.rs", "mod a; mod b; use a::A; use b::B;"),
            ("a.rs", "mod c; use c::C; use crate::b::B;"),
            ("a/c.rs", "use crate::b::B;"),
            ("b.rs", ""),
        ];
        let drawn =
            " 2 lib -> a, b\n 1 a -> b\n 0 b -> \n3 units, 3 levels, 3 arrows; 4 files, 5 arrows, 0 cycles\n";
        assert_eq!(tree(&files).drawn(), drawn);
    }
}
