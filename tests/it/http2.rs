//! HTTP/2, as it is agreed upon over TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode, Version};
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::rustls::pki_types::CertificateDer;
use prometheus_hyper::rustls::{ClientConfig, RootCertStore};
use prometheus_hyper::{Builder, Guard, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::PATIENCE;
use crate::host::current_thread;
use crate::probes::with_endless;
use crate::scrape::Gated;
use crate::scratch::Scratch;
use crate::stop::{LARGE, large};

/// A server with a certificate of its own, and what trusts it.
struct Secured {
    guard: Guard,
    addr: SocketAddr,
    certificate: CertificateDer<'static>,
    /// Of the files, which are looked at again.
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
    Secured { guard, addr, certificate: own.cert.der().clone(), _folder: folder }
}

impl Secured {
    /// A client on a connection of its own, which is driven beside.
    async fn connect(&self) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        self.connect_with(h2::client::Builder::new()).await
    }

    async fn connect_with(
        &self,
        settings: h2::client::Builder,
    ) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
        let stream = self.shake_hands(&["h2", "http/1.1"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (client, connection) = settings.handshake(stream).await.unwrap();
        (client, tokio::spawn(connection))
    }

    async fn shake_hands(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(prometheus_hyper::rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }
}

fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(()).unwrap()
}

type Heard = (http::response::Parts, String);

/// Asks, and gives the client's side room for what comes.
async fn ask(client: &SendRequest<Bytes>, request: Request<()>) -> Result<Heard, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, _) = client.send_request(request, true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((head, String::from_utf8(bytes).unwrap()))
}

fn run<F: Future>(test: F) -> F::Output {
    current_thread().block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("an end") })
}

#[test]
fn it_answers_as_over_http1() {
    let secured = serve("h2-answers", |builder| builder.registry(&Registry::new()));
    assert_eq!(secured.guard.to_string(), format!("https://{}/metrics", secured.addr));
    let table = [
        (Method::GET, "/metrics", 200, "prometheus_exporter_"),
        (Method::GET, "/", 200, "<title>"),
        (Method::GET, "/-/healthy", 200, "Healthy."),
        (Method::HEAD, "/metrics", 200, ""),
        (Method::OPTIONS, "/metrics", 204, ""),
        (Method::POST, "/metrics", 405, "Only GET"),
        (Method::GET, "/nowhere", 404, "nothing here"),
    ];
    run(async {
        let (client, _connection) = secured.connect().await;
        for (method, path, status, holds) in table {
            let row = format!("{method} {path}");
            let (head, body) = ask(&client, request(method.clone(), path)).await.unwrap();
            assert_eq!(head.status.as_u16(), status, "{row}");
            assert!(body.contains(holds), "{row}: {body}");
            let length = head.headers.get("content-length").map(|length| length.to_str().unwrap());
            if method == Method::HEAD {
                assert!(
                    body.is_empty() && length.unwrap().parse::<usize>().unwrap() > 100,
                    "{row}: {length:?}"
                );
            } else if status != 204 {
                assert_eq!(length, Some(&*body.len().to_string()), "{row}");
            }
            assert_eq!(head.headers.get("connection"), None, "{row}");
        }
        let (head, body) = ask(&client, request(Method::GET, "/metrics")).await.unwrap();
        assert_eq!(head.status, StatusCode::OK);
        assert!(body.contains("prometheus_exporter_connections 1\n"), "{body}");
        assert!(body.contains("prometheus_exporter_tls_certificate_reload_success 1\n"), "{body}");
    });
}

#[test]
fn requests_at_once_share_a_gather() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let secured = serve("h2-share", |builder| builder.registry(&registry));
    run(async {
        let (client, _connection) = secured.connect().await;
        // With the one below, as many as there may be.
        let asked: Vec<_> = (0..3)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { ask(&client, request(Method::GET, "/metrics")).await.unwrap() })
            })
            .collect();
        while gated.gathers() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // All have been heard once this has been, which was asked after them.
        ask(&client, request(Method::GET, "/-/healthy")).await.unwrap();
        gated.open();
        for asked in asked {
            assert!(asked.await.unwrap().1.contains("\ngathers 1\n"));
        }
        assert_eq!(gated.gathers(), 1);
    });
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_says_goodbye() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let secured = serve("h2-stop", |builder| builder.registry(&registry));
    run(async {
        let (client, connection) = secured.connect().await;
        let (idle, idles) = secured.connect().await;
        ask(&idle, request(Method::GET, "/-/healthy")).await.unwrap();
        let asked = tokio::spawn({
            let client = client.clone();
            async move { ask(&client, request(Method::GET, "/metrics")).await }
        });
        while gated.gathers() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let closed = secured.guard.closed();
        drop(secured.guard);
        // The idle one ends while the other is still being answered.
        idles.await.unwrap().unwrap();
        gated.open();
        let (head, body) = asked.await.unwrap().unwrap();
        assert_eq!(head.status, StatusCode::OK);
        assert!(body.contains("\ngathers 1\n"), "{body}");
        connection.await.unwrap().unwrap();
        closed.await;
    });
}

