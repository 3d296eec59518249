//! Tests the web config files of exporter-toolkit's tests. Each row has the expected result.

use std::collections::BTreeSet;
use std::io::ErrorKind::{self, InvalidInput, NotFound};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prometheus_hyper::rustls::CipherSuite;
use rcgen::{IsCa, KeyPair};

use crate::support::client::get;
use crate::support::server::start;

use super::settings::five_headers_on_every_response;
use super::tls::{Ca, Pair, TLS12, TLS13, TlsClient};
use super::tls_keys::PLAIN_HTTP;
use super::{Scratch, basic, builder, logged, warnings};

/// The files that the web config files name.
struct Stage {
    folder: Scratch,
    ca: Ca,
    clients: Ca,
    clients2: Ca,
}

impl Stage {
    fn new() -> Self {
        let stage = Stage {
            folder: Scratch::new("shared"),
            ca: Ca::new("ca"),
            clients: Ca::new("client_selfsigned"),
            clients2: Ca::new("client2_selfsigned"),
        };
        // Upstream's key is RSA, and some files name only suites for RSA. ring does not generate such keys.
        let key = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl, to make an RSA key");
        assert!(key.status.success(), "openssl: {key:?}");
        let key = KeyPair::from_pem(&String::from_utf8(key.stdout).unwrap()).unwrap();
        stage.ca.issue_for(&["localhost"], &key).write(&stage.folder, "server");
        stage.folder.write("client_selfsigned.pem", stage.clients.pem());
        stage.folder.write("client2_selfsigned.pem", stage.clients2.pem());
        stage
    }

    fn client(&self) -> TlsClient<'_> {
        TlsClient::trusting(&self.ca)
    }

    fn showing<'s>(&'s self, pair: &'s Pair) -> TlsClient<'s> {
        TlsClient { shows: Some(pair), ..self.client() }
    }
}

/// A file, its result in the README there, and the check of that result.
type Row = (&'static str, &'static str, Check);

