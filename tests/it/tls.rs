//! Tests HTTP/1.1 over TLS with a client of rustls.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::rustls::pki_types::CertificateDer;
use prometheus_hyper::rustls::{ClientConfig, RootCertStore};
use prometheus_hyper::{Builder, Guard, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::probes::with_endless;
use crate::support::Scratch;
use crate::support::client::PATIENCE;
use crate::support::runtime::current_thread;

/// A server with a self-signed certificate, and a client configuration that trusts it.
struct Secured {
    _guard: Guard,
    addr: SocketAddr,
    certificate: CertificateDer<'static>,
    /// The folder of the certificate, which the server reads again.
    _folder: Scratch,
}

fn serve(name: &str, options: impl FnOnce(Builder) -> Builder) -> Secured {
    let folder = Scratch::new(name);
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.0.join("cert.pem"), folder.0.join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let builder = options(Server::builder()).tls_files(certificate, key).listen("127.0.0.1:0");
    let guard = builder.bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    Secured { _guard: guard, addr, certificate: own.cert.der().clone(), _folder: folder }
}

impl Secured {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(prometheus_hyper::rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream
    }
}

fn run<F: Future>(test: F) -> F::Output {
    current_thread().block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test ends") })
}

#[test]
fn probe_over_tls_ends_with_its_connection() {
    let mut told = None;
    let secured = serve("tls-probe", |builder| {
        let (builder, receiver) = with_endless(builder.registry(&Registry::new()));
        told = Some(receiver);
        builder
    });
    let told = told.unwrap();
    let stream = run(async {
        let mut stream = secured.connect().await;
        stream.write_all(b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        stream
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    drop(stream);
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

/// Regression: one byte protected a connection from eviction for a second.
#[test]
fn clients_that_send_one_byte_do_not_block_a_scrape() {
    let options = |builder: Builder| builder.registry(&Registry::new()).max_connections(2);
    let secured = serve("tls-one-byte", options);
    run(async {
        let mut silent = Vec::new();
        for _ in 0..200 {
            let mut client = TcpStream::connect(secured.addr).await.unwrap();
            client.write_all(b"\x16").await.unwrap();
            silent.push(client);
        }
        let mut stream = secured.connect().await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    });
}

/// Regression: the connections evicted one another, and no client was served.
#[test]
fn burst_of_handshakes_is_served() {
    let options = |builder: Builder| builder.registry(&Registry::new()).max_connections(4);
    let secured = Arc::new(serve("tls-burst", options));
    run(async {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let secured = Arc::clone(&secured);
            burst.spawn(async move {
                let mut stream = secured.connect().await;
                let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(request).await.unwrap();
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                String::from_utf8(answer).unwrap()
            });
        }
        for answer in burst.join_all().await {
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    });
}
