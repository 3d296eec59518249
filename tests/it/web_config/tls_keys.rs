//! Tests the keys of `tls_server_config` as clients see them.

use std::net::SocketAddr;

use prometheus_hyper::Guard;
use prometheus_hyper::rustls::{CipherSuite, NamedGroup};
use rcgen::{BasicConstraints, IsCa};

use crate::support::client::get;
use crate::support::server::start;

use super::tls::{Ca, Pair, TLS12, TLS13, TlsClient};
use super::{Scratch, basic, builder, hash, logged, warnings};

/// The files of a server: `server.crt`, `server.key`, and `clients.pem`, the client CA.
struct Files {
    folder: Scratch,
    ca: Ca,
    clients: Ca,
}

impl Files {
    fn new(name: &str) -> Self {
        let files = Files { folder: Scratch::new(name), ca: Ca::new("ca"), clients: Ca::new("clients") };
        files.ca.issue(&["localhost"]).write(&files.folder, "server");
        files.folder.write("clients.pem", files.clients.pem());
        files
    }

    /// Starts a server with additional keys.
    fn start(&self, keys: &str) -> (Guard, SocketAddr) {
        start(builder(self.write(keys)))
    }

    fn write(&self, keys: &str) -> std::path::PathBuf {
        let text = format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{keys}\n");
        self.folder.write("web.yml", text)
    }

    fn client(&self) -> TlsClient<'_> {
        TlsClient::trusting(&self.ca)
    }
}

pub(super) const PLAIN_HTTP: &str = "Client sent an HTTP request to an HTTPS server.\n";

#[test]
fn certificates_come_from_files_or_inline() {
    let folder = Scratch::new("inline");
    let ca = Ca::new("ca");
    let pair = ca.issue(&["localhost"]);
    pair.write(&folder, "certs/server");
    let indented = |pem: &str| pem.trim().replace('\n', "\n    ");
    let (certificate, key) = (indented(&pair.certificate), indented(&pair.key));
    let absolute = folder.path("certs/server");
    let absolute = absolute.display();
    let table = [
        "cert_file: certs/server.crt\n  key_file: certs/server.key".to_owned(),
        "cert_file: ./certs/../certs/server.crt\n  key_file: certs/server.key".to_owned(),
        format!("cert_file: {absolute}.crt\n  key_file: {absolute}.key"),
        format!("cert: |\n    {certificate}\n  key: |\n    {key}"),
        format!("cert: |\n    {certificate}\n  key_file: certs/server.key"),
        format!("cert_file: certs/server.crt\n  key: |\n    {key}"),
    ];
    for keys in table {
        let text = format!(
            "tls_server_config:\n  {keys}\nbasic_auth_users:\n  one: {}\nhttp_server_config:\n  headers:\n    \
             Strict-Transport-Security: max-age=60\n",
            hash("first")
        );
        let (_guard, addr) = start(builder(folder.write("web.yml", text)));
        let client = TlsClient::trusting(&ca);
        assert!(client.hello(addr).unwrap().certificate == pair.der(), "{keys}: a different certificate");
        for (headers, expected) in [("", 401), (&basic("one", "first"), 200)] {
            let answer = client.fetch(addr, "/metrics", headers).unwrap();
            assert_eq!(answer.status, expected, "{keys}: {answer:?}");
            assert_eq!(answer.header("strict-transport-security"), Some("max-age=60"), "{keys}: {answer:?}");
        }
        let plain = get(addr, "/metrics");
        assert_eq!((plain.status, &*plain.body), (400, PLAIN_HTTP), "{keys}");
    }
}

