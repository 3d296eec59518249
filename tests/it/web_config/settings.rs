//! Tests the keys that do not need TLS: users, headers, the rate limit.

use std::net::SocketAddr;

use prometheus_hyper::Builder;

use crate::support::server::start;

use super::{Scratch, basic, builder, fetch, hash, logged, send, warnings};

const HEADERS: &str = "http_server_config:
  headers:
    Strict-Transport-Security: max-age=60
    X-Content-Type-Options: nosniff
    X-Frame-Options: sameorigin
    X-XSS-Protection: 1; mode=block
    Content-Security-Policy: \"default-src 'none'\"
";

#[test]
fn only_users_of_the_file_authenticate() {
    let folder = Scratch::new("users");
    // One hash with each prefix.
    let (one, two, three) = (hash("first"), hash("second"), hash("third"));
    let (two, three) = (two.replacen("$2b$", "$2a$", 1), three.replacen("$2b$", "$2y$", 1));
    let text = format!("basic_auth_users:\n  one: {one}\n  two: {two}\n  'thr ee': '{three}'\n");
    let (_guard, addr) = start(builder(folder.write("web.yml", text)));
    let table = [
        (basic("one", "first"), 200),
        (basic("two", "second"), 200),
        (basic("thr ee", "third"), 200),
        (basic("one", "second"), 401),
        (basic("one", ""), 401),
        (basic("four", "first"), 401),
        (basic("", ""), 401),
        ("Authorization: Bearer first\r\n".to_owned(), 401),
        (String::new(), 401),
    ];
    for (authorization, expected) in &table {
        let answer = fetch(addr, "/metrics", authorization);
        assert_eq!(answer.status, *expected, "{authorization:?}: {answer:?}");
        let challenge = (answer.status == 401).then_some("Basic realm=\"metrics\", charset=\"UTF-8\"");
        assert_eq!(answer.header("www-authenticate"), challenge, "{authorization:?}: {answer:?}");
    }
}

/// Sends requests for every status. `text` sets only the headers.
pub(super) fn five_headers_on_every_response(folder: &Scratch, text: &str) {
    let expected: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    assert_eq!(expected.len(), 5, "{text}");
    let authorization = basic("one", "first");
    // The first six requests have no valid credentials, so they do not count towards the rate limit. The last
    // one exceeds it.
    let table = [
        ("GET /-/healthy HTTP/1.1\r\nHost: x\r\n", "", 200),
        ("GET /-/ready HTTP/1.1\r\nHost: x\r\n", "", 200),
        ("GET /metrics HTTP/1.1\r\n", "", 400),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n", "", 405),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n", "", 401),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n", "", 401),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n", &authorization, 200),
        ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n", &authorization, 200),
        ("GET / HTTP/1.1\r\nHost: x\r\n", &authorization, 200),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n", &authorization, 404),
        ("GET /metrics?registry[]=none HTTP/1.1\r\nHost: x\r\n", &authorization, 400),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\n", &authorization, 405),
        ("OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n", &authorization, 204),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n", &authorization, 429),
    ];
    let text = format!(
        "{text}\nbasic_auth_users: {{one: {}}}\nrate_limit: {{interval: 1h, burst: {}}}\n",
        hash("first"),
        table.len() - 7
    );
    let (_guard, addr) = start(builder(folder.write("headers.yml", text)));
    for (request, headers, status) in table {
        let answer = send(addr, &format!("{request}{headers}\r\n"));
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        for (name, value) in &expected {
            let values: Vec<&str> = answer
                .head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .collect();
            assert_eq!(values, [*value], "{request:?}: {name}: {answer:?}");
        }
    }
}

#[test]
fn headers_are_in_every_response() {
    five_headers_on_every_response(&Scratch::new("headers"), HEADERS);
}

#[test]
fn without_headers_in_the_file_none_are_added() {
    let folder = Scratch::new("no-headers");
    let (_guard, addr) = start(builder(folder.write("web.yml", "# nothing\n")));
    let answer = fetch(addr, "/metrics", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    for name in
        ["strict-transport-security", "x-frame-options", "x-xss-protection", "content-security-policy"]
    {
        assert_eq!(answer.header(name), None, "{name}: {answer:?}");
    }
}

/// Returns how many of five scrapes succeed, and `Retry-After` of the others.
fn answered(addr: SocketAddr) -> (usize, Vec<String>) {
    let (mut answered, mut later) = (0, Vec::new());
    for n in 0..5 {
        let answer = fetch(addr, "/metrics", "");
        match answer.status {
            200 => answered += 1,
            429 => later.push(answer.header("retry-after").unwrap_or("none").to_owned()),
            _ => panic!("{n}: {answer:?}"),
        }
    }
    (answered, later)
}

/// Scrapes up to the limit, and checks health beyond it.
fn limited(builder: Builder) -> ((usize, Vec<String>), String) {
    let mut limited = (0, Vec::new());
    let log = logged(builder, |addr| {
        limited = answered(addr);
        for path in ["/-/healthy", "/-/ready"] {
            assert_eq!(fetch(addr, path, "").status, 200, "{path}");
        }
    });
    (limited, log)
}

#[test]
fn rate_limit_of_the_file_is_enforced() {
    let folder = Scratch::new("rate");
    // The limit, how many scrapes succeed, the expected warning. The interval is too long for a second one.
    let without = "web_config: {file}:1: rate_limit: without a burst, 1 is used (exporter-toolkit rejects every request)";
    let table = [
        ("{interval: 1h, burst: 3}", 3, None),
        ("{interval: 1h, burst: 1}", 1, None),
        ("{interval: 1h, burst: 0}", 0, None),
        ("{interval: 1h}", 1, Some(without)),
        ("{interval: 0s, burst: 1}", 5, None),
        (
            "{burst: 1}",
            5,
            Some("web_config: {file}:1: rate_limit: a burst without an interval has no effect"),
        ),
    ];
    for (limit, expected, warning) in table {
        let path = folder.write("web.yml", format!("rate_limit: {limit}\n"));
        let ((answered, later), log) = limited(builder(&path));
        assert_eq!(answered, expected, "{limit}: {log}");
        assert_eq!(later.len(), 5 - expected, "{limit}: {later:?}");
        for later in &later {
            let seconds: u64 = later.parse().unwrap_or_else(|_| panic!("{limit}: {later}"));
            assert!((3000..=3600).contains(&seconds), "{limit}: {seconds} s, not about an hour");
        }
        let warnings = warnings(&log);
        let warning = warning.map(|warning| warning.replace("{file}", &path.display().to_string()));
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{limit}: {log}");
        assert!(warning.is_none_or(|warning| warnings[0].ends_with(&warning)), "{limit}: {log}");
    }
}
