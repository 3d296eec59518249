//! Any query string is parsed or rejected. A parsed one can be written and parsed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::{Names, Query, QueryError};

fuzz_target!(|text: &str| {
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.ends_with('.') && sentence.is_ascii());
            let selectors = text.split('&').count();
            assert!(error != QueryError::TooMany || selectors > Query::MAX_SELECTORS);
            assert!(
                error == QueryError::TooMany || text.contains('%'),
                "a query without escapes is not malformed"
            );
            return;
        }
    };
    // A query without our parameters selects everything.
    if !text.contains(['[', '%']) {
        assert!(query.registries.is_empty() && query.names == Names::default());
        assert!(query.names.want(text, &["_sum"]));
    }
    assert!(query.registries.is_sorted_by(|a, b| a < b), "registries are sorted and distinct");

    // `Names` does not expose its names. So a naive parser takes them from the text, in addition to `want`.
    if !text.contains('%') {
        for parameter in text.split('&') {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.replace('+', " ");
            match key {
                "name[]" => {
                    assert!(query.names.want(&value, &[]), "{value:?} is not selected");
                    if let Some(family) = value.strip_suffix("_bucket") {
                        assert!(query.names.want(family, &["_sum", "_bucket"]), "{value:?} is not selected");
                    }
                }
                "registry[]" => assert!(query.registries.contains(&value), "{value:?} is not selected"),
                _ => {}
            }
        }
    }
    // Escaping every byte, even twice, gives the same selection.
    let escape = |value: &String| value.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let registries: Vec<String> =
        query.registries.iter().rev().map(|name| format!("%72egistry%5b]={}", escape(name))).collect();
    if registries.len() * 2 <= Query::MAX_SELECTORS {
        let again = Query::parse(&format!("{0}&{0}&x=%", registries.join("&"))).expect("well-formed");
        assert_eq!(again.registries, query.registries);
    }
});
