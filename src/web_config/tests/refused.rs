//! Rejected texts, with line and key.

use super::super::*;
use super::HASH;

const LIST: &str = "expected one of NoClientCert, RequestClientCert, RequireClientCert, RequireAnyClientCert, \
                    VerifyClientCertIfGiven, RequireAndVerifyClientCert";

fn refused(text: &str) -> String {
    match parse("web.yml", text) {
        Ok(config) => panic!("{text}\n{config:?}"),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let shown = error.to_string();
            shown.strip_prefix("web.yml:").unwrap_or_else(|| panic!("{shown}")).to_owned()
        }
    }
}

#[test]
fn parse_rejects_a_wrong_structure_with_line_and_key() {
    let table = [
        ("a", "1: not a section (expected keys with values)"),
        ("\n- a", "2: not a section (expected keys with values)"),
        ("rate_limit: []", "1: rate_limit: not a section (expected keys with values)"),
        ("\nrate_limit: 1s", "2: rate_limit: not a section (expected keys with values)"),
        ("basic_auth_users: [a]", "1: basic_auth_users: not a section (expected keys with values)"),
        (
            "http_server_config:\n  headers: a",
            "2: http_server_config.headers: not a section (expected keys with values)",
        ),
        ("tls_server_config: ''", "1: tls_server_config: not a section (expected keys with values)"),
        (
            "rate_limits: {}",
            "1: rate_limits: unknown key; expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit",
        ),
        (
            "rate_limit:\n  interval: 1s\n  bursts: 1",
            "3: rate_limit.bursts: unknown key; expected one of interval, burst",
        ),
        (
            "http_server_config:\n  http3: true",
            "2: http_server_config.http3: unknown key; expected one of http2, headers",
        ),
        (
            "tls_server_config:\n  cert_filse: a",
            "2: tls_server_config.cert_filse: unknown key; expected one of cert, cert_file, key, key_file, \
             client_auth_type, client_ca, client_ca_file, client_allowed_sans, min_version, max_version, \
             cipher_suites, prefer_server_cipher_suites, curve_preferences",
        ),
        // Go's YAML supports merge keys. Here they are unknown keys.
        (
            "rate_limit:\n  <<: {interval: 1s}",
            "2: rate_limit.<<: unknown key; expected one of interval, burst",
        ),
        ("rate_limit: {}\n\nrate_limit: {}", "3: rate_limit: duplicate key"),
        ("rate_limit: {}\n\n'rate_limit': {}", "3: rate_limit: duplicate key"),
        ("rate_limit:\n  interval: 1s\n  interval: 1s", "3: interval: duplicate key"),
        ("? [a]\n: b", "1: a key that is not text"),
        ("? {a: b}\n: b", "1: a key that is not text"),
        ("rate_limit: {}\n---\nrate_limit: {}", "2: a second document (expected one)"),
        ("# a\n# a\u{1}b", "2: a character that YAML does not allow"),
        ("rate_limit: {interval: '\u{feff}'}", "1: a character that YAML does not allow"),
        ("{}\n---\n", "2: a second document (expected one)"),
        ("rate_limit:\n  burst: !!int 1", "2: unsupported tag (expected !!str or none)"),
        ("rate_limit: !!map {}", "1: unsupported tag (expected !!str or none)"),
        ("rate_limit: !thing {}", "1: unsupported tag (expected !!str or none)"),
        ("a: &a\n  b: *a", "2: an alias of a node that contains it"),
    ];
    for (text, expected) in table {
        assert_eq!(refused(text), expected, "{text}");
    }
}

/// The text of these errors is the parser's, so only their line is checked.
#[test]
fn parse_rejects_invalid_yaml_with_its_line() {
    let table = [
        ("rate_limit: {", 1),
        ("rate_limit:\n\tinterval: 1s", 2),
        ("rate_limit: 'a", 1),
        ("rate_limit:\n  interval: *none", 2),
        ("rate_limit:\n  interval: 1s\n burst: 1", 3),
        ("rate_limit:\n  interval: @", 2),
        ("a: b: c", 1),
    ];
    for (text, expected) in table {
        let error = refused(text);
        let line: usize = error.split(':').next().unwrap().parse().unwrap();
        assert!(line == expected || line == expected + 1, "{text}\n{error}");
    }
}

