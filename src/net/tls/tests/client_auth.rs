//! The five forms of `client_auth_type` against every kind of client.

use super::*;
use ClientAuth::*;

/// The certificate that a client presents.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shows {
    Nothing,
    OfTheCa,
    OfTheCaWithTheName,
    OfAnother,
    OfAnotherWithTheName,
}
use Shows::*;

const ALL: [Shows; 5] = [Nothing, OfTheCa, OfTheCaWithTheName, OfAnother, OfAnotherWithTheName];

#[tokio::test(start_paused = true)]
async fn each_form_admits_only_the_clients_it_allows() {
    let (server_ca, client_ca, another) = (ca("server"), ca("client"), ca("another"));
    let server = issue(&server_ca, &["localhost"]);
    // The form, whether a CA is set, whether names are required, the admitted clients.
    let table: [(ClientAuth, bool, bool, &[Shows]); 10] = [
        (NoClientCert, false, false, &ALL),
        (RequestClientCert, false, false, &ALL),
        (RequestClientCert, true, false, &ALL),
        (RequireAnyClientCert, false, false, &ALL[1..]),
        (RequireAnyClientCert, true, false, &ALL[1..]),
        (RequireAnyClientCert, false, true, &[OfTheCaWithTheName, OfAnotherWithTheName]),
        (VerifyClientCertIfGiven, true, false, &[Nothing, OfTheCa, OfTheCaWithTheName]),
        (RequireAndVerifyClientCert, true, false, &[OfTheCa, OfTheCaWithTheName]),
        (RequireAndVerifyClientCert, true, true, &[OfTheCaWithTheName]),
        (RequireAnyClientCert, true, true, &[OfTheCaWithTheName, OfAnotherWithTheName]),
    ];
    for (client_auth, with_ca, with_names, let_in) in table {
        let config = load(Settings {
            client_auth,
            client_ca: with_ca.then(|| client_ca.pem().into_bytes()),
            allowed_sans: if with_names { vec!["prometheus.example".to_owned()] } else { Vec::new() },
            ..server.settings()
        });
        let config = config.unwrap().config;
        for (shows, version) in
            ALL.iter().flat_map(|shows| ALL_VERSIONS.iter().map(move |version| (*shows, *version)))
        {
            let own = match shows {
                Nothing => None,
                OfTheCa => Some(issue(&client_ca, &["other.example"])),
                OfTheCaWithTheName => Some(issue(&client_ca, &["other.example", "prometheus.example"])),
                OfAnother => Some(issue(&another, &["other.example"])),
                OfAnotherWithTheName => Some(issue(&another, &["prometheus.example"])),
            };
            let (result, client) = meet_with(&config, client(&server_ca, own.as_ref(), &[version])).await;
            let what = format!("{client_auth:?} {with_ca} {with_names} {shows:?} {version:?}");
            assert_eq!(result.is_ok(), let_in.contains(&shows), "{what}: {:?}", result.err());
            let Err(refused) = result else { continue };
            assert!(is_of_rustls(&refused), "{what}: {refused}");
            // The client gets the reason, in TLS 1.3 only after its side of the handshake is complete.
            let told = match client {
                Ok(mut client) => client.read(&mut [0]).await.unwrap_err(),
                Err(error) => error,
            };
            let told = told.to_string();
            let expected = match shows {
                Nothing if version.version == tokio_rustls::rustls::ProtocolVersion::TLSv1_3 => {
                    "CertificateRequired"
                }
                Nothing => "",
                _ if with_names && (shows == OfTheCa || !with_ca || client_auth == RequireAnyClientCert) => {
                    "AccessDenied"
                }
                _ => "UnknownCA",
            };
            assert!(told.starts_with("received fatal alert") && told.contains(expected), "{what}: {told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn compares_every_kind_of_name_exactly() {
    let (server_ca, client_ca) = (ca("server"), ca("client"));
    let server = issue(&server_ca, &["localhost"]);
    let mut params = CertificateParams::new(vec!["*.example".to_owned(), "2001:db8::7".to_owned()]).unwrap();
    params.subject_alt_names.push(rcgen::SanType::Rfc822Name("ops@example.org".try_into().unwrap()));
    params.subject_alt_names.push(rcgen::SanType::URI("spiffe://example.org/p".try_into().unwrap()));
    params.distinguished_name.push(DnType::CommonName, "common");
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &client_ca).unwrap();
    let own = Pair { certificate: certificate.pem(), key: key.serialize_pem() };
    let table = [
        ("*.example", true),
        ("2001:db8::7", true),
        ("ops@example.org", true),
        ("spiffe://example.org/p", true),
        ("a.example", false),
        ("2001:DB8::7", false),
        ("common", false),
        ("", false),
    ];
    for (name, let_in) in table {
        let settings = Settings {
            client_auth: RequireAndVerifyClientCert,
            client_ca: Some(client_ca.pem().into_bytes()),
            allowed_sans: vec!["nobody".to_owned(), name.to_owned()],
            ..server.settings()
        };
        let config = load(settings).unwrap().config;
        let (result, _client) = meet_with(&config, client(&server_ca, Some(&own), ALL_VERSIONS)).await;
        assert_eq!(result.is_ok(), let_in, "{name}");
    }
}

/// rustls searches a chain for paths by name, and only then verifies a signature. So anybody could make a chain of
/// 64 KiB that blocked the server for seconds.
#[tokio::test(start_paused = true)]
async fn verifies_at_most_four_intermediates() {
    let (server_ca, client_ca) = (ca("server"), ca("client"));
    let config = load(Settings {
        client_auth: RequireAndVerifyClientCert,
        client_ca: Some(client_ca.pem().into_bytes()),
        ..issue(&server_ca, &["localhost"]).settings()
    });
    let config = config.unwrap().config;
    for intermediates in 0..=5 {
        let mut chain: Vec<Ca> = Vec::new();
        for n in 0..intermediates {
            let issuer = chain.last().unwrap_or(&client_ca);
            let key = KeyPair::generate().unwrap();
            chain.push(CertifiedIssuer::signed_by(of_ca(&format!("{n}")), key, issuer).unwrap());
        }
        let mut own = issue(chain.last().unwrap_or(&client_ca), &[]);
        // Certificates after the fourth are ignored.
        let others: Vec<Ca> = (0..5).map(|_| ca("other")).collect();
        for certificate in chain.iter().rev().chain(&others) {
            own.certificate.push_str(&certificate.pem());
        }
        let (result, _client) = meet_with(&config, client(&server_ca, Some(&own), ALL_VERSIONS)).await;
        assert_eq!(result.is_ok(), intermediates <= 4, "{intermediates}: {:?}", result.err());
    }
}
