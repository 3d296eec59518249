//! Tests that clients can neither hold connections nor keep other clients out.

#[cfg(target_os = "linux")]
use std::io::{Read, Write};
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use prometheus_hyper::prometheus::IntGauge;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Guard, Server};
#[cfg(target_os = "linux")]
use socket2::{Domain, Socket, Type};

use crate::support::client::{Client, PATIENCE, ask_and_be_heard, get, wait_for};
use crate::support::collectors::Gated;
use crate::support::server::patient;

const HEALTHY: &str = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn start(builder: Builder) -> (Guard, SocketAddr) {
    let (server, addr) = bound(builder);
    (server.start().unwrap(), addr)
}

/// Binds without starting, so that requests are already there when the server accepts their connections.
fn bound(builder: Builder) -> (Server, SocketAddr) {
    let server = builder.registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap();
    let addr = server.local_addr().unwrap();
    (server, addr)
}

fn sending(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Client {
    let mut client = Client::connect(addr);
    client.send(bytes);
    client
}

#[test]
fn head_timeout_closes_connection() {
    let (server, addr) = bound(Server::builder().head_timeout(Duration::from_millis(500)));
    let begun = ["", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"];
    let clients = begun.map(|begun| (begun, sending(addr, begun)));
    // Also behind a complete request, in the same segment.
    let mut second = sending(addr, format!("{HEALTHY}GET /metr"));
    let _guard = server.start().unwrap();
    for (begun, mut client) in clients {
        assert_eq!(client.closed(), "", "{begun:?}");
    }
    assert_eq!(second.answer(false).status, 200);
    assert_eq!(second.closed(), "");
}

#[test]
fn idle_connection_ends_at_idle_timeout_not_head_timeout() {
    let head = Duration::from_millis(500);
    let (server, addr) = bound(Server::builder().head_timeout(head).idle_timeout(4 * head));
    let mut client = sending(addr, HEALTHY);
    // Before the response, because the client may read it much later than the server sends it.
    let begin = Instant::now();
    let _guard = server.start().unwrap();
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(client.closed(), "");
    assert!(begin.elapsed() >= 4 * head, "{:?}", begin.elapsed());
}

/// Regression: a client kept its connection by sending one request after the other.
#[test]
fn limit_evicts_longest_idle_and_closes_after_responses() {
    let (_guard, addr) = start(Server::builder().max_connections(2));
    let ask = |client: &mut Client| {
        client.send(HEALTHY);
        let answer = client.answer(false);
        assert_eq!(answer.status, 200);
        answer.header("connection").map(str::to_owned)
    };
    let [mut first, mut second] = [(); 2].map(|()| Client::connect(addr));
    // Both connections are in use, but no other client connects.
    assert_eq!((ask(&mut first), ask(&mut second), ask(&mut first)), (None, None, None));
    let mut third = Client::connect(addr);
    assert_eq!(ask(&mut third).as_deref(), Some("close"));
    assert_eq!(second.closed(), "");
    assert_eq!(third.closed(), "");
    // Its client has not closed yet. The server evicts it before an idle connection.
    let mut fourth = Client::connect(addr);
    let close = Some("close".to_owned());
    assert_eq!((ask(&mut fourth), ask(&mut first)), (close.clone(), close));
}

#[test]
fn silent_connections_do_not_block_a_scrape() {
    let (_guard, addr) = start(Server::builder().max_connections(8));
    let silent: Vec<Client> = (0..80).map(|_| Client::connect(addr)).collect();
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    let evicted = answer.sample("prometheus_exporter_errors_total{cause=\"evicted\"}").unwrap();
    assert!(evicted >= 80.0 - 8.0, "{evicted}");
    drop(silent);
}

/// Regression: the server evicted connections before it read their complete requests.
#[test]
fn burst_of_requests_above_the_limit_is_served() {
    let (server, addr) = bound(Server::builder().max_connections(8));
    let request = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut clients: Vec<Client> = (0..40).map(|_| sending(addr, request)).collect();
    let _guard = server.start().unwrap();
    let answers = clients.iter_mut().map(Client::closed);
    let answered = answers.filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    assert_eq!(answered, 40);
}

/// Regression: the kernel buffered 4 MiB of each response, and asked for more when a third of it was sent. A
/// client that read 16 KiB a second was closed at the write timeout. A client that read nothing used memory
/// that no limit counted.
#[test]
#[cfg(target_os = "linux")]
fn unread_response_leaves_little_in_the_kernel() {
    let registry = Registry::new();
    let help = "x".repeat(8 * 1024 * 1024);
    registry.register(Box::new(IntGauge::new("large", help).unwrap())).unwrap();
    let builder = Server::builder().registry(&registry).write_timeout(Duration::from_millis(500));
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();

    let mut client = ask_and_read_nothing(addr);
    let begin = Instant::now();
    // The connection of `client` is older, so the count includes it until it is closed.
    let path = "/metrics?name[]=prometheus_exporter_connections";
    while get(addr, path).sample("prometheus_exporter_connections") > Some(1.0) {
        assert!(begin.elapsed() < PATIENCE, "the server does not close the connection");
    }
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut taken = Vec::new();
    let _ = client.read_to_end(&mut taken);
    assert!(taken.starts_with(b"HTTP/1.1 200 OK\r\n"), "{} bytes", taken.len());
    assert!(taken.len() < 1024 * 1024, "{} bytes", taken.len());
}

/// Uses a small receive window, so that the kernel does not read instead of the client.
#[cfg(target_os = "linux")]
fn ask_and_read_nothing(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&addr.into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client
}

/// Regression: such clients kept scrapes out until `write_timeout`, and longer if they sent another request.
#[test]
#[cfg(target_os = "linux")]
fn clients_that_read_nothing_do_not_block_a_scrape() {
    let registry = Registry::new();
    let help = "x".repeat(2 * 1024 * 1024);
    registry.register(Box::new(IntGauge::new("large", help).unwrap())).unwrap();
    let builder = Server::builder().registry(&registry).write_timeout(None).max_connections(4);
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    let mut unread: Vec<TcpStream> = (0..12).map(|_| ask_and_read_nothing(addr)).collect();
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 2 * 1024 * 1024);
    let evicted = answer.sample("prometheus_exporter_errors_total{cause=\"evicted\"}").unwrap();
    assert!(evicted >= 12.0 - 4.0, "{evicted}");
    // The kernel does not keep the unread bytes.
    unread[0].set_read_timeout(Some(PATIENCE)).unwrap();
    let ended = unread[0].read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Go's promhttp serves forty scrapes concurrently. It responds to more with 503 at once.
#[test]
fn scrape_above_max_requests_is_503_at_once() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let builder = patient(Server::builder().registry(&registry).max_requests(2));
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    let mut held = [(); 2].map(|()| ask_and_be_heard(addr, "/metrics", ""));
    for method in ["GET", "HEAD"] {
        let mut client = Client::connect(addr);
        client.send(format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let answer = client.answer(method == "HEAD");
        assert_eq!(answer.status, 503, "{method}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{method}: {answer:?}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method}: {answer:?}");
    }
    for path in ["/", "/-/healthy", "/-/ready"] {
        assert_eq!(get(addr, path).status, 200, "{path}");
    }
    gated.open();
    for client in &mut held {
        assert_eq!(client.answer(false).status, 200);
    }
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("prometheus_exporter_denied_total{reason=\"max_requests\"}"), Some(2.0));
}

#[test]
fn without_max_requests_no_scrape_is_rejected() {
    for builder in [Server::builder(), Server::builder().max_requests(None)] {
        let registry = Registry::new();
        let gated = Gated::register(&registry, false);
        let builder = patient(builder.registry(&registry));
        let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
        let addr = guard.local_addr().unwrap();
        let mut held: Vec<Client> = (0..50).map(|_| ask_and_be_heard(addr, "/metrics", "")).collect();
        gated.open();
        for client in &mut held {
            let answer = client.answer(false);
            assert_eq!(answer.status, 200);
            assert!(!answer.body.contains("denied_total"), "{}", answer.body);
        }
    }
}

/// Regression: 127 clients with distinct representations, which read nothing, held 911 MB.
#[test]
#[cfg(target_os = "linux")]
fn unsent_bytes_evict_clients_that_do_not_read() {
    let registry = crate::support::server::large();
    let builder = Server::builder().registry(&registry).listen("127.0.0.1:0").max_unsent(1);
    let guard = builder.bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    let mut unread = ask_and_be_heard(addr, "/metrics", "");
    let part = get(addr, "/metrics?name[]=nothing");
    // Above the budget, a scrape waits for an eviction, and gets a 503 after two seconds.
    assert!([200, 503].contains(&part.status), "{part:?}");
    // A small part, because a client that is slow to read a large one is evicted itself.
    wait_for("an eviction", || {
        let answer = get(addr, "/metrics?name[]=prometheus_exporter_errors_total");
        answer.sample("prometheus_exporter_errors_total{cause=\"evicted\"}") > Some(0.0)
    });
    assert_eq!(get(addr, "/metrics?name[]=nothing").status, 200, "the budget is free again");
    let read = unread.closed();
    assert!(read.len() < crate::support::server::LARGE, "{} bytes", read.len());
}
