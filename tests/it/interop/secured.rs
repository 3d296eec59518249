//! Tests which clients may connect and log in, and the errors that other programs report: Prometheus, curl,
//! OpenSSL, sslscan.

mod certificates;
mod scanners;
mod swap;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Guard, Server};

use super::prometheus::{Job, Prometheus};
use crate::support::Scratch;
use certificates::{Authority, Pair};
use testing::process::tool;

/// The hash of "allmine", from OpenBSD's tests.
const HASH: &str = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";

fn start(options: impl FnOnce(Builder) -> Builder) -> (Guard, SocketAddr) {
    let builder = options(Server::builder().registry(&Registry::new()));
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

/// A job's name, the server's options, the scrape configuration, and one of the possible errors in
/// `lastError`. Without errors, the target must be up.
type Row<'a> = (&'a str, &'a dyn Fn(Builder) -> Builder, String, &'a [&'a str]);

const UP: &[&str] = &[];
const UNAUTHORIZED: &[&str] = &["server returned HTTP status 401 Unauthorized"];

#[test]
#[ignore = "needs a Prometheus: .ci/run programs"]
fn prometheus_authenticates_and_reports_wrong_credentials() {
    let scratch = Scratch::new("interop");
    let path = |name: &str| scratch.path(name).display().to_string();
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    ours.write(&scratch, "ours.crt");
    others.write(&scratch, "others.crt");
    ours.issue(&["localhost"]).write(&scratch, "server");
    ours.issue_until(2020, &["localhost"]).write(&scratch, "expired");
    ours.issue(&["prometheus"]).write(&scratch, "client");
    others.issue(&["prometheus"]).write(&scratch, "stranger");

    let pair = |name: &str| (scratch.path(&format!("{name}.crt")), scratch.path(&format!("{name}.key")));
    let files = |builder: Builder, name: &str| {
        let (certificates, key) = pair(name);
        builder.tls_files(certificates, key)
    };
    let plain = |builder: Builder| builder;
    let tls = |builder: Builder| files(builder, "server");
    let expired = |builder: Builder| files(builder, "expired");
    let mutual = |builder: Builder| tls(builder).tls_client_ca(scratch.path("ours.crt"));
    let basic = |builder: Builder| tls(builder).basic_auth("prometheus", HASH);
    let bearer = |builder: Builder| tls(builder).bearer_token("yesterdays.token");
    let rotation = |builder: Builder| bearer(builder).bearer_token("todays.token");
    let either = |builder: Builder| rotation(basic(builder));
    let elsewhere = |builder: Builder| tls(builder).allow_network("10.0.0.0/8");
    let here = |builder: Builder| elsewhere(builder).allow_network("127.0.0.0/8");
    let one = |builder: Builder| tls(builder).rate_limit(Duration::from_secs(3600), 1);
    let all = |builder: Builder| here(mutual(basic(builder))).rate_limit(Duration::from_millis(1), 5);

    let https = |ca: &str, name: &str, more: &str| {
        let ca = path(ca);
        format!(
            "scheme: https, tls_config: {{ca_file: '{ca}', server_name: '{name}', insecure_skip_verify: false{more}}}"
        )
    };
    let right = || https("ours.crt", "localhost", "");
    let with_pair = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
        https("ours.crt", "localhost", &format!(", cert_file: '{certificate}', key_file: '{key}'"))
    };
    let login = |user: &str, password: &str| {
        format!("{}, basic_auth: {{username: '{user}', password: '{password}'}}", right())
    };
    let token = |token: &str| format!("{}, authorization: {{credentials: '{token}'}}", right());
    let to_all = with_pair("client") + ", basic_auth: {username: prometheus, password: allmine}";

    let table: &[Row<'_>] = &[
        ("tls", &tls, right(), UP),
        ("tls-http1", &tls, right() + ", enable_http2: false", UP),
        (
            "tls-unknown-ca",
            &tls,
            https("others.crt", "localhost", ""),
            &["x509: certificate signed by unknown authority"],
        ),
        (
            "tls-wrong-name",
            &tls,
            https("ours.crt", "example.org", ""),
            &["x509: certificate is valid for localhost, not example.org"],
        ),
        (
            "tls-no-name",
            &tls,
            https("ours.crt", "", ""),
            &["x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"],
        ),
        ("tls-expired", &expired, right(), &["x509: certificate has expired or is not yet valid"]),
        ("http-to-https", &tls, "scheme: http".to_owned(), &["server returned HTTP status 400 Bad Request"]),
        ("https-to-http", &plain, right(), &["http: server gave HTTP response to HTTPS client"]),
        ("mtls", &mutual, with_pair("client"), UP),
        ("mtls-without", &mutual, right(), &["remote error: tls: certificate required"]),
        (
            "mtls-stranger",
            &mutual,
            with_pair("stranger"),
            &["remote error: tls: unknown certificate authority"],
        ),
        ("basic", &basic, login("prometheus", "allmine"), UP),
        ("basic-wrong-password", &basic, login("prometheus", "allmine2"), UNAUTHORIZED),
        ("basic-unknown-user", &basic, login("nobody", "allmine"), UNAUTHORIZED),
        ("basic-nothing", &basic, right(), UNAUTHORIZED),
        ("basic-a-token", &basic, token("todays.token"), UNAUTHORIZED),
        ("bearer", &bearer, token("yesterdays.token"), UP),
        ("bearer-wrong", &bearer, token("todays.token"), UNAUTHORIZED),
        ("bearer-nothing", &bearer, right(), UNAUTHORIZED),
        ("rotation-old", &rotation, token("yesterdays.token"), UP),
        ("rotation-new", &rotation, token("todays.token"), UP),
        ("rotation-wrong", &rotation, token("tomorrows.token"), UNAUTHORIZED),
        ("either-token", &either, token("todays.token"), UP),
        ("either-password", &either, login("prometheus", "allmine"), UP),
        ("either-wrong", &either, login("prometheus", "todays.token"), UNAUTHORIZED),
        ("allowed", &here, right(), UP),
        // The error depends on whether the kernel closes before or after the client's first message.
        ("not-allowed", &elsewhere, right(), &["EOF", "connection reset by peer", "broken pipe"]),
        ("rate", &one, right(), &["server returned HTTP status 429 Too Many Requests"]),
        ("all", &all, to_all, UP),
        ("all-without-password", &all, with_pair("client"), UNAUTHORIZED),
    ];
    let served: Vec<(Guard, SocketAddr)> = table.iter().map(|(_, options, ..)| start(options)).collect();
    let jobs = table.iter().zip(&served);
    let jobs: Vec<Job<'_>> =
        jobs.map(|((name, _, config, _), (_, addr))| Job { name, addr: *addr, config }).collect();
    let prometheus = Prometheus::start_jobs(&[], &jobs);

    // The last state of each job, until it is as expected. Repeated wrong passwords return 429.
    let mut waiting: Vec<&Row<'_>> = table.iter().collect();
    let mut said = BTreeMap::new();
    prometheus.wait_for("the expected state of each job", || {
        let targets = prometheus.get("/api/v1/targets", &[])?["activeTargets"].take();
        let targets = targets.as_array().ok_or("no targets")?;
        waiting.retain(|(name, _, _, expected)| {
            let Some(target) = targets.iter().find(|target| target["scrapePool"] == *name) else {
                return true;
            };
            let (health, error) = (target["health"].as_str().unwrap(), target["lastError"].as_str().unwrap());
            said.insert(*name, format!("{health} {error:?}"));
            let as_expected = if expected.is_empty() {
                health == "up" && error.is_empty()
            } else {
                health == "down" && expected.iter().any(|expected| error.contains(expected))
            };
            !as_expected
        });
        let differences: Vec<String> = waiting
            .iter()
            .map(|(name, _, _, expected)| format!("{name}: expected {expected:?}, got {:?}", said.get(name)))
            .collect();
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    });
    for (name, said) in &said {
        println!("{name}: {said}");
    }

    // No job with an error was ever up.
    let best = prometheus.get("/api/v1/query", &[("query", "max by (job) (max_over_time(up[1h]))")]).unwrap();
    let best: BTreeMap<&str, &str> = best["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["metric"]["job"].as_str().unwrap(), result["value"][1].as_str().unwrap()))
        .collect();
    for (name, _, _, expected) in table {
        // The rate limit allows one scrape.
        let expected = if expected.is_empty() || *name == "rate" { "1" } else { "0" };
        assert_eq!(best.get(name), Some(&expected), "{name}: {said:?}");
    }
}

/// Prometheus and curl offer HTTP/2 first, and accept HTTP/1.1.
#[test]
#[ignore = "needs curl: .ci/run programs"]
fn curl_with_http2_gets_http1() {
    let scratch = Scratch::new("interop");
    let ours = Authority::new("ours");
    ours.write(&scratch, "ours.crt");
    ours.issue(&["localhost"]).write(&scratch, "server");
    let (_guard, addr) = start(|builder| {
        builder
            .tls_files(scratch.path("server.crt"), scratch.path("server.key"))
            .basic_auth("prometheus", HASH)
    });
    let url = format!("https://localhost:{}/metrics", addr.port());
    for (user, version, expected) in [
        ("prometheus:allmine", "--http1.1", "|1.1 200"),
        ("prometheus:allmine", "--http2", "|1.1 200"),
        ("prometheus:wrong", "--http2", "|1.1 401"),
    ] {
        let mut curl = Command::new(tool("CURL", "curl"));
        curl.args(["--silent", "--show-error", "--ipv4", "--max-time", "20", "--cacert"])
            .arg(scratch.path("ours.crt"))
            .args(["--write-out", "|%{http_version} %{http_code}", "--user", user, version, &url]);
        let ended = scratch.run(&mut curl, "");
        assert!(ended.status.success(), "{user} {version}: {ended}");
        assert!(ended.stdout.ends_with(expected), "{user} {version}: {ended}");
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`.
    fn write(&self, scratch: &Scratch, name: &str) {
        std::fs::write(scratch.path(&format!("{name}.crt")), &self.certificate).unwrap();
        std::fs::write(scratch.path(&format!("{name}.key")), &self.key).unwrap();
    }
}

impl Authority {
    fn write(&self, scratch: &Scratch, name: &str) {
        std::fs::write(scratch.path(name), self.pem()).unwrap();
    }
}