enum Check {
    /// `bind` fails with this kind, at this line and key, with these words in its message.
    Refused(ErrorKind, &'static str, &'static [&'static str]),
    /// The server serves as the README says.
    Accepted(fn(&Stage, PathBuf)),
}

use Check::{Accepted, Refused};

const ROWS: &[Row] = &[
    (
        "tls_config_noAuth.requireandverifyclientcert.good.yml",
        "accepted; a client without a certificate of that CA fails the handshake",
        Accepted(verified_clients),
    ),
    (
        "web_config_auth_clientCAs_invalid.bad.yml",
        "error: no such file",
        Refused(NotFound, "4: tls_server_config.client_ca_file", &["somefile: ", "No such file"]),
    ),
    (
        "web_config_auth_clientCAs_missing.bad.yml",
        "error: verification asked for, no client CA",
        Refused(
            InvalidInput,
            "4: tls_server_config.client_auth_type",
            &["verification is required", "no client CA"],
        ),
    ),
    (
        "web_config_auth_client_san.good.yaml",
        "accepted; a client whose SANs hold none of the list is refused",
        Accepted(allowed_sans),
    ),
    (
        "web_config_auth_user_list_invalid.bad.yml",
        "error: not a bcrypt hash",
        Refused(InvalidInput, "5: basic_auth_users.john", &["not a bcrypt hash"]),
    ),
    ("web_config_empty.yml", "accepted: plain HTTP, open", Accepted(plain_and_open)),
    (
        "web_config_headers.good.yml",
        "accepted: the five headers stand on every response",
        Accepted(|stage, path| {
            five_headers_on_every_response(&stage.folder, &fs::read_to_string(path).unwrap());
        }),
    ),
    (
        "web_config_headers_extra_header.bad.yml",
        "error: this header can not be configured",
        Refused(
            InvalidInput,
            "3: http_server_config.headers.Content-Type",
            &["this header cannot be configured"],
        ),
    ),
    (
        "web_config_junk_key.yml",
        "error: unknown key, with its line",
        Refused(InvalidInput, "2: tls_server_config.cert_filse", &["unknown key"]),
    ),
    (
        "web_config_noAuth.bad.yml",
        "error: client CA without a client auth type",
        Refused(
            InvalidInput,
            "4: tls_server_config.client_ca_file",
            &["client CA without a client auth type"],
        ),
    ),
    ("web_config_noAuth.good.yml", "accepted: HTTPS; a plain HTTP request is told so", Accepted(https)),
    (
        "web_config_noAuth_allCiphers.good.yml",
        "accepted with one warning that names them",
        Accepted(all_suites),
    ),
    (
        "web_config_noAuth_certPath_empty.bad.yml",
        "error: one of cert or cert_file is missing",
        Refused(InvalidInput, "1: tls_server_config", &["one of cert or cert_file is missing"]),
    ),
    (
        "web_config_noAuth_inventedCiphers.bad.yml",
        "error: unknown cipher",
        Refused(
            InvalidInput,
            "6: tls_server_config.cipher_suites",
            &["unknown cipher suite: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048"],
        ),
    ),
    (
        "web_config_noAuth_keyPath_invalid.bad.yml",
        "error: no such file",
        // Names the certificate, because that file does not exist either.
        Refused(NotFound, "2: tls_server_config.cert_file", &["server.cert: ", "No such file"]),
    ),
    ("web_config_noAuth_noHTTP2.good.yml", "accepted: HTTP/1.1, TLS 1.2 only", Accepted(http1_and_tls12)),
    (
        "web_config_noAuth_someCurves.good.yml",
        "an error that names the curve and those that do exist",
        Refused(
            InvalidInput,
            "7: tls_server_config.curve_preferences",
            &["CurveP521", "expected one of X25519, CurveP256, CurveP384"],
        ),
    ),
    (
        "web_config_noAuth_wrongTLSVersion.bad.yml",
        "error: unknown TLS version",
        Refused(InvalidInput, "5: tls_server_config.min_version", &["unknown TLS version: TLS111"]),
    ),
    (
        "web_config_rate_limiter_one_second.yaml",
        "`burst: 0` refuses every request with 429, as upstream; a missing `burst` is 1, with a warning",
        Accepted(no_burst),
    ),
    (
        "web_config_users.good.yml",
        "dave/dave123 and carol/carol123 get in; any other password and any unknown user get 401",
        Accepted(users),
    ),
];

#[test]
#[ignore = "needs ../shared: .ci/run shared"]
fn bind_accepts_or_rejects_each_shared_file() {
    let shared =
        env::var_os("SHARED").expect("SHARED: the folder that holds web-config/; .ci/run shared sets it");
    let shared = Path::new(&shared).join("web-config");
    let readme = fs::read_to_string(shared.join("README.md")).unwrap();
    let rows: Vec<(&str, &str)> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(file, _)| *file != "file" && *file != "---")
        .collect();
    let set = |names: Vec<&str>| {
        let set: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(set.len(), names.len(), "a duplicate row: {names:?}");
        set
    };
    let of_readme = set(rows.iter().map(|(file, _)| *file).collect());
    let there: BTreeSet<String> = fs::read_dir(&shared)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(of_readme, there, "the rows of the README differ from the files");
    assert_eq!(
        of_readme,
        set(ROWS.iter().map(|(file, ..)| *file).collect()),
        "the rows of the README differ from those here"
    );

    let stage = Stage::new();
    for (file, verdict) in rows {
        let (_, expected, check) = ROWS.iter().find(|row| row.0 == file).unwrap();
        assert!(
            verdict.contains(expected),
            "{file}: the README says {verdict:?}, this test checks {expected:?}"
        );
        println!("{file}: {verdict}");
        let path = stage.folder.write(file, fs::read(shared.join(file)).unwrap());
        match check {
            Refused(kind, location, words) => {
                let error = builder(&path).listen("127.0.0.1:0").bind().unwrap_err();
                let (sentence, expected) =
                    (error.to_string(), format!("web_config: {}:{location}: ", path.display()));
                assert!(sentence.starts_with(&expected), "{sentence}\ndoes not begin with\n{expected}");
                assert_eq!(error.kind(), *kind, "{sentence}");
                for word in *words {
                    assert!(sentence.contains(word), "{word:?} is not in {sentence}");
                }
            }
            Accepted(check) => check(&stage, path),
        }
    }
}

fn verified_clients(stage: &Stage, path: PathBuf) {
    let (_guard, addr) = start(builder(path));
    let (right, wrong) = (stage.clients.issue(&["a"]), stage.clients2.issue(&["a"]));
    let forged = Pair::self_signed("client_selfsigned", IsCa::NoCa);
    for versions in [TLS12, TLS13] {
        for (client, expected) in [
            (stage.client(), "CertificateRequired"),
            (stage.showing(&right), "200"),
            (stage.showing(&wrong), "UnknownCA"),
            (stage.showing(&forged), "DecryptError"),
        ] {
            let client = TlsClient { versions, ..client };
            assert_eq!(client.outcome(addr), expected, "{versions:?}");
        }
    }
}

fn allowed_sans(stage: &Stage, path: PathBuf) {
    let (_guard, addr) = start(builder(path));
    let table: [(&[&str], &str); 6] = [
        (&["one"], "200"),
        (&["zero", "test3"], "200"),
        (&["two"], "200"),
        (&["test2", "test"], "AccessDenied"),
        (&["one.example"], "AccessDenied"),
        (&[], "AccessDenied"),
    ];
    for (names, expected) in table {
        let pair = stage.clients2.issue(names);
        assert_eq!(stage.showing(&pair).outcome(addr), expected, "{names:?}");
    }
    let of_another_ca = stage.clients.issue(&["one"]);
    assert_eq!(stage.showing(&of_another_ca).outcome(addr), "UnknownCA");
    assert_eq!(stage.client().outcome(addr), "CertificateRequired");
}

fn plain_and_open(stage: &Stage, path: PathBuf) {
    let log = logged(builder(path), |addr| {
        for path in ["/metrics", "/", "/-/healthy"].repeat(10) {
            assert_eq!(get(addr, path).status, 200, "{path}");
        }
        let outcome = stage.client().outcome(addr);
        assert_ne!(outcome, "200", "the server must not serve HTTPS");
    });
    assert_eq!(warnings(&log).len(), 0, "{log}");
}

fn https(stage: &Stage, path: PathBuf) {
    let (_guard, addr) = start(builder(path));
    assert_eq!(stage.client().outcome(addr), "200");
    let plain = get(addr, "/metrics");
    assert_eq!((plain.status, &*plain.body), (400, PLAIN_HTTP));
}

fn all_suites(stage: &Stage, path: PathBuf) {
    use CipherSuite as C;
    let log = logged(builder(path), |addr| {
        for suite in [
            C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            C::TLS13_AES_128_GCM_SHA256,
            C::TLS13_AES_256_GCM_SHA384,
            C::TLS13_CHACHA20_POLY1305_SHA256,
        ] {
            let is_13 = format!("{suite:?}").starts_with("TLS13_");
            let versions = if is_13 { TLS13 } else { TLS12 };
            let suites = [suite];
            let client = TlsClient { suites: &suites, versions, ..stage.client() };
            assert_eq!(client.hello(addr).map(|session| session.suite), Ok(suite));
        }
    });
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1, "{log}");
    for suite in [
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    ] {
        assert!(warnings[0].contains(suite), "{suite}: {log}");
    }
    assert!(!warnings[0].contains("GCM"), "the warning names supported suites: {log}");
}

