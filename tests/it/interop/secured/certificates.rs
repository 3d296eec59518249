//! Certificates of a test CA, and a client that trusts it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use prometheus_hyper::rustls::crypto::ring;
use prometheus_hyper::rustls::pki_types::pem::PemObject;
use prometheus_hyper::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use prometheus_hyper::rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use testing::process::PATIENCE;

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
    /// The end of its validity, in seconds since the epoch.
    pub(super) not_after: i64,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_until(2040, names)
    }

    /// Issues a certificate that is valid until the beginning of this year.
    pub(super) fn issue_until(&self, year: i32, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let not_after = params.not_after.unix_timestamp();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem(), not_after }
    }

    /// Returns a client configuration that trusts only this CA.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(ALL_VERSIONS)
            .unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

impl Pair {
    pub(super) fn der(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        (certificate, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

/// Scrapes on a separate connection. Returns the body and the server's certificate. A response that ends
/// early or without `close_notify` is an error.
pub(super) fn scrape(
    config: &Arc<ClientConfig>,
    addr: SocketAddr,
) -> io::Result<(String, CertificateDer<'static>)> {
    let session = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap());
    let socket = TcpStream::connect_timeout(&addr, PATIENCE)?;
    // Otherwise the request waits for the acknowledgement of the handshake's end.
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(session.map_err(io::Error::other)?, socket);
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let shown = stream.conn.peer_certificates().and_then(|shown| shown.first());
    let shown = shown.ok_or_else(|| io::Error::other("no certificate"))?.clone().into_owned();
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok((body.to_owned(), shown)),
        _ => Err(io::Error::other(answer)),
    }
}
