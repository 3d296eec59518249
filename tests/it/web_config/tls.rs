//! Certificates, and a client that presents them: rustls over a blocking socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use prometheus_hyper::rustls::crypto::{CryptoProvider, ring};
use prometheus_hyper::rustls::pki_types::pem::PemObject;
use prometheus_hyper::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use prometheus_hyper::rustls::{
    self, ALL_VERSIONS, CipherSuite, ClientConfig, ClientConnection, NamedGroup, ProtocolVersion,
    RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::support::client::{PATIENCE, Response};

use super::Scratch;

pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate with these names.
    pub(super) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_for(names, &KeyPair::generate().unwrap())
    }

    pub(super) fn issue_for(&self, names: &[&str], key: &KeyPair) -> Pair {
        let certificate = params(names).signed_by(key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// A certificate and its key, in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pair {
    pub(super) fn self_signed(name: &str, is_ca: IsCa) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&[name]);
        params.is_ca = is_ca;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub(super) fn write(&self, folder: &Scratch, name: &str) {
        folder.write(&format!("{name}.crt"), &self.certificate);
        folder.write(&format!("{name}.key"), &self.key);
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// The TLS versions of a client, in rustls's type.
type Versions = &'static [&'static SupportedProtocolVersion];
pub(super) static TLS12: Versions = &[&rustls::version::TLS12];
pub(super) static TLS13: Versions = &[&rustls::version::TLS13];

/// The CAs, the certificate and the versions of a client.
pub(super) struct TlsClient<'c> {
    pub(super) ca: &'c Ca,
    pub(super) shows: Option<&'c Pair>,
    pub(super) versions: Versions,
    /// Cipher suites in order of preference; all if empty.
    pub(super) suites: &'c [CipherSuite],
    /// Groups in order of preference; all if empty.
    pub(super) groups: &'c [NamedGroup],
    pub(super) alpn: &'c [&'c str],
}

/// The negotiated parameters.
pub(super) struct Session {
    pub(super) version: ProtocolVersion,
    pub(super) suite: CipherSuite,
    pub(super) group: NamedGroup,
    pub(super) alpn: Option<String>,
    pub(super) certificate: CertificateDer<'static>,
}

impl<'c> TlsClient<'c> {
    pub(super) fn trusting(ca: &'c Ca) -> Self {
        TlsClient { ca, shows: None, versions: ALL_VERSIONS, suites: &[], groups: &[], alpn: &[] }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.0.der().clone()).unwrap();
        let mut provider: CryptoProvider = ring::default_provider();
        if !self.suites.is_empty() {
            let find = |wanted: &CipherSuite| {
                *provider.cipher_suites.iter().find(|suite| suite.suite() == *wanted).unwrap()
            };
            provider.cipher_suites = self.suites.iter().map(find).collect();
        }
        if !self.groups.is_empty() {
            let find = |wanted: &NamedGroup| {
                *provider.kx_groups.iter().find(|group| group.name() == *wanted).unwrap()
            };
            provider.kx_groups = self.groups.iter().map(find).collect();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.shows {
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![pair.der()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    fn connect(&self, addr: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let session =
            ClientConnection::new(Arc::new(self.config()), "localhost".try_into().unwrap()).unwrap();
        let tcp = TcpStream::connect(addr).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// Returns the handshake as the client sees it. In TLS 1.3 the server has not yet verified the client
    /// certificate.
    pub(super) fn hello(&self, addr: SocketAddr) -> Result<Session, String> {
        let stream = self.connect(addr).map_err(|error| why(&error))?;
        let session = &stream.conn;
        Ok(Session {
            version: session.protocol_version().unwrap(),
            suite: session.negotiated_cipher_suite().unwrap().suite(),
            group: session.negotiated_key_exchange_group().unwrap().name(),
            alpn: session.alpn_protocol().map(|protocol| String::from_utf8(protocol.to_vec()).unwrap()),
            certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
        })
    }

    /// Sends one request over HTTP/1.1. The error is the name of the TLS alert, if there is one.
    pub(super) fn fetch(&self, addr: SocketAddr, path: &str, headers: &str) -> Result<Response, String> {
        let exchange = || -> io::Result<String> {
            let mut stream = self.connect(addr)?;
            // As long as the server may take to check a hash of the highest cost.
            stream.sock.set_read_timeout(Some(4 * PATIENCE))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = exchange().map_err(|error| why(&error))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Response { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Returns a connection that stays open.
    pub(super) fn keep(&self, addr: SocketAddr) -> Kept {
        Kept(self.connect(addr).unwrap())
    }

    /// Returns the result of a scrape: a status, or the name of an alert.
    pub(super) fn outcome(&self, addr: SocketAddr) -> String {
        match self.fetch(addr, "/metrics", "") {
            Ok(answer) => answer.status.to_string(),
            Err(why) => why,
        }
    }
}

/// A connection with several requests.
pub(super) struct Kept(StreamOwned<ClientConnection, TcpStream>);

impl Kept {
    pub(super) fn send(&mut self, path: &str) {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }

    /// Reads a response, and returns its head.
    pub(super) fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        self.0.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        head
    }

    /// Waits until the server closes without a response.
    pub(super) fn closed(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(read) => assert_eq!(read, 0, "the server sent another response"),
            // The server closes without `close_notify`, or resets. A timeout is no close.
            Err(error) => assert!(
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                "the server does not close: {error}"
            ),
        }
    }
}

fn why(error: &io::Error) -> String {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => format!("{alert:?}"),
        _ => format!("{:?}: {error}", error.kind()),
    }
}