#[test]
fn parse_rejects_invalid_tls_settings_with_line_and_key() {
    let suites = "expected one of TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, \
                  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
                  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
                  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    let suites12 = &suites[.."expected one of ".len()].to_owned();
    let suites12 = format!("{suites12}{}", suites.split_once("TLS_CHACHA20_POLY1305_SHA256, ").unwrap().1);
    // Further keys of the section, and the error. The section begins in line 1, these keys in line 2.
    let table = [
        ("cert_file: a".to_owned(), "1: tls_server_config: one of key or key_file is missing".to_owned()),
        ("key_file: a".to_owned(), "1: tls_server_config: one of cert or cert_file is missing".to_owned()),
        ("client_ca_file: a".to_owned(), "1: tls_server_config: one of cert or cert_file is missing".to_owned()),
        (
            "client_auth_type: RequireAnyClientCert".to_owned(),
            "1: tls_server_config: one of cert or cert_file is missing".to_owned(),
        ),
        (
            "cert: '-----BEGIN '\n  cert_file: a".to_owned(),
            "3: tls_server_config.cert_file: cert and cert_file exclude each other".to_owned(),
        ),
        (
            "key: '-----BEGIN '\n  key_file: a".to_owned(),
            "3: tls_server_config.key_file: key and key_file exclude each other".to_owned(),
        ),
        (
            "client_ca: '-----BEGIN '\n  client_ca_file: a".to_owned(),
            "3: tls_server_config.client_ca_file: client_ca and client_ca_file exclude each other".to_owned(),
        ),
        ("cert: a.pem".to_owned(), "2: tls_server_config.cert: not PEM; a path belongs in cert_file".to_owned()),
        ("key: SECRET".to_owned(), "2: tls_server_config.key: not PEM; a path belongs in key_file".to_owned()),
        (
            "key_file: '-----BEGIN SECRET'".to_owned(),
            "2: tls_server_config.key_file: not a path; PEM text belongs in key".to_owned(),
        ),
        (
            "key_file: |\n    SECRET\n    SECRET".to_owned(),
            "2: tls_server_config.key_file: not a path; PEM text belongs in key".to_owned(),
        ),
        ("cert_file: [a]".to_owned(), "2: tls_server_config.cert_file: a list (expected text)".to_owned()),
        (
            "cert_file: {a: b}".to_owned(),
            "2: tls_server_config.cert_file: keys and values (expected text)".to_owned(),
        ),
        (
            "client_auth_type: Always".to_owned(),
            format!("2: tls_server_config.client_auth_type: unknown client auth type: Always; {LIST}"),
        ),
        (
            "client_ca_file: a\n  cert_file: a\n  key_file: a".to_owned(),
            "2: tls_server_config.client_ca_file: client CA without a client auth type; \
             expected client_auth_type: RequireAndVerifyClientCert"
                .to_owned(),
        ),
        (
            "cert_file: a\n  key_file: a\n  client_auth_type: RequireAndVerifyClientCert".to_owned(),
            "4: tls_server_config.client_auth_type: verification is required, but no client CA is set: client_ca_file or \
             client_ca is missing"
                .to_owned(),
        ),
        (
            "client_allowed_sans: [a]".to_owned(),
            "2: tls_server_config.client_allowed_sans: client_auth_type must be RequireAndVerifyClientCert or \
             RequireAnyClientCert: with other types a client needs no certificate"
                .to_owned(),
        ),
        (
            "client_allowed_sans: []".to_owned(),
            "2: tls_server_config.client_allowed_sans: an empty list, which would admit no client".to_owned(),
        ),
        ("client_allowed_sans: a".to_owned(), "2: tls_server_config.client_allowed_sans: not a list".to_owned()),
        (
            "client_allowed_sans:\n  - a\n  - [b]".to_owned(),
            "4: tls_server_config.client_allowed_sans: a list (expected text)".to_owned(),
        ),
        (
            "client_allowed_sans:\n  - a\n  -".to_owned(),
            "4: tls_server_config.client_allowed_sans: an empty list item".to_owned(),
        ),
        (
            "min_version: TLS111".to_owned(),
            "2: tls_server_config.min_version: unknown TLS version: TLS111; expected one of TLS10, TLS11, TLS12, TLS13"
                .to_owned(),
        ),
        (
            "min_version: ''".to_owned(),
            "2: tls_server_config.min_version: unknown TLS version: (not shown); expected one of TLS10, TLS11, TLS12, TLS13"
                .to_owned(),
        ),
        (
            "max_version: 1.3".to_owned(),
            "2: tls_server_config.max_version: unknown TLS version: 1.3; expected one of TLS10, TLS11, TLS12, TLS13"
                .to_owned(),
        ),
        (
            "max_version: TLS11".to_owned(),
            "2: tls_server_config.max_version: rustls supports no version below TLS12".to_owned(),
        ),
        (
            "min_version: TLS13\n  max_version: TLS12".to_owned(),
            "3: tls_server_config.max_version: below min_version".to_owned(),
        ),
        (
            "cipher_suites:\n  - TLS_AES_128_GCM_SHA256\n  - TLS_AES_128_GCM_SHA2048".to_owned(),
            format!("4: tls_server_config.cipher_suites: unknown cipher suite: TLS_AES_128_GCM_SHA2048; {suites}"),
        ),
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]".to_owned(),
            format!("2: tls_server_config.cipher_suites: none of these suites can be used; {suites}"),
        ),
        (
            "max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]".to_owned(),
            format!("3: tls_server_config.cipher_suites: none of these suites can be used; {suites12}"),
        ),
        ("cipher_suites: TLS_AES_128_GCM_SHA256".to_owned(), "2: tls_server_config.cipher_suites: not a list".to_owned()),
        (
            "prefer_server_cipher_suites: 'true'".to_owned(),
            "2: tls_server_config.prefer_server_cipher_suites: neither true nor false".to_owned(),
        ),
        (
            "curve_preferences:\n  - X25519\n  - CurveP521".to_owned(),
            "4: tls_server_config.curve_preferences: rustls with ring does not support CurveP521; expected one of X25519, \
             CurveP256, CurveP384"
                .to_owned(),
        ),
        (
            "curve_preferences: [X25519MLKEM768]".to_owned(),
            "2: tls_server_config.curve_preferences: unknown curve: X25519MLKEM768; expected one of X25519, CurveP256, \
             CurveP384"
                .to_owned(),
        ),
    ];
    for (text, expected) in table {
        let error = refused(&format!("tls_server_config:\n  {text}\n"));
        assert_eq!(error, expected, "{text}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[test]
fn parse_rejects_other_invalid_values_with_line_and_key() {
    let no_hash = "not a bcrypt hash (expected a $2a$, $2b$ or $2y$ prefix and 60 characters)";
    let no_duration =
        "not a duration such as 1s or 1m30s (expected numbers with units h, m, s, ms, us, ns; 0 is no limit)";
    let no_number = "not a whole number from 0 to 4294967295, without quotes or leading zeros";
    let no_header = "this header cannot be configured; expected one of Strict-Transport-Security, \
                     X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy";
    let headers = "http_server_config:\n  headers:\n    ";
    let table = [
        ("http_server_config:\n  http2: 1".to_owned(), "2: http_server_config.http2: neither true nor false".to_owned()),
        ("http_server_config:\n  http2: [true]".to_owned(), "2: http_server_config.http2: neither true nor false".to_owned()),
        (format!("{headers}Content-Type: a"), format!("3: http_server_config.headers.Content-Type: {no_header}")),
        (format!("{headers}x-frame-options: deny"), format!("3: http_server_config.headers.x-frame-options: {no_header}")),
        (
            format!("{headers}X-Frame-Options: DENY"),
            "3: http_server_config.headers.X-Frame-Options: must be deny or sameorigin".to_owned(),
        ),
        (
            format!("{headers}X-Content-Type-Options: sniff"),
            "3: http_server_config.headers.X-Content-Type-Options: must be nosniff".to_owned(),
        ),
        (
            format!("{headers}Content-Security-Policy: \"a\\r\\nSet-Cookie: b\""),
            "3: http_server_config.headers.Content-Security-Policy: invalid header value (expected visible ASCII, blanks and tabs)"
                .to_owned(),
        ),
        (
            format!("{headers}X-XSS-Protection: \u{e4}"),
            "3: http_server_config.headers.X-XSS-Protection: invalid header value (expected visible ASCII, blanks and tabs)"
                .to_owned(),
        ),
        (
            format!("{headers}X-XSS-Protection: [1]"),
            "3: http_server_config.headers.X-XSS-Protection: a list (expected text)".to_owned(),
        ),
        ("basic_auth_users:\n  john: SECRET".to_owned(), format!("2: basic_auth_users.john: {no_hash}")),
        ("basic_auth_users:\n  john:".to_owned(), format!("2: basic_auth_users.john: {no_hash}")),
        ("basic_auth_users:\n  john: [SECRET]".to_owned(), "2: basic_auth_users.john: a list (expected text)".to_owned()),
        (format!("basic_auth_users:\n  a: {HASH}\n  b: {HASH}x"), format!("3: basic_auth_users.b: {no_hash}")),
        (
            format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}"),
            "3: a: duplicate key".to_owned(),
        ),
        // Name and hash swapped: the error must not show the hash.
        (format!("basic_auth_users:\n  {HASH}: SECRET"), format!("2: basic_auth_users.(not shown): {no_hash}")),
        ("rate_limit:\n  interval: 1".to_owned(), format!("2: rate_limit.interval: {no_duration}")),
        ("rate_limit:\n  interval: -1s".to_owned(), format!("2: rate_limit.interval: {no_duration}")),
        ("rate_limit:\n  interval: 1d".to_owned(), format!("2: rate_limit.interval: {no_duration}")),
        ("rate_limit:\n  interval: ''".to_owned(), format!("2: rate_limit.interval: {no_duration}")),
        ("rate_limit:\n  interval: {}".to_owned(), "2: rate_limit.interval: keys and values (expected text)".to_owned()),
        ("rate_limit:\n  burst: -1".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        ("rate_limit:\n  burst: 1.0".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        ("rate_limit:\n  burst: '1'".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        ("rate_limit:\n  burst: 4294967296".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        // Upstream's parser reads these as octal: 64.
        ("rate_limit:\n  burst: 0100".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        ("rate_limit:\n  burst: +0100".to_owned(), format!("2: rate_limit.burst: {no_number}")),
        ("rate_limit:\n  burst: many".to_owned(), format!("2: rate_limit.burst: {no_number}")),
    ];
    for (text, expected) in table {
        let error = refused(&text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.contains("SECRET") && !error.contains(HASH), "{error}");
    }
}

/// A private key with a wrong indent, and a hash without its name: the error must show nothing of them.
#[test]
fn errors_do_not_show_misplaced_secrets() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    for text in [
        format!("tls_server_config:\n  key: |\n  -----BEGIN PRIVATE KEY-----\n  {line}"),
        format!("tls_server_config:\n  key: -----BEGIN PRIVATE KEY-----\n  {line}: {line}\n"),
        format!("tls_server_config:\n  {line}: {line}\n"),
        format!("{line}: {line}\n"),
        line.to_owned(),
        format!("{line}: a\n{line}: a"),
        format!("'{HASH}': a\n'{HASH}': a"),
        format!("basic_auth_users:\n  {HASH}"),
        format!("tls_server_config: {{cert_file: a, key_file: a, client_auth_type: {HASH}}}"),
        format!("tls_server_config: {{cert_file: a, key_file: a, min_version: {line}}}"),
        format!("tls_server_config: {{cert_file: a, key_file: a, cipher_suites: [{line}]}}"),
        format!("tls_server_config: {{cert_file: a, key_file: a, curve_preferences: [{line}]}}"),
    ] {
        let error = refused(&text);
        assert!(!error.contains(line) && !error.contains("$2y$10"), "{error}");
    }
}
