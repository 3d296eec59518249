//! Accepted texts and their values.

use std::time::Duration;

use super::super::tables::CIPHER_SUITES;
use super::super::*;
use super::HASH;
use crate::net::tls::{ClientAuth, TlsVersion};

fn accepted(text: &str) -> WebConfig {
    parse("web.yml", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Parses a TLS section with further lines.
fn tls(more: &str) -> (TlsSettings, Vec<String>) {
    let more = more.replace('\n', "\n  ");
    let config =
        accepted(&format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  {more}\n"));
    (config.tls.unwrap(), config.warnings)
}

#[test]
fn an_empty_file_is_plain_http_without_access_control() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "---\n...\n",
        "~",
        "null",
        "{}",
        "\u{feff}",
        "\u{feff}# nothing",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {}\nhttp_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}\n",
        "tls_server_config: {cert: '', cert_file: '', key: '', key_file: '', client_ca: '', client_ca_file: ''}",
        "tls_server_config: {cert: null, cert_file: ~}",
        "http_server_config: {http2: ~, headers: ~}",
        "http_server_config: {headers: {X-Frame-Options: '', X-XSS-Protection: ~}}",
        "rate_limit: {interval: ~, burst: ~}",
        "rate_limit: {interval: 0}",
        "rate_limit: {interval: 0s, burst: 1}",
    ] {
        let config = accepted(text);
        assert!(config.tls.is_none(), "{text:?}");
        assert_eq!(config.headers, [], "{text:?}");
        assert_eq!(config.users, [], "{text:?}");
        assert_eq!(config.rate_limit, None, "{text:?}");
        // A section without any value gets a warning, which another test checks.
        assert!(config.warnings.is_empty() || text.contains("cert: ''"), "{text:?} {:?}", config.warnings);
    }
}

#[test]
fn reads_every_key() {
    let config = accepted(&format!(
        "---
tls_server_config:
  cert_file: tls/server.crt
  key: |
    -----BEGIN PRIVATE KEY-----
    AAAA
    -----END PRIVATE KEY-----
  client_ca: \"-----BEGIN CERTIFICATE-----\\nBBBB\\n\"
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [one, 'two']
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
  - TLS_AES_128_GCM_SHA256
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384, X25519, CurveP384]
http_server_config:
  http2: off
  headers:
    X-XSS-Protection: 1
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    Content-Security-Policy: \"default-src 'self'\"
    Strict-Transport-Security: max-age=31536000; includeSubDomains
basic_auth_users:
  alice: {HASH}
  yes: \"{HASH}\"
  1: &b {HASH}
  'with blank': *b
rate_limit: {{interval: 1m30s, burst: 7}}
"
    ));
    let tls = config.tls.unwrap();
    assert!(matches!(&tls.cert.pem, Pem::File(path) if path == Path::new("tls/server.crt")));
    let Pem::Inline(key) = &tls.key.pem else { panic!() };
    assert_eq!(key.expose(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let Some(PemSource { pem: Pem::Inline(ca), .. }) = &tls.client_ca else { panic!() };
    assert_eq!(ca.expose(), "-----BEGIN CERTIFICATE-----\nBBBB\n");
    assert_eq!(tls.client_auth, ClientAuth::RequireAndVerifyClientCert);
    assert_eq!(tls.client_allowed_sans, ["one", "two"]);
    assert_eq!((tls.min_version, tls.max_version), (TlsVersion::Tls12, TlsVersion::Tls13));
    assert_eq!(
        names(&tls),
        [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
        ]
    );
    assert!(!tls.prefer_server_cipher_suites);
    assert_eq!(
        tls.curve_preferences.iter().map(|curve| curve.name).collect::<Vec<_>>(),
        ["CurveP384", "X25519"]
    );
    let headers: Vec<(&str, &str)> =
        config.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "sameorigin"),
            ("x-xss-protection", "1"),
            ("content-security-policy", "default-src 'self'"),
        ]
    );
    let users: Vec<&str> = config.users.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(users, ["alice", "yes", "1", "with blank"]);
    assert!(config.users.iter().all(|(_, hash)| hash.expose() == HASH));
    assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_secs(90), burst: 7 }));
    assert_eq!(config.warnings, [""; 0]);
}

fn names(tls: &TlsSettings) -> Vec<&'static str> {
    tls.cipher_suites.iter().map(|suite| suite.name).collect()
}

