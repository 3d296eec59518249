//! Tests the reader of imports with small texts.

use super::*;

fn read_in(module: &str, text: &str) -> Imports {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    read(&module, text)
}

#[test]
fn reads_trees_of_use() {
    let table: &[(&str, &[&str])] = &[
        ("use a;", &["a = a"]),
        ("use a::b;", &["b = a::b"]),
        ("pub use a::b as c;", &["pub c = a::b"]),
        ("pub(in crate::net) use a::b;", &["pub b = a::b"]),
        (
            "use a::{b, c::{d, e as f, self}, g::*};",
            &["b = a::b", "d = a::c::d", "f = a::c::e", "c = a::c", "* = a::g"],
        ),
        ("use {a::b, crate::c,};", &["b = a::b", "c = crate::c"]),
        ("use crate::a::{b, c};", &["b = crate::a::b", "c = crate::a::c"]),
        ("use self::a;", &["a = crate::net::tls::a"]),
        ("use super::a;", &["a = crate::net::a"]),
        ("use super::super::{a, b::c};", &["a = crate::a", "c = crate::b::c"]),
        ("use super::{super::a, b};", &["a = crate::a", "b = crate::net::b"]),
        ("use super::*;", &["* = crate::net"]),
        ("use ::http::Uri;", &["Uri = ::http::Uri"]),
        ("use a::b as _;", &["_ = a::b"]),
        ("fn f() { use a::b; }", &["b = a::b"]),
        ("fn f<'a>() -> impl Fn() + use<'a> { g }", &[]),
        (
            "mod inner { use super::a; use super::super::b; }",
            &["a = crate::net::tls::a", "b = crate::net::b"],
        ),
        ("// use a::b;\n/* use a::b; */ const A: &str = \"use a::b;\";", &[]),
    ];
    for (text, expected) in table {
        let imports = read_in("net::tls", text);
        let line = |one: &Use| {
            let exported = if one.exported { "pub " } else { "" };
            format!("{exported}{} = {}", one.name.as_deref().unwrap_or("*"), one.path.join("::"))
        };
        assert_eq!(imports.uses.iter().map(line).collect::<Vec<_>>(), *expected, "{text}");
    }
}

#[test]
fn reads_paths_in_code() {
    let table: &[(&str, &[&str])] = &[
        ("fn f(a: crate::a::B) -> c::D { e }", &["c::D", "crate::a::B"]),
        ("fn f() { super::g(self::h()) }", &["crate::net::g", "crate::net::tls::h"]),
        ("fn f() { super::super::a::b() }", &["crate::a::b"]),
        ("fn f() { warn!(\"a::b\", error = %crate::a::c(x)) }", &["crate::a::c"]),
        ("macro_rules! m { () => { $crate::a::b() } }", &["crate::a::b"]),
        ("fn f() { <a::B as c::D>::e::g() }", &["a::B", "c::D"]),
        ("fn f() { Vec::<a::B>::new() }", &["a::B"]),
        ("fn f() -> &mut ::http::Uri {}", &["::http::Uri"]),
        ("fn f() { x.y::<a::B>() }", &["a::B"]),
        ("/// See [`crate::a`].\n#[doc = \"crate::a::b\"] #[serde(with = a::b)] fn f() {}", &[]),
        ("pub(in crate::a) struct A { pub(super) b: c::D }", &["c::D"]),
        ("fn f<'a>(a: &'a b::C) -> char { 'a' }", &["b::C"]),
        (
            "mod inner { fn f() { super::g::h(super::super::i()) } }",
            &["crate::net::i", "crate::net::tls::g::h"],
        ),
    ];
    for (text, expected) in table {
        let imports = read_in("net::tls", text);
        let paths: Vec<String> = imports.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, *expected, "{text}");
    }
}

#[test]
fn skips_code_of_tests() {
    let table = [
        ("#[cfg(test)] mod tests { use a::b; fn f() { c::d() } }", ""),
        ("#[cfg(test)] mod tests;", ""),
        ("#[cfg(test)] use a::{b, c}; d::e", "d::e"),
        ("#[cfg(test)] pub(crate) fn f(a: b::C, d: e::F) -> g::H { i::j() } d::e", "d::e"),
        ("#[cfg(test)] pub(crate) const A: b::C = d::E { f: 1 }; g::h", "g::h"),
        ("#[cfg(test)] const fn f() -> a::B { c::d() } g::h", "g::h"),
        ("struct A { #[cfg(test)] b: c::D<e::F>, g: h::I }", "h::I"),
        ("fn f() { #[cfg(test)] if a::b() { c::d() } e::f() }", "e::f"),
        ("#[cfg(all(test, unix))] #[path = \"a.rs\"] mod a; b::c", "b::c"),
        ("#[test] fn f() { a::b() } c::d", "c::d"),
        ("#[cfg(not(test))] fn f() { a::b() }", "a::b"),
        ("#[cfg(any(test, feature = \"a\"))] fn f() { a::b() }", "a::b"),
    ];
    for (text, expected) in table {
        let imports = read_in("a", text);
        let paths: Vec<String> = imports.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(
            (paths.join(" "), imports.modules, imports.uses),
            (expected.into(), vec![], vec![]),
            "{text}"
        );
    }
}

#[test]
fn reads_names_of_one_segment() {
    let imports = read_in("a", "use b::Imported; fn f(x: Used) -> d::Part { y.field(&z) }");
    let words: Vec<&str> = imports.words.iter().map(String::as_str).collect();
    assert_eq!(words, ["Used", "f", "fn", "x", "y", "z"]);
}

#[test]
fn reads_modules_and_their_path_attributes() {
    let text = r#"
        mod plain;
        #[cfg(unix)] pub(crate) mod exported;
        #[path = "elsewhere.rs"] mod moved;
        #[cfg_attr(not(all(feature = "tls", unix)), path = "tls/disabled.rs")] pub mod tls;
        mod inline { fn f() {} }
    "#;
    let child = |name: &str, paths: &[&str], always| Child {
        name: name.into(),
        paths: paths.iter().map(|&path| path.into()).collect(),
        always,
    };
    let expected = [
        child("plain", &[], false),
        child("exported", &[], false),
        child("moved", &["elsewhere.rs"], true),
        child("tls", &["tls/disabled.rs"], false),
    ];
    assert_eq!(read_in("a", text).modules, expected);
}

#[test]
fn counts_features_at_items_and_elsewhere() {
    let table = [
        ("#![cfg_attr(not(feature = \"a\"), allow(dead_code))]", 1, 0),
        ("#[cfg(feature = \"a\")] mod b;", 1, 0),
        ("#[cfg(all(feature = \"a\", feature = \"b\"))] pub(crate) use b::c;", 2, 0),
        ("impl A { #[cfg(feature = \"a\")] #[must_use] pub fn b() {} }", 1, 0),
        ("const A: &[B] = &[ #[cfg(feature = \"a\")] (b, c), d ];", 1, 0),
        ("fn f() { #[cfg(feature = \"a\")] g(); }", 0, 1),
        ("fn f() { if cfg!(feature = \"a\") { g() } }", 0, 1),
        ("fn f() { match a { #[cfg(feature = \"a\")] B => c } }", 0, 1),
        ("#[cfg(test)] mod tests { fn f() { cfg!(feature = \"a\") } }", 0, 0),
    ];
    for (text, at_items, elsewhere) in table {
        assert_eq!(read_in("a", text).features, Features { at_items, elsewhere }, "{text}");
    }
}
