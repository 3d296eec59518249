//! Configurations built from settings, and the errors of inconsistent ones.

use super::*;
use crate::net::tls::settings::TlsPart;
use tokio_rustls::rustls::version;

#[test]
fn errors_name_the_fault_and_quote_no_key() {
    let ca = ca("ca");
    let (pair, other) = (issue(&ca, &["localhost"]), issue(&ca, &["localhost"]));
    let good = || pair.settings();
    let text = |text: &str| text.as_bytes().to_vec();
    let secret: String = pair.key.lines().nth(1).unwrap().to_owned();
    let broken_key = format!("-----BEGIN PRIVATE KEY-----\n{secret}!\n-----END PRIVATE KEY-----\n");
    let cut_key = pair.key.replace("-----END PRIVATE KEY-----", "");
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let verify = ClientAuth::RequireAndVerifyClientCert;
    let two_cas = format!("{}{no_certificate}", ca.pem());
    let table = [
        (Settings { certificates: Vec::new(), ..good() }, "certificate: no certificate found"),
        (Settings { certificates: text(&pair.key), ..good() }, "certificate: no certificate found"),
        (Settings { certificates: text(&cut_key), ..good() }, "certificate: not valid PEM"),
        (
            Settings { certificates: text(no_certificate), ..good() },
            "certificate: the first certificate cannot be parsed",
        ),
        (Settings { key: text(&pair.certificate), ..good() }, "key: no private key found"),
        (Settings { key: text(&other.key), ..good() }, "key: the key does not match the certificate"),
        (Settings { key: text(&broken_key), ..good() }, "key: not valid PEM"),
        (Settings { key: text(&cut_key), ..good() }, "key: not valid PEM"),
        (
            Settings { key: text(no_key), ..good() },
            "key: unsupported key (expected RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519)",
        ),
        (
            Settings { key: text(encrypted), ..good() },
            "key: the key is encrypted (expected an unencrypted key)",
        ),
        (Settings { client_auth: verify, ..good() }, "no client CA is set to verify client certificates"),
        (
            Settings { client_auth: ClientAuth::VerifyClientCertIfGiven, ..good() },
            "no client CA is set to verify client certificates",
        ),
        (
            Settings { client_auth: verify, client_ca: Some(Vec::new()), ..good() },
            "client CA: no certificate found",
        ),
        (
            Settings { client_auth: verify, client_ca: Some(text(&two_cas)), ..good() },
            "client CA: certificate 2 cannot be used: invalid peer certificate: BadEncoding",
        ),
        (
            Settings { client_ca: Some(text(&ca.pem())), ..good() },
            "a client CA is set, but clients are not asked for certificates",
        ),
        (
            Settings {
                client_auth: ClientAuth::VerifyClientCertIfGiven,
                allowed_sans: vec![String::new()],
                ..good()
            },
            "allowed names are set, but client certificates are optional",
        ),
        (Settings { suites: vec![0x002f], ..good() }, "no cipher suite has the number 0x002f"),
        (Settings { groups: vec![0x0019], ..good() }, "no key exchange group has the number 0x0019"),
        // A suite of TLS 1.2 only, on a server that allows only 1.3.
        (
            Settings { suites: vec![0xc02b], min_version: TlsVersion::Tls13, ..good() },
            "no cipher suite fits the allowed TLS versions",
        ),
    ];
    for (settings, expected) in table {
        let fault = load(settings).err().unwrap();
        let part = match fault.part {
            TlsPart::Certificates => "certificate: ",
            TlsPart::Key => "key: ",
            TlsPart::ClientCa => "client CA: ",
            TlsPart::Options => "",
        };
        assert_eq!(format!("{part}{}", fault.what), expected);
        assert!(!format!("{fault:?}").contains(&secret[..8]));
    }
}

#[test]
fn reads_every_form_of_key() {
    let ca = ca("ca");
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::default();
        let certificate = params.signed_by(&key, &ca).unwrap();
        // With the text that openssl writes before the PEM, and the chain after it.
        let chain = format!("Certificate:\n    Data:\n{}\n\n{}", certificate.pem(), ca.pem());
        let loaded =
            load(Settings::new(chain.into_bytes(), key.serialize_pem().replace('\n', "\r\n").into_bytes()));
        let loaded = loaded.unwrap();
        assert_eq!(loaded.not_after, params.not_after.unix_timestamp());
        assert_eq!(loaded.config.alpn_protocols, [b"http/1.1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn negotiates_only_the_configured_versions_and_suites() {
    let ca = ca("ca");
    let pair = issue(&ca, &["localhost"]);
    let (v12, v13) = (&[&version::TLS12][..], &[&version::TLS13][..]);
    // Minimum, maximum, suites, groups, the client's versions, and the negotiated suite. `None`: the handshake fails.
    let table: [(_, _, &[u16], &[u16], _, Option<u16>); 8] = [
        (TlsVersion::Tls12, TlsVersion::Tls13, &[], &[], v12, Some(0xc02c)),
        (TlsVersion::Tls12, TlsVersion::Tls13, &[], &[], v13, Some(0x1302)),
        (TlsVersion::Tls13, TlsVersion::Tls13, &[], &[], v12, None),
        (TlsVersion::Tls12, TlsVersion::Tls12, &[], &[], v13, None),
        (TlsVersion::Tls12, TlsVersion::Tls13, &[0x1303, 0xcca9], &[], v13, Some(0x1303)),
        (TlsVersion::Tls12, TlsVersion::Tls13, &[0x1303, 0xcca9], &[], v12, Some(0xcca9)),
        (TlsVersion::Tls12, TlsVersion::Tls13, &[0xc02b], &[], v13, None),
        (TlsVersion::Tls12, TlsVersion::Tls13, &[], &[0x0018], v13, Some(0x1302)),
    ];
    for (min_version, max_version, suites, groups, speaks, expected) in table {
        let settings = Settings {
            min_version,
            max_version,
            suites: suites.to_vec(),
            groups: groups.to_vec(),
            ..pair.settings()
        };
        let config = load(settings).unwrap().config;
        let (server, _client) = meet_with(&config, client(&ca, None, speaks)).await;
        let spoken = server.as_ref().ok().map(|server| {
            if !groups.is_empty() {
                let group = server.get_ref().1.negotiated_key_exchange_group().unwrap();
                assert_eq!(u16::from(group.name()), groups[0]);
            }
            u16::from(server.get_ref().1.negotiated_cipher_suite().unwrap().suite())
        });
        assert_eq!(spoken, expected, "{suites:?} {speaks:?}");
    }
}
