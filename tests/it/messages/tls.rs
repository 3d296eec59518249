//! The same where there is TLS: a rejection is one warning a minute, with its reason.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_hyper::rustls::crypto::ring;
use prometheus_hyper::rustls::pki_types::CertificateDer;
use prometheus_hyper::rustls::{ClientConfig, RootCertStore};
use prometheus_hyper::{Builder, Server};
use rcgen::{CertificateParams, CertifiedKey, ExtendedKeyUsagePurpose, KeyPair};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::at_info;
use crate::support::Scratch;
use crate::support::client::{Client, wait_for};
use crate::support::log::{Log, logged_to};
use crate::support::runtime::current_thread;
use crate::support::server::something;

/// Handshakes with a server, of which this is trusted, and shows a certificate, if any. Whatever comes of it.
fn shake_hands(
    addr: SocketAddr,
    trusted: Option<&CertificateDer<'static>>,
    own: Option<&CertifiedKey<KeyPair>>,
) {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.cloned());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match own {
        Some(CertifiedKey { cert, signing_key }) => {
            let key = signing_key.serialize_der().try_into().unwrap();
            config.with_client_auth_cert(vec![cert.der().clone()], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let connector = TlsConnector::from(Arc::new(config));
    current_thread().block_on(async {
        let stream = TcpStream::connect(addr).await.unwrap();
        if let Ok(mut stream) = connector.connect("localhost".try_into().unwrap(), stream).await {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
}

fn plain(addr: SocketAddr) {
    let mut client = Client::connect(addr);
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.answer(false);
    let body = "Client sent an HTTP request to an HTTPS server.\n";
    assert_eq!((answer.status, answer.body.as_str()), (400, body));
}

fn garbage(addr: SocketAddr) {
    let mut client = Client::connect(addr);
    client.send([0x16, 3, 1, 0, 2, 1, 2]);
    client.half_close();
    client.closed();
}

/// Writes a self-signed certificate of the server and its key. Returns both paths, and the certificate to trust.
fn write_certificate(folder: &Scratch) -> (PathBuf, PathBuf, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = folder.write("cert.pem", own.cert.pem());
    let key = folder.write("key.pem", own.signing_key.serialize_pem());
    (certificate, key, own.cert.der().clone())
}

#[test]
fn a_rejected_handshake_is_one_warning_with_its_reason() {
    let folder = Scratch::new("messages-tls");
    let (certificate, key, trusted) = write_certificate(&folder);
    type Options = fn(Builder, &Scratch) -> Builder;
    let without: Options = |builder, _| builder;
    let with_ca: Options = |builder, folder| builder.tls_client_ca(folder.path("cert.pem"));
    type Clients<'c> = &'c (dyn Fn(SocketAddr) + Sync);
    let table: &[(&str, Options, Clients<'_>, Option<&str>)] = &[
        ("plain HTTP", without, &plain, Some("the client sent plain HTTP")),
        (
            "a server that is not trusted",
            without,
            &|addr| shake_hands(addr, None, None),
            Some("received fatal alert: UnknownCA"),
        ),
        (
            "no certificate",
            with_ca,
            &|addr| shake_hands(addr, Some(&trusted), None),
            Some("peer sent no certificates"),
        ),
        ("a scanner", without, &garbage, None),
    ];
    for (name, options, client, reason) in table {
        let log = Log::default();
        let builder = Server::builder().registry(something()).tls_files(&certificate, &key);
        logged_to(&log, options(builder, &folder), |addr| {
            for round in 1..=3 {
                client(addr);
                wait_for("the line of debug", || log.lines_with("TLS handshake failed").len() == round);
            }
            if reason.is_some() {
                wait_for("the warning", || !log.lines_with("TLS handshake refused").is_empty());
            }
        });
        let lines = at_info(&log.text());
        let warning = |reason| {
            format!("WARN TLS handshake refused; check the scraper's TLS configuration error={reason}")
        };
        let expected: Vec<String> = reason.iter().map(warning).collect();
        assert_eq!(lines[1..], expected, "{name}");
    }
}

/// One handshake of a client that nobody knows wrote 300 KB into the log, because rustls lists all purposes of a
/// certificate.
#[test]
fn long_reasons_of_rejected_handshakes_are_cut() {
    let folder = Scratch::new("messages-long");
    let (certificate, key, trusted) = write_certificate(&folder);
    let mut params = CertificateParams::default();
    let purpose: Vec<u64> = [1, 3].into_iter().chain([127; 10_000]).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(purpose)];
    let signing_key = KeyPair::generate().unwrap();
    let long = CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key };
    let log = Log::default();
    let builder = Server::builder().registry(something()).tls_files(&certificate, &key);
    logged_to(&log, builder.tls_client_ca(&certificate), |addr| {
        shake_hands(addr, Some(&trusted), Some(&long));
        wait_for("the warning", || !log.lines_with("TLS handshake refused").is_empty());
    });
    let lines = log.lines_with("TLS handshake");
    assert_eq!(lines.len(), 2, "one of debug, one warning");
    for line in lines {
        let length = line.len();
        assert!(line.contains("extended key usage") && length < 1200, "{length} bytes: {line:.300}");
    }
}