#[test]
fn each_client_auth_type_accepts_the_right_clients() {
    let files = Files::new("client-auth");
    let (right, wrong) = (files.clients.issue(&["a"]), Ca::new("others").issue(&["a"]));
    let ca = "\n  client_ca_file: clients.pem";
    let inline = format!("\n  client_ca: |\n    {}", files.clients.pem().trim().replace('\n', "\n    "));
    // The results without a certificate, with one of the CA, and with one of another CA.
    let table = [
        ("", "", ["200", "200", "200"]),
        ("NoClientCert", "", ["200", "200", "200"]),
        ("RequestClientCert", "", ["200", "200", "200"]),
        ("RequestClientCert", ca, ["200", "200", "200"]),
        ("RequireAnyClientCert", "", ["CertificateRequired", "200", "200"]),
        ("RequireAnyClientCert", ca, ["CertificateRequired", "200", "200"]),
        ("VerifyClientCertIfGiven", ca, ["200", "200", "UnknownCA"]),
        ("RequireAndVerifyClientCert", ca, ["CertificateRequired", "200", "UnknownCA"]),
        ("RequireAndVerifyClientCert", &inline, ["CertificateRequired", "200", "UnknownCA"]),
    ];
    for (auth, ca, expected) in table {
        let (_guard, addr) = files.start(&format!("  client_auth_type: '{auth}'{ca}"));
        for versions in [TLS12, TLS13] {
            let outcomes = [None, Some(&right), Some(&wrong)].map(|shows| {
                let mut client = files.client();
                client.shows = shows;
                client.versions = versions;
                client.outcome(addr)
            });
            assert_eq!(outcomes, expected, "{auth}, {:?}, CA: {ca}", versions[0].version);
        }
    }
}

#[test]
fn client_certificate_needs_an_allowed_name() {
    let files = Files::new("sans");
    let table: [(&[&str], &str); 8] = [
        (&["one"], "200"),
        (&["zero", "10.1.2.3"], "200"),
        (&["other", "one"], "200"),
        (&["zero"], "AccessDenied"),
        (&["one.example"], "AccessDenied"),
        (&["ONE"], "AccessDenied"),
        (&["10.1.2.4"], "AccessDenied"),
        (&[], "AccessDenied"),
    ];
    for (auth, warned) in
        [("RequireAndVerifyClientCert\n  client_ca_file: clients.pem", 0), ("RequireAnyClientCert", 1)]
    {
        let keys = format!("  client_auth_type: {auth}\n  client_allowed_sans: [two, one, 10.1.2.3]");
        let log = logged(builder(files.write(&keys)), |addr| {
            for (names, expected) in table {
                let pair = files.clients.issue(names);
                let mut client = files.client();
                client.shows = Some(&pair);
                assert_eq!(client.outcome(addr), expected, "{names:?}, {auth}");
            }
            assert_eq!(files.client().outcome(addr), "CertificateRequired", "{auth}");
        });
        assert_eq!(warnings(&log).len(), warned, "{log}");
    }
}

#[test]
fn min_and_max_version_limit_the_tls_versions() {
    let files = Files::new("versions");
    let table = [
        ("", ["200", "200"], 0),
        ("  min_version: TLS12\n  max_version: TLS13", ["200", "200"], 0),
        ("  min_version: TLS13", ["ProtocolVersion", "200"], 0),
        ("  max_version: TLS12", ["200", "ProtocolVersion"], 0),
        ("  min_version: TLS12\n  max_version: TLS12", ["200", "ProtocolVersion"], 0),
        // The server does not offer versions that rustls lacks, and warns about them.
        ("  min_version: TLS10", ["200", "200"], 1),
    ];
    for (keys, expected, warned) in table {
        let log = logged(builder(files.write(keys)), |addr| {
            let outcomes = [TLS12, TLS13].map(|versions| {
                let mut client = files.client();
                client.versions = versions;
                client.outcome(addr)
            });
            assert_eq!(outcomes, expected, "{keys}");
        });
        assert_eq!(warnings(&log).len(), warned, "{keys}: {log}");
    }
}