#[test]
fn the_last_scrape_counts_and_arrives_whole() {
    let secured = serve("h2-last", |builder| builder.registry(&large()).drain_timeout(PATIENCE));
    run(async {
        let (client, _connection) = secured.connect().await;
        ask(&client, request(Method::HEAD, "/metrics")).await.unwrap();
        let scraped = secured.guard.shutdown_after_scrape(PATIENCE);
        ask(&client, request(Method::HEAD, "/metrics")).await.unwrap();
        let (head, body) = ask(&client, request(Method::GET, "/metrics")).await.unwrap();
        assert_eq!(head.status, StatusCode::OK);
        assert!(body.len() > LARGE, "{} bytes", body.len());
        assert!(scraped.await);
    });
}

/// A reset stream is a client that has gone, though others are on its connection.
#[test]
fn a_probe_ends_with_its_stream_or_its_connection() {
    let mut told = None;
    let secured = serve("h2-probe", |builder| {
        let (builder, receiver) = with_endless(builder.registry(&Registry::new()));
        told = Some(receiver);
        builder
    });
    let told = Arc::new(Mutex::new(told.unwrap()));
    // Not on the runtime's thread, which drives the client.
    let hear = || {
        let told = Arc::clone(&told);
        let heard = tokio::task::spawn_blocking(move || told.lock().unwrap().recv_timeout(PATIENCE));
        async { heard.await.unwrap() }
    };
    run(async {
        let (client, connection) = secured.connect().await;
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut sending) = ready.send_request(request(Method::GET, "/probe"), true).unwrap();
        assert_eq!(hear().await, Ok("begun"), "by HTTP/2");
        let (head, _) = ask(&client, request(Method::GET, "/metrics")).await.unwrap();
        assert_eq!(head.status, StatusCode::OK, "beside the probe");
        sending.send_reset(h2::Reason::CANCEL);
        assert_eq!(hear().await, Ok("dropped"), "by a reset");
        let (head, _) = ask(&client, request(Method::GET, "/metrics")).await.unwrap();
        assert_eq!(head.status, StatusCode::OK, "after the reset");
        drop(response);

        let (_response, _) = ready.send_request(request(Method::GET, "/probe"), true).unwrap();
        assert_eq!(hear().await, Ok("begun"), "by HTTP/2 once more");
        connection.abort();
        assert_eq!(hear().await, Ok("dropped"), "with the connection");

        let mut stream = secured.shake_hands(&["http/1.1"]).await;
        stream.write_all(b"GET /probe HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(hear().await, Ok("begun"), "by HTTP/1 over TLS");
        drop(stream);
        assert_eq!(hear().await, Ok("dropped"), "with the connection over TLS");
    });
}

#[test]
fn idle_connections_give_way_and_busy_ones_do_not() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let secured = serve("h2-evict", |builder| builder.registry(&registry).max_connections(2));
    run(async {
        let (busy, _connection) = secured.connect().await;
        let asked = tokio::spawn(async move { ask(&busy, request(Method::GET, "/metrics")).await });
        while gated.gathers() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..5 {
            // Each takes the place of the one before.
            let (idle, _) = secured.connect().await;
            assert_eq!(
                ask(&idle, request(Method::GET, "/-/healthy")).await.unwrap().0.status,
                StatusCode::OK
            );
        }
        gated.open();
        assert_eq!(asked.await.unwrap().unwrap().0.status, StatusCode::OK);
    });
}

/// Who is not let in gets a body, too, and may open no window for it.
#[test]
fn responses_that_nobody_reads_give_way() {
    let write = Duration::from_secs(1);
    let secured = serve("h2-unread", |builder| {
        let builder = builder.registry(&Registry::new()).max_connections(1).write_timeout(write);
        builder.max_scrape_timeout(Duration::from_secs(4)).bearer_token("secret")
    });
    run(async {
        let mut settings = h2::client::Builder::new();
        let (client, _connection) = secured.connect_with(settings.initial_window_size(0).clone()).await;
        let (asked, two_asked) = tokio::sync::oneshot::channel();
        // Each lasts as long as an exchange may, so one overlaps the next.
        tokio::spawn(async move {
            let (mut held, mut asked) = (Vec::new(), Some(asked));
            loop {
                let mut client = client.clone().ready().await.unwrap();
                let Ok((response, _)) = client.send_request(request(Method::GET, "/metrics"), true) else {
                    return;
                };
                let Ok(response) = response.await else { return };
                assert_eq!(response.status(), 401);
                held.push(response);
                if held.len() == 2 {
                    let _ = asked.take().unwrap().send(());
                }
                tokio::time::sleep(2 * write).await;
            }
        });
        two_asked.await.unwrap();
        let newcomer = async {
            let (client, _connection) = secured.connect().await;
            ask(&client, request(Method::GET, "/-/healthy")).await.unwrap().0.status
        };
        assert_eq!(tokio::time::timeout(10 * write, newcomer).await.unwrap(), StatusCode::OK);
    });
}

/// They evicted one another, and nobody got anything.
#[test]
fn a_burst_of_handshakes_does_not_evict_itself() {
    let options = |builder: Builder| builder.registry(&Registry::new()).max_connections(2);
    let secured = Arc::new(serve("h2-burst", options));
    run(async {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let secured = Arc::clone(&secured);
            burst.spawn(async move {
                let (client, _connection) = secured.connect().await;
                ask(&client, request(Method::GET, "/metrics")).await.unwrap().0.status
            });
        }
        for status in burst.join_all().await {
            assert_eq!(status, StatusCode::OK);
        }
    });
}
