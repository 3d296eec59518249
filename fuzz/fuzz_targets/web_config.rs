//! Any text is a web-config file or is refused in one line that says where; what is one is YAML by another's reading, too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_hyper::internals::check_web_config;
use serde_yaml_ng::Value;

const KEYS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

fuzz_target!(|text: &str| {
    match check_web_config(text) {
        Err(told) => {
            assert!(told.starts_with("web.yml:"), "{told:?}");
            assert!(!told.contains(char::is_control), "a line of the log: {told:?}");
            // What it quotes is short, however long the file is.
            assert!(told.len() < 1024, "{} bytes", told.len());
        }
        // Readers quarrel about whether there is anything in an odd text; not about what is configured.
        Ok((_, false)) => {}
        Ok((users, true)) => {
            let value: Value = serde_yaml_ng::from_str(text).expect("YAML to another reader, too");
            let sections = value.as_mapping().expect("a mapping to another reader, too");
            for key in sections.keys() {
                assert!(key.as_str().is_some_and(|key| KEYS.contains(&key)), "{key:?} is no section");
            }
            let listed = sections.get("basic_auth_users").and_then(Value::as_mapping);
            assert_eq!(listed.map_or(0, |users| users.len()), users, "users");
        }
    }
});