#[test]
fn cipher_suites_follow_the_list_and_the_preferred_order() {
    use CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as AES_128,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as AES_256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as CHACHA, TLS13_AES_128_GCM_SHA256 as AES_128_OF_13,
    };
    let files = Files::new("suites");
    let list = "  cipher_suites:\n    - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\n    \
                - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n";
    let theirs = format!("{list}  prefer_server_cipher_suites: false\n");
    // The file's keys, the client's suites in order, the negotiated suite.
    type Row<'t> = (&'t str, &'t [CipherSuite], Result<CipherSuite, &'t str>);
    let table: [Row<'_>; 7] = [
        ("", &[AES_256], Ok(AES_256)),
        (list, &[AES_256], Err("HandshakeFailure")),
        (list, &[AES_128], Ok(AES_128)),
        (list, &[AES_256, AES_128, CHACHA], Ok(CHACHA)),
        (&theirs, &[AES_256, AES_128, CHACHA], Ok(AES_128)),
        (&theirs, &[CHACHA, AES_128], Ok(CHACHA)),
        // As in Go, the order does not apply to TLS 1.3.
        (list, &[AES_128_OF_13], Ok(AES_128_OF_13)),
    ];
    for (keys, suites, expected) in table {
        let (_guard, addr) = files.start(keys);
        let mut client = files.client();
        client.suites = suites;
        client.versions = if suites == [AES_128_OF_13] { TLS13 } else { TLS12 };
        let suite = client.hello(addr).map(|session| session.suite);
        assert_eq!(suite, expected.map_err(str::to_owned), "{keys}: {suites:?}");
    }
}

#[test]
fn curve_preferences_limit_the_curves() {
    use NamedGroup::{X25519, secp256r1, secp384r1};
    let files = Files::new("curves");
    let table: [(&str, &[NamedGroup], Result<NamedGroup, &str>); 5] = [
        ("", &[secp256r1], Ok(secp256r1)),
        ("  curve_preferences: [CurveP384, X25519]", &[secp256r1], Err("HandshakeFailure")),
        ("  curve_preferences: [CurveP384, X25519]", &[secp256r1, X25519], Ok(X25519)),
        ("  curve_preferences: [CurveP384, X25519]", &[secp384r1], Ok(secp384r1)),
        ("  curve_preferences: [CurveP256]", &[X25519, secp256r1], Ok(secp256r1)),
    ];
    for (keys, groups, expected) in table {
        let (_guard, addr) = files.start(keys);
        let mut client = files.client();
        client.groups = groups;
        let group = client.hello(addr).map(|session| session.group);
        assert_eq!(group, expected.map_err(str::to_owned), "{keys}: {groups:?}");
    }
}

#[test]
fn alpn_negotiates_http1_even_with_http2_enabled() {
    let files = Files::new("http2");
    let table: [(&str, &[&str], Option<&str>); 5] = [
        ("", &["h2", "http/1.1"], Some("http/1.1")),
        ("http_server_config:\n  http2: true", &["h2", "http/1.1"], Some("http/1.1")),
        ("http_server_config:\n  http2: false", &["h2", "http/1.1"], Some("http/1.1")),
        ("http_server_config:\n  http2: true", &["http/1.1"], Some("http/1.1")),
        ("http_server_config:\n  http2: true", &[], None),
    ];
    for (keys, alpn, expected) in table {
        let (_guard, addr) = files.start(keys);
        let mut client = files.client();
        client.alpn = alpn;
        assert_eq!(client.hello(addr).unwrap().alpn.as_deref(), expected, "{keys}: {alpn:?}");
        assert_eq!(client.outcome(addr), "200", "{keys}: {alpn:?}");
    }
    let (_guard, addr) = files.start("http_server_config:\n  http2: true");
    let mut client = files.client();
    client.alpn = &["h2"];
    assert_eq!(client.hello(addr).map(|session| session.alpn), Err("NoApplicationProtocol".to_owned()));
}

/// Upstream's example: a self-signed client certificate is also in the CA file.
#[test]
fn self_signed_certificate_may_be_its_own_ca() {
    let files = Files::new("self-signed");
    let pair = Pair::self_signed("a", IsCa::NoCa);
    // `openssl req -x509` makes such certificates. Go accepts any certificate of the CA file. rustls accepts
    // no CA as a client.
    let of_a_ca = Pair::self_signed("b", IsCa::Ca(BasicConstraints::Unconstrained));
    files.folder.write("clients.pem", format!("{}{}", pair.certificate, of_a_ca.certificate));
    let (_guard, addr) =
        files.start("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem");
    let forged = Pair::self_signed("a", IsCa::NoCa);
    let other = Pair::self_signed("c", IsCa::NoCa);
    for (shows, expected) in
        [(&pair, "200"), (&forged, "DecryptError"), (&other, "UnknownCA"), (&of_a_ca, "CertificateUnknown")]
    {
        let mut client = files.client();
        client.shows = Some(shows);
        assert_eq!(client.outcome(addr), expected);
    }
}
