//! rustls, OpenSSL and curl as clients. Clients that are programs use sockets, all others pipes in memory.

mod client_auth;
mod files;
mod programs;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
};

use super::*;

/// A CA, with its certificate in PEM.
type Ca = CertifiedIssuer<'static, KeyPair>;

/// A certificate and its key, in PEM. The chain may follow the certificate.
#[derive(Clone, Debug)]
struct Pair {
    certificate: String,
    key: String,
}

fn ca(name: &str) -> Ca {
    CertifiedIssuer::self_signed(of_ca(name), KeyPair::generate().unwrap()).unwrap()
}

fn of_ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn issue(ca: &Ca, names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, ca).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

impl Pair {
    fn settings(&self) -> Settings {
        Settings::new(self.certificate.clone().into_bytes(), self.key.clone().into_bytes())
    }

    fn config(&self) -> Arc<ServerConfig> {
        load(self.settings()).unwrap().config
    }

    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

/// Creates a client that trusts the CA and presents `own`, if any.
fn client(ca: &Ca, own: Option<&Pair>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own.map(Pair::der) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

async fn connect(io: DuplexStream, config: ClientConfig) -> io::Result<Client> {
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), io).await
}

type Client = tokio_rustls::client::TlsStream<DuplexStream>;
type Secured = TlsStream<DuplexStream>;

/// Runs a server and a client on both ends of a pipe. Returns both results.
async fn meet<S>(
    server: impl AsyncFnOnce(DuplexStream) -> io::Result<Option<S>>,
    config: ClientConfig,
) -> (io::Result<S>, io::Result<Client>) {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let (server, client) = tokio::join!(server(ours), connect(theirs, config));
    (server.map(Option::unwrap), client)
}

/// Runs [`Tls`] against a client, without hyper.
async fn meet_tls(tls: &Tls, config: ClientConfig) -> (io::Result<Stream>, io::Result<Client>) {
    meet(async |io| tls.secure(Box::new(io), &|| {}).await, config).await
}

/// Returns whether rustls reported the error.
fn is_of_rustls(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::TimedOut && error.to_string() != "the client sent plain HTTP"
}

async fn meet_with(
    config: &Arc<ServerConfig>,
    client: ClientConfig,
) -> (io::Result<Secured>, io::Result<Client>) {
    meet(async |io| handshake(io, || Arc::clone(config)).await, client).await
}

#[tokio::test(start_paused = true)]
async fn transfers_bytes_both_ways_and_reports_the_end() {
    let ca = ca("ca");
    for (clean, version) in ALL_VERSIONS.iter().flat_map(|version| [(true, version), (false, version)]) {
        let (server, client) =
            meet_with(&issue(&ca, &["localhost"]).config(), client(&ca, None, &[version])).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        assert_eq!(server.get_ref().1.protocol_version(), Some(version.version));
        client.write_all(b"request").await.unwrap();
        let mut request = [0; 7];
        server.read_exact(&mut request).await.unwrap();
        server.write_all(b"response").await.unwrap();
        server.flush().await.unwrap();
        let mut response = [0; 8];
        client.read_exact(&mut response).await.unwrap();
        assert_eq!((&request, &response), (b"request", b"response"));
        // With and without the closing alert of TLS.
        if clean {
            client.shutdown().await.unwrap();
        } else {
            drop(client);
        }
        let end = server.read(&mut request).await.map_err(|error| error.kind());
        // `DeadlineIo` treats both as the end of input.
        assert_eq!(end, if clean { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof) });
    }
}

/// Returns a ClientHello.
fn client_hello(client: ClientConfig) -> Vec<u8> {
    let mut hello = Vec::new();
    let session = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap());
    session.unwrap().write_tls(&mut hello).unwrap();
    hello
}

