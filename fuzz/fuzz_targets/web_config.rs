//! Any text is a web-config file, or is rejected in one line that names the place. A web-config file is also
//! YAML to another parser.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::check_web_config;
use serde_yaml_ng::Value;

const KEYS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

fuzz_target!(|text: &str| {
    match check_web_config(text) {
        Err(told) => {
            assert!(told.starts_with("web.yml:"), "{told:?}");
            assert!(!told.contains(char::is_control), "the error has a control character: {told:?}");
            // The error quotes little, however long the file is.
            assert!(told.len() < 1024, "{} bytes", told.len());
        }
        // Parsers disagree on whether an odd text is empty, but not on its options.
        Ok((_, false)) => {}
        Ok((users, true)) => {
            let value: Value = serde_yaml_ng::from_str(text).expect("YAML to another parser");
            let sections = value.as_mapping().expect("a mapping to another parser");
            for key in sections.keys() {
                assert!(key.as_str().is_some_and(|key| KEYS.contains(&key)), "{key:?} is not a section");
            }
            let listed = sections.get("basic_auth_users").and_then(Value::as_mapping);
            assert_eq!(listed.map_or(0, |users| users.len()), users, "users");
        }
    }
});
