//! Tests the web config files that `bind` rejects: the kind of the error, and the location in its message.

use std::fs;
use std::io::ErrorKind::{self, InvalidInput, NotFound};
use std::path::PathBuf;
#[cfg(unix)]
use std::{process::Command, sync::mpsc, thread};

#[cfg(unix)]
use prometheus_hyper::{Server, prometheus::Registry};

#[cfg(unix)]
use crate::support::client::PATIENCE;

use super::tls::Ca;
use super::{Scratch, basic, builder, fetch, hash, logged, warnings};

fn refused(path: PathBuf) -> (ErrorKind, String) {
    let error = builder(path).listen("127.0.0.1:0").bind().unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn bind_names_file_line_and_key() {
    let folder = Scratch::new("refused");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    ca.issue(&["localhost"]).write(&folder, "other");
    folder.write("empty.pem", "");
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    // The last two bits of a hash are unused. If they are set, no password matches, neither here nor in Go's
    // bcrypt.
    let never = format!("{}/", &hash("SECRET")[..59]);
    // The file, the error kind, line and key, the beginning of the message.
    let table = [
        ("a: 1".to_owned(), InvalidInput, "1: a", "unknown key; expected one of tls_server_config, "),
        (
            "rate_limit:\n  interval: 1s\n  bursts: 1".to_owned(),
            InvalidInput,
            "3: rate_limit.bursts",
            "unknown key",
        ),
        (
            "rate_limit:\n\n  interval: soon".to_owned(),
            InvalidInput,
            "3: rate_limit.interval",
            "not a duration",
        ),
        (
            "rate_limit:\n  interval: 1s\n  burst: -1".to_owned(),
            InvalidInput,
            "3: rate_limit.burst",
            "not a whole",
        ),
        (
            "http_server_config: {http2: maybe}".to_owned(),
            InvalidInput,
            "1: http_server_config.http2",
            "neither",
        ),
        (
            "http_server_config:\n  headers:\n    Server: a".to_owned(),
            InvalidInput,
            "3: http_server_config.headers.Server",
            "this header cannot be configured",
        ),
        (
            "basic_auth_users:\n  one: SECRET".to_owned(),
            InvalidInput,
            "2: basic_auth_users.one",
            "not a bcrypt hash",
        ),
        (
            format!("basic_auth_users:\n  one: {never}"),
            InvalidInput,
            "2: basic_auth_users.one",
            "not a bcrypt hash",
        ),
        ("rate_limit: {}\nrate_limit: {}".to_owned(), InvalidInput, "2: rate_limit", "duplicate key"),
        (
            format!("{tls}  curve_preferences: [CurveP521]"),
            InvalidInput,
            "4: tls_server_config.curve_preferences",
            "rustls",
        ),
        (
            format!("{tls}  min_version: SSL3"),
            InvalidInput,
            "4: tls_server_config.min_version",
            "unknown TLS version",
        ),
        (
            format!("{tls}  client_auth_type: RequireAndVerifyClientCert"),
            InvalidInput,
            "4: tls_server_config.client_auth_type",
            "verification is required, but no client CA is set",
        ),
        (
            "\ntls_server_config:\n  cert_file: none.crt\n  key_file: server.key".to_owned(),
            NotFound,
            "3: tls_server_config.cert_file",
            "{folder}/none.crt: ",
        ),
        (
            "tls_server_config:\n  cert_file: server.crt\n  key_file: none.key".to_owned(),
            NotFound,
            "3: tls_server_config.key_file",
            "{folder}/none.key: ",
        ),
        (
            format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none.pem"),
            NotFound,
            "5: tls_server_config.client_ca_file",
            "{folder}/none.pem: ",
        ),
        // Faults in the referenced files.
        (
            "tls_server_config:\n  cert_file: empty.pem\n  key_file: server.key".to_owned(),
            InvalidInput,
            "2: tls_server_config.cert_file",
            "no certificate found",
        ),
        (
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.crt".to_owned(),
            InvalidInput,
            "3: tls_server_config.key_file",
            "no private key found",
        ),
        (
            "tls_server_config:\n  cert_file: server.crt\n  key_file: other.key".to_owned(),
            InvalidInput,
            "3: tls_server_config.key_file",
            "the key does not match the certificate",
        ),
        (
            format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key"),
            InvalidInput,
            "5: tls_server_config.client_ca_file",
            "no certificate found",
        ),
    ];
    for (text, kind, location, what) in table {
        let path = folder.write("web.yml", &text);
        let what = what.replace("{folder}", &folder.0.display().to_string());
        let expected = format!("web_config: {}:{location}: {what}", path.display());
        let (got, sentence) = refused(path);
        assert!(sentence.starts_with(&expected), "{sentence}\ndoes not begin with\n{expected}\n{text}");
        assert_eq!(got, kind, "{sentence}");
        assert!(!sentence.contains("SECRET") && !sentence.contains(&never), "{sentence}");
    }
}

#[test]
fn bind_names_an_unreadable_file() {
    let folder = Scratch::new("unread");
    let missing = folder.path("none.yml");
    let large = folder.write("large.yml", "#".repeat(1024 * 1024 + 1));
    let latin1 = folder.write("latin1.yml", b"#\n# \xe9\n");
    let table = [
        (missing.clone(), NotFound, format!(": {}", fs::read(&missing).unwrap_err())),
        (folder.0.clone(), InvalidInput, ": not a regular file".to_owned()),
        (large, InvalidInput, ": larger than 1048576 bytes".to_owned()),
        (latin1, InvalidInput, ":2: not UTF-8".to_owned()),
    ];
    for (path, kind, what) in table {
        let expected = (kind, format!("web_config: {}{what}", path.display()));
        assert_eq!(refused(path), expected);
    }
}

/// Regression: the documentation said that such a user cannot log in. `bind` rejected the whole file, without
/// its line.
#[test]
fn unsendable_user_name_affects_no_other_user() {
    let folder = Scratch::new("colon");
    let hash = hash("first");
    for (name, shown) in [("a:b", "a:b"), ("a\\tb", "(not shown)")] {
        // As the only user, it must not disable authentication either.
        for others in ["", "\n  one: "] {
            let others = if others.is_empty() { String::new() } else { format!("{others}{hash}") };
            let text = format!("basic_auth_users:\n  \"{name}\": {hash}{others}\n");
            let path = folder.write("web.yml", text);
            let log = logged(builder(&path), |addr| {
                for (headers, expected) in [
                    (basic("one", "first"), if others.is_empty() { 401 } else { 200 }),
                    (basic(&name.replace("\\t", "\t"), "first"), 401),
                    (basic("a", "b:first"), 401),
                    (String::new(), 401),
                ] {
                    let answer = fetch(addr, "/metrics", &headers);
                    assert_eq!(answer.status, expected, "{name}, {others:?}, {headers:?}: {answer:?}");
                }
            });
            let warnings = warnings(&log);
            assert_eq!(warnings.len(), 1, "{log}");
            let expected = format!("web_config: {}:2: basic_auth_users.{shown}: ", path.display());
            assert!(warnings[0].contains(&expected), "{expected:?} is not in {log}");
        }
    }
}

/// A special file neither blocks `bind` nor is read without an end.
#[cfg(unix)]
#[test]
fn special_files_are_rejected_for_every_key() {
    let folder = Scratch::new("special");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    folder.write("ca.pem", ca.pem());
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    folder.write("large", vec![b'#'; 2 * 1024 * 1024]);
    fs::create_dir(folder.path("folder")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path("zero")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path("link")).unwrap();
    let special = [
        ("pipe", "not a regular file"),
        ("link", "not a regular file"),
        ("zero", "not a regular file"),
        ("folder", "not a regular file"),
        ("large", "larger than 1048576 bytes"),
    ];
    let path = |name: &str| folder.path(name);
    let tls_files = |certificates: &str, key: &str, client_ca: &str| {
        let builder = Server::builder().registry(&Registry::new());
        builder.tls_files(path(certificates), path(key)).tls_client_ca(path(client_ca))
    };
    for (name, reason) in special {
        let web_config = |certificates: &str, key: &str, client_ca: &str| {
            let text = format!(
                "tls_server_config:\n  cert_file: {certificates}\n  key_file: {key}\n  client_ca_file: {client_ca}\n  \
                 client_auth_type: RequireAndVerifyClientCert\n"
            );
            builder(folder.write(&format!("{certificates}-{key}-{client_ca}.yml"), text))
        };
        let table = [
            builder(path(name)),
            web_config(name, "server.key", "ca.pem"),
            web_config("server.crt", name, "ca.pem"),
            web_config("server.crt", "server.key", name),
            tls_files(name, "server.key", "ca.pem"),
            tls_files("server.crt", name, "ca.pem"),
            tls_files("server.crt", "server.key", name),
        ];
        for (row, builder) in table.into_iter().enumerate() {
            let (done, is_done) = mpsc::channel();
            thread::spawn(move || done.send(builder.listen("127.0.0.1:0").bind().unwrap_err()));
            let error =
                is_done.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name}, {row}: bind blocks"));
            let expected = format!("{}: {reason}", path(name).display());
            assert!(error.to_string().ends_with(&expected), "{name}, {row}: {error}");
            assert_eq!(error.kind(), InvalidInput, "{name}, {row}: {error}");
        }
    }
}