/// One byte kept a connection from eviction for a second.
#[tokio::test(start_paused = true)]
async fn a_handshake_begins_after_the_whole_client_hello() {
    let ca = ca("ca");
    let config = issue(&ca, &["localhost"]).config();
    let hello = client_hello(client(&ca, None, ALL_VERSIONS));
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let begun = AtomicBool::new(false);
    let handshake = handshake(ours, || {
        begun.store(true, Ordering::Relaxed);
        config
    });
    let client = async {
        for (at, byte) in hello.iter().enumerate() {
            assert!(!begun.load(Ordering::Relaxed), "after {at} bytes of {}", hello.len());
            theirs.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(begun.load(Ordering::Relaxed), "after {} bytes", hello.len());
        drop(theirs);
    };
    let (refused, ()) = tokio::join!(handshake, client);
    assert!(is_of_rustls(&refused.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn handshake_timeout_ends_silent_and_dripping_clients() {
    let ca = ca("ca");
    let config = issue(&ca, &["localhost"]).config();
    let hello = client_hello(client(&ca, None, ALL_VERSIONS));
    for bytes in [&b""[..], &hello] {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let start = Instant::now();
        let drip = async {
            for byte in bytes {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if theirs.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        let (refused, ()) = tokio::join!(handshake(ours, || Arc::clone(&config)), drip);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < HANDSHAKE_TIMEOUT + Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tcp_probe_is_no_error() {
    let (ours, theirs) = tokio::io::duplex(1024);
    drop(theirs);
    assert!(handshake(ours, || unreachable!("no ClientHello arrives")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn plain_http_gets_a_400_in_plain_http() {
    let unasked = || -> Arc<ServerConfig> { unreachable!("no ClientHello arrives") };
    let requests = [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HEAD /metrics HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
    ];
    for (request, pieces) in requests.into_iter().flat_map(|request| [(request, 1), (request, 1024)]) {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let start = Instant::now();
        let task = tokio::spawn(handshake(ours, unasked));
        for piece in request.as_bytes().chunks(pieces) {
            theirs.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert_eq!(body, "Client sent an HTTP request to an HTTPS server.\n");
        // The client still gets the response while it sends more.
        theirs.write_all(b"more").await.unwrap();
        let refused = task.await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), "the client sent plain HTTP");
        assert_eq!(start.elapsed(), LINGER);
    }
    // A client that does not read the response gets no extra time.
    let (ours, mut theirs) = tokio::io::duplex(16);
    theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let start = Instant::now();
    assert_eq!(handshake(ours, unasked).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), HANDSHAKE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn garbage_gets_no_plain_text() {
    let config = issue(&ca("ca"), &["localhost"]).config();
    let garbage: [&[u8]; 6] =
        [b"\0\0\0\0\0\0\0\0", b"\x80\x2e\x01\x03\x01", b"SSH-2.0-OpenSSH", b"GETTING /", b"G", &[22; 400]];
    for bytes in garbage {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let task = tokio::spawn({
            let config = Arc::clone(&config);
            async move { handshake(ours, || config).await }
        });
        theirs.write_all(bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.windows(4).any(|window| window == b"HTTP"), "{bytes:?}");
        let refused = task.await.unwrap().unwrap_err();
        assert!(is_of_rustls(&refused), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn alpn_offers_http1_only() {
    let ca = ca("ca");
    let pair = issue(&ca, &["localhost"]);
    let (h2, h11): (&[u8], &[u8]) = (b"h2", b"http/1.1");
    // The client's protocols, then the negotiated one. `None`: the handshake fails.
    type Row<'a> = (&'a [&'a [u8]], Option<Option<&'a [u8]>>);
    let table: [Row<'_>; 5] = [
        (&[], Some(None)),
        (&[h11], Some(Some(h11))),
        (&[h2, h11], Some(Some(h11))),
        (&[h2], None),
        (&[b"imap"], None),
    ];
    for (named, spoken) in table {
        let mut client = client(&ca, None, ALL_VERSIONS);
        client.alpn_protocols = named.iter().map(|name| name.to_vec()).collect();
        let (server, _client) = meet_with(&pair.config(), client).await;
        assert_eq!(
            server.as_ref().ok().map(|server| server.get_ref().1.alpn_protocol()),
            spoken,
            "{named:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_session_is_resumed() {
    let ca = ca("ca");
    let config = issue(&ca, &["localhost"]).config();
    for version in ALL_VERSIONS {
        let client = client(&ca, None, &[version]);
        for _ in 0..3 {
            let (server, client) = meet_with(&config, client.clone()).await;
            // A ticket would arrive with these bytes.
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            server.write_all(b"x").await.unwrap();
            server.flush().await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            let kind = client.get_ref().1.handshake_kind();
            assert!(!matches!(kind, Some(tokio_rustls::rustls::HandshakeKind::Resumed)), "{version:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn uses_the_given_configuration_unchanged() {
    let ca = ca("ca");
    let (chain, key) = issue(&ca, &["localhost"]).der();
    let given = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let tls = Tls::given(Arc::new(given.clone())).unwrap();
    let mut client = client(&ca, None, ALL_VERSIONS);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let (server, client) = meet_tls(&tls, client).await;
    assert!(server.is_ok());
    assert_eq!(client.unwrap().get_ref().1.alpn_protocol(), None, "no protocols, no negotiation");
    assert_eq!(format!("{tls:?}"), "Tls { .. }");

    let mut early = given.clone();
    early.max_early_data_size = 1;
    let error = Tls::given(Arc::new(early)).unwrap_err();
    assert!(error.to_string().starts_with("tls_config: max_early_data_size"), "{error}");
    let mut h2 = given;
    h2.alpn_protocols = vec![b"h2".to_vec()];
    let error = Tls::given(Arc::new(h2)).unwrap_err();
    assert!(error.to_string().starts_with("tls_config: alpn_protocols"), "{error}");
}
