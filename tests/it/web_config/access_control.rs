//! Tests which paths require a login, also with a mounted handler.

use std::io;

use http::{HeaderMap, Request};
use hyper::service::Service;
use prometheus_hyper::{Handler, Server};

use crate::support::log::Log;
use crate::support::server::start;

use super::tls::Ca;
use super::{Scratch, basic, builder, fetch, hash};

#[test]
fn only_health_paths_need_no_login_by_default() {
    let folder = Scratch::new("health");
    let path = folder.write("web.yml", format!("basic_auth_users: {{one: {}}}\n", hash("first")));
    // Path, status without a login, status without a login with `auth_for_health`, status with a login.
    let table = [
        ("/-/healthy", 200, 401, 200),
        ("/-/ready", 200, 401, 200),
        ("/metrics", 401, 401, 200),
        ("/", 401, 401, 200),
        ("/nowhere", 401, 401, 404),
        ("/-/nowhere", 401, 401, 404),
        ("/-/healthy/", 401, 401, 404),
        ("/metrics?registry[]=none", 401, 401, 400),
    ];
    for protect in [false, true] {
        let (_guard, addr) = start(builder(&path).auth_for_health(protect));
        for (path, open, protected, known) in table {
            let expected = if protect { protected } else { open };
            let answer = fetch(addr, path, "");
            assert_eq!(answer.status, expected, "{path}, protected: {protect}: {answer:?}");
            let answer = fetch(addr, path, &basic("one", "first"));
            assert_eq!(answer.status, known, "{path}, protected: {protect}: {answer:?}");
        }
    }
}

fn handler(folder: &Scratch, text: &str) -> io::Result<Handler> {
    builder(folder.write("web.yml", text)).into_handler()
}

fn call(handler: &Handler, headers: &str) -> (u16, HeaderMap) {
    let mut request = Request::get("/mounted");
    if let Some((name, value)) = headers.trim().split_once(": ") {
        request = request.header(name, value);
    }
    let runtime = crate::support::runtime::current_thread();
    let answer = runtime.block_on(handler.call(request.body(()).unwrap())).unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

#[test]
fn handler_applies_users_headers_and_rate_limit() {
    let folder = Scratch::new("handler");
    let text = format!(
        "basic_auth_users: {{one: {}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n\
         rate_limit: {{interval: 1h, burst: 3}}\n",
        hash("first")
    );
    let log = Log::default();
    let handler = log.capture(|| handler(&folder, &text)).unwrap();
    assert_eq!(log.text(), "");
    let (right, wrong) = (basic("one", "first"), basic("one", "second"));
    // Requests without valid credentials do not count towards the burst of three.
    let (stranger, guess, known) = (("", 401), (&wrong[..], 401), (&right[..], 200));
    let table = [stranger, stranger, stranger, stranger, guess, known, known, known, (&right, 429), stranger];
    for (authorization, expected) in table {
        let (status, headers) = call(&handler, authorization);
        assert_eq!(status, expected, "{authorization:?}: {headers:?}");
        assert_eq!(headers["x-frame-options"], "deny", "{authorization:?}: {headers:?}");
    }
}

#[test]
fn broken_file_fails_the_handler() {
    let folder = Scratch::new("broken-handler");
    let text = format!("basic_auth_users: {{one: {}}}\nusers: {{}}\n", hash("first"));
    let error = handler(&folder, &text).unwrap_err().to_string();
    assert!(error.starts_with("web_config: ") && error.contains("web.yml:2: users: unknown key"), "{error}");
}

/// Regression: the client CA was the only access control of the file, and a handler ignored it silently.
#[test]
fn handler_rejects_a_file_with_tls() {
    let folder = Scratch::new("handler-tls");
    let ca = Ca::new("ca");
    ca.issue(&["localhost"]).write(&folder, "server");
    folder.write("ca.pem", ca.pem());
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let mutual = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n";
    for text in [tls.to_owned(), format!("{tls}{mutual}")] {
        let error = handler(&folder, &text).unwrap_err().to_string();
        let expected = "web.yml: tls_server_config: a mounted handler has no connections";
        assert!(error.starts_with("web_config: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn conflicting_auth_fails_the_handler() {
    let folder = Scratch::new("handler-both");
    let path = folder.write("web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n");
    let error = builder(path).bearer_token("token").into_handler().unwrap_err().to_string();
    assert!(error.contains("bearer_token, basic_auth: the file says that, or the builder"), "{error}");
}

#[test]
fn bind_rejects_auth_and_tls_options_with_a_web_config() {
    let folder = Scratch::new("both");
    let path = folder.write("web.yml", "");
    let one = || Server::builder().web_config(&path);
    let table = [
        (one().bearer_token("token"), "bearer_token, basic_auth"),
        (one().basic_auth("one", hash("first")), "bearer_token, basic_auth"),
        (one().rate_limit(std::time::Duration::from_secs(1), 1), "rate_limit"),
        (one().tls_files("server.crt", "server.key"), "tls_config, tls_files, tls_client_ca"),
    ];
    for (builder, options) in table {
        let error = builder.listen("127.0.0.1:0").bind().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{options}");
        let expected =
            format!("web_config: {}: {options}: the file says that, or the builder", path.display());
        assert_eq!(error.to_string(), expected);
    }
}