fn http1_and_tls12(stage: &Stage, path: PathBuf) {
    let (_guard, addr) = start(builder(path));
    let client = TlsClient { alpn: &["h2", "http/1.1"], ..stage.client() };
    let session = client.hello(addr).unwrap();
    let shown = (session.version, session.suite, session.alpn.as_deref());
    let version = TLS12[0].version;
    assert_eq!(shown, (version, CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, Some("http/1.1")));
    let answer = client.fetch(addr, "/metrics", "").unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{answer:?}");
    let suites = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    for (client, expected) in [
        (TlsClient { versions: TLS13, ..stage.client() }, "ProtocolVersion"),
        (TlsClient { versions: TLS12, suites: &suites, ..stage.client() }, "HandshakeFailure"),
        (TlsClient { alpn: &["h2"], ..stage.client() }, "NoApplicationProtocol"),
    ] {
        assert_eq!(client.outcome(addr), expected);
    }
}

fn no_burst(stage: &Stage, path: PathBuf) {
    let text = fs::read_to_string(&path).unwrap();
    let log = logged(builder(path), |addr| {
        for path in ["/metrics", "/", "/nowhere"].repeat(3) {
            let answer = get(addr, path);
            assert_eq!(answer.status, 429, "{path}: {answer:?}");
            assert_eq!(answer.header("retry-after"), Some("1"), "{path}: {answer:?}");
        }
    });
    assert_eq!(warnings(&log).len(), 0, "{log}");

    let without: String =
        text.lines().filter(|line| !line.contains("burst")).map(|line| format!("{line}\n")).collect();
    // A long interval, so that no second one begins during the test.
    let without = without.replace("1s", "1h");
    assert!(without != text && without.contains("1h"), "{text}");
    let path = stage.folder.write("no-burst.yml", without);
    let log = logged(builder(&path), |addr| {
        assert_eq!([(); 3].map(|()| get(addr, "/metrics").status), [200, 429, 429]);
    });
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1, "{log}");
    let expected = format!("{}:1: rate_limit: without a burst, 1 is used", path.display());
    assert!(warnings[0].contains(&expected), "{log}");
}

fn users(stage: &Stage, path: PathBuf) {
    let client = stage.client();
    let log = logged(builder(&path), |addr| {
        // Long enough to check any of the hashes. With a shorter timeout the response is 503.
        let ask = |user: &str, password: &str| {
            let headers = format!("X-Prometheus-Scrape-Timeout-Seconds: 120\r\n{}", basic(user, password));
            client.fetch(addr, "/metrics", &headers).unwrap().status
        };
        assert_eq!(client.outcome(addr), "401");
        for (user, password, expected) in [
            ("dave", "dave123", 200),
            ("carol", "carol123", 200),
            ("dave", "carol123", 401),
            ("carol", "", 401),
            ("alice", "alice", 401),
            ("bob", "bob", 401),
            ("nobody", "dave123", 401),
            ("Dave", "dave123", 401),
            ("dave", "dave123", 200),
            ("carol", "carol123", 200),
        ] {
            assert_eq!(ask(user, password), expected, "{user}/{password}");
        }
    });
    // Checking bob's password would delay all other logins, so the server does not check it.
    let warnings = warnings(&log);
    assert_eq!(warnings.len(), 1, "{log}");
    let expected = format!("{}:6: basic_auth_users.bob: a bcrypt cost of 18, above 16: ", path.display());
    assert!(warnings[0].contains(&expected), "{log}");
}