#[test]
fn missing_keys_have_upstreams_defaults() {
    let (tls, warnings) = tls("");
    assert_eq!(tls.client_auth, ClientAuth::NoClientCert);
    assert!(tls.client_ca.is_none() && tls.client_allowed_sans.is_empty());
    assert_eq!((tls.min_version, tls.max_version), (TlsVersion::Tls12, TlsVersion::Tls13));
    assert!(tls.cipher_suites.is_empty() && tls.curve_preferences.is_empty());
    assert!(tls.prefer_server_cipher_suites);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn reads_client_auth_types() {
    let table = [
        ("''", ClientAuth::NoClientCert),
        ("~", ClientAuth::NoClientCert),
        ("NoClientCert", ClientAuth::NoClientCert),
        ("RequestClientCert", ClientAuth::RequestClientCert),
        ("RequireClientCert", ClientAuth::RequireAnyClientCert),
        ("RequireAnyClientCert", ClientAuth::RequireAnyClientCert),
        ("VerifyClientCertIfGiven", ClientAuth::VerifyClientCertIfGiven),
        ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerifyClientCert),
    ];
    for (text, expected) in table {
        let ca = if expected == ClientAuth::NoClientCert { "" } else { "\nclient_ca_file: ca.pem" };
        let (tls, warnings) = tls(&format!("client_auth_type: {text}{ca}"));
        assert_eq!(tls.client_auth, expected);
        assert_eq!(warnings, [""; 0]);
    }
    // Without a CA there is nothing to verify against.
    assert_eq!(tls("client_auth_type: VerifyClientCertIfGiven").0.client_auth, ClientAuth::NoClientCert);
}

#[test]
fn reads_cipher_suites() {
    let table: &[(&str, &[&str])] = &[
        ("cipher_suites: []", &[]),
        // The suites of TLS 1.3 are always included if that version is enabled.
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            &[
                "TLS_AES_256_GCM_SHA384",
                "TLS_AES_128_GCM_SHA256",
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ],
        ),
        (
            "max_version: TLS12\ncipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        ),
        (
            "min_version: TLS13\ncipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            &["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"],
        ),
    ];
    for (text, expected) in table {
        let (tls, warnings) = tls(text);
        assert_eq!(names(&tls), *expected, "{text}");
        assert_eq!(warnings, [""; 0], "{text}");
    }
    for suite in CIPHER_SUITES {
        let listed =
            format!("cipher_suites:\n- TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\n- {}", suite.name);
        let (tls, warnings) = tls(&listed);
        assert_eq!(tls.cipher_suites.contains(&suite), suite.here);
        assert_eq!(warnings.len(), usize::from(!suite.here));
    }
}

#[test]
fn warns_about_doubtful_settings() {
    let tls = "tls_server_config: {cert_file: c, key_file: k, ";
    let table = [
        (
            "\ntls_server_config: {min_version: TLS13}".to_owned(),
            "2: tls_server_config: neither cert_file nor key_file is set; serving plain HTTP",
        ),
        (
            format!("{tls}min_version: TLS10}}"),
            "1: tls_server_config.min_version: rustls supports no version below TLS12; using TLS12",
        ),
        (
            format!("{tls}\n min_version: TLS11}}"),
            "2: tls_server_config.min_version: rustls supports no version below TLS12; using TLS12",
        ),
        (
            format!("{tls}client_auth_type: RequireAnyClientCert,\n client_allowed_sans: [a]}}"),
            "2: tls_server_config.client_allowed_sans: RequireAnyClientCert does not verify: anybody can create such a \
             certificate",
        ),
        (
            format!(
                "{tls}\n\n cipher_suites: [TLS_RSA_WITH_RC4_128_SHA, TLS_AES_128_GCM_SHA256, \
                 TLS_RSA_WITH_AES_128_CBC_SHA]}}"
            ),
            "3: tls_server_config.cipher_suites: rustls does not support TLS_RSA_WITH_RC4_128_SHA, \
             TLS_RSA_WITH_AES_128_CBC_SHA",
        ),
        (
            format!("basic_auth_users:\n  a:b: {HASH}"),
            "2: basic_auth_users.a:b: a user with a colon in the name cannot log in",
        ),
        (
            "rate_limit: {interval: 1s}".to_owned(),
            "1: rate_limit: without a burst, 1 is used (exporter-toolkit rejects every request)",
        ),
        ("rate_limit: {burst: 3}".to_owned(), "1: rate_limit: a burst without an interval has no effect"),
    ];
    for (text, expected) in table {
        assert_eq!(accepted(&text).warnings, [format!("web.yml:{expected}")], "{text}");
    }
    assert_eq!(
        accepted("rate_limit: {interval: 1s}").rate_limit,
        Some(RateLimit { interval: Duration::from_secs(1), burst: 1 })
    );
}

#[test]
fn reads_booleans() {
    for (texts, expected) in [
        (["true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"], true),
        (["false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"], false),
    ] {
        for text in texts {
            accepted(&format!("http_server_config: {{http2: {text}}}"));
            let tls = format!(
                "tls_server_config: {{cert_file: c, key_file: k, prefer_server_cipher_suites: {text}}}"
            );
            assert_eq!(accepted(&tls).tls.unwrap().prefer_server_cipher_suites, expected, "{text}");
        }
    }
}

#[test]
fn debug_shows_no_secrets() {
    let text = format!(
        "tls_server_config: {{cert: '-----BEGIN SECRET', key: '-----BEGIN SECRET'}}\nbasic_auth_users: {{a: {HASH}}}"
    );
    let debug = format!("{:?}", accepted(&text));
    assert!(!debug.contains("SECRET") && !debug.contains("$2y$") && debug.contains("(not shown)"), "{debug}");
}
