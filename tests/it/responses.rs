//! Tests the server's responses byte for byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{IntCounter, Registry, TextEncoder};
use prometheus_hyper::{Guard, Server};

use crate::support::client::{Client, get};

fn server(registry: &Registry) -> (Guard, SocketAddr) {
    let guard = Server::builder().registry(registry).listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

fn registry() -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("answers_total", "help").unwrap())).unwrap();
    registry
}

/// The request, the status, a header with its value, and a part of the body.
type Row = (&'static str, u16, Option<(&'static str, &'static str)>, &'static str);

const HOST: &str = "Host: localhost";

#[test]
fn each_path_and_method_has_its_response() {
    let allow = Some(("allow", "GET, HEAD, OPTIONS"));
    let table: &[Row] = &[
        (
            "GET /metrics",
            200,
            Some(("content-type", "text/plain; version=0.0.4; charset=utf-8")),
            "answers_total 0",
        ),
        ("GET /metrics", 200, Some(("vary", "Accept, Accept-Encoding")), ""),
        ("GET /metrics?name=x&%zz", 200, None, "answers_total 0"),
        ("GET http://elsewhere/metrics", 200, None, "answers_total 0"),
        ("HEAD /metrics", 200, Some(("content-type", "text/plain; version=0.0.4; charset=utf-8")), ""),
        ("GET /", 200, Some(("content-type", "text/html; charset=utf-8")), "<a href=\"/metrics\">"),
        ("GET /?%3Cscript%3E", 200, None, env!("CARGO_PKG_VERSION")),
        ("HEAD /", 200, Some(("content-type", "text/html; charset=utf-8")), ""),
        ("GET /-/healthy", 200, Some(("content-type", "text/plain; charset=utf-8")), "Healthy."),
        ("HEAD /-/healthy", 200, None, ""),
        ("GET /-/ready", 200, Some(("content-type", "text/plain; charset=utf-8")), "Ready."),
        ("HEAD /-/ready", 200, None, ""),
        ("OPTIONS /-/ready", 204, allow, ""),
        ("PATCH /-/ready", 405, allow, ""),
        ("OPTIONS /metrics", 204, allow, ""),
        ("OPTIONS /", 204, allow, ""),
        ("OPTIONS /-/healthy", 204, allow, ""),
        ("POST /metrics", 405, allow, ""),
        ("PUT /", 405, allow, ""),
        ("DELETE /-/healthy", 405, allow, ""),
        ("TRACE /metrics", 405, allow, ""),
        ("FROB /metrics", 405, allow, ""),
        ("get /metrics", 405, allow, ""),
        ("CONNECT localhost:80", 405, allow, ""),
        ("GET /metrics/", 404, None, "404: nothing here. The metrics are at /metrics."),
        ("GET //metrics", 404, None, ""),
        ("GET /%6detrics", 404, None, ""),
        ("GET /x/../metrics", 404, None, ""),
        ("GET /METRICS", 404, None, ""),
        ("POST /elsewhere", 404, None, ""),
        ("OPTIONS *", 404, None, ""),
    ];
    let (_guard, addr) = server(&registry());
    let mut kept_alive = Client::connect(addr);
    for row @ (request, status, header, body) in table {
        let bodiless = request.starts_with("HEAD");
        kept_alive.send(format!("{request} HTTP/1.1\r\n{HOST}\r\n\r\n"));
        let answer = kept_alive.answer(bodiless);
        assert_eq!(answer.status, *status, "{row:?}: {answer:?}");
        if let Some((name, value)) = header {
            assert_eq!(answer.header(name), Some(*value), "{row:?}: {answer:?}");
        }
        assert!(answer.body.contains(body), "{row:?}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{row:?}: {answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{row:?}: {answer:?}");
        assert_eq!(answer.header("content-length").is_none(), *status == 204, "{row:?}: {answer:?}");
        assert!(!answer.body.to_lowercase().contains("%3cscript"), "{row:?}: {answer:?}");
    }
}

/// Requests that end the connection: the sent bytes, and the status of the last response before the close.
#[test]
fn malformed_request_gets_a_response_and_is_closed() {
    let long = |bytes: usize| {
        let head = format!("GET /metrics HTTP/1.1\r\n{HOST}\r\nX: \r\n\r\n");
        head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())))
    };
    let table: Vec<(String, &str)> = vec![
        (long(16 * 1024 + 1), "431"),
        (long(64 * 1024), "431"),
        (format!("GET /metrics HTTP/1.1\r\n{HOST}\r\n{}\r\n", "X: y\r\n".repeat(100)), "431"),
        (format!("GET /{} HTTP/1.1\r\n{HOST}\r\n\r\n", "x".repeat(70_000)), "431"),
        ("GET /metrics\r\n\r\n".to_owned(), "400"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned(), "400"),
        (format!("GET /met\0rics HTTP/1.1\r\n{HOST}\r\n\r\n"), "400"),
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), "400"),
        ("GET /metrics HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("GET /metrics HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (format!("GET /metrics HTTP/1.1\r\n{HOST}\r\nConnection: close\r\n\r\n"), "200"),
        // Bodies that the server does not read: announced but not sent, sent after 100 Continue, sent in
        // part.
        (format!("POST /metrics HTTP/1.1\r\n{HOST}\r\nContent-Length: 100\r\n\r\n"), "405"),
        (format!("GET /metrics HTTP/1.1\r\n{HOST}\r\nContent-Length: 100\r\n\r\n"), "200"),
        (format!("GET / HTTP/1.1\r\n{HOST}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"), "200"),
        (format!("GET / HTTP/1.1\r\n{HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /"), "200"),
        // The server does not serve a request hidden in a body.
        (format!("POST / HTTP/1.1\r\n{HOST}\r\nContent-Length: 18\r\n\r\nGET /x HTTP/1.0\r\n\r\n"), "405"),
    ];
    let (_guard, addr) = server(&registry());
    for (request, status) in table {
        let shown: String = request.chars().take(120).collect();
        let mut client = Client::connect(addr);
        client.send(&request);
        client.half_close();
        let answers = client.closed();
        assert!(
            answers.starts_with(&format!("HTTP/1.1 {status} "))
                || answers.starts_with(&format!("HTTP/1.0 {status} ")),
            "{shown:?}: {answers:?}"
        );
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{shown:?}: {answers:?}");
    }
}

/// The server responds before the client sends its body, and announces the close.
#[test]
fn unsent_request_body_gets_the_response_at_once() {
    let (_guard, addr) = server(&registry());
    for extra in ["", "Expect: 100-continue\r\n"] {
        let mut client = Client::connect(addr);
        client.send(format!("POST /metrics HTTP/1.1\r\n{HOST}\r\n{extra}Content-Length: 100\r\n\r\n"));
        let answer = client.answer(false);
        assert_eq!(answer.status, 405, "{extra:?}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{extra:?}: {answer:?}");
        // The client's side is still open.
        assert_eq!(client.closed(), "", "{extra:?}");
    }
}

#[test]
fn head_of_exactly_16_kib_is_served() {
    let (_guard, addr) = server(&registry());
    let head = format!("GET /metrics HTTP/1.1\r\n{HOST}\r\nConnection: close\r\nX: \r\n\r\n");
    let head = head.replace("X: ", &format!("X: {}", "x".repeat(16 * 1024 - head.len())));
    assert_eq!(head.len(), 16 * 1024);
    let mut client = Client::connect(addr);
    client.send(head);
    assert_eq!(client.answer(false).status, 200);
}

#[test]
fn half_closed_client_gets_the_whole_response() {
    let (_guard, addr) = server(&registry());
    let mut client = Client::connect(addr);
    client.send(format!("GET /metrics HTTP/1.1\r\n{HOST}\r\n\r\n"));
    client.half_close();
    assert!(client.answer(false).body.contains("answers_total 0"));
}

#[test]
fn pipelined_requests_get_responses_in_order() {
    let (_guard, addr) = server(&registry());
    let mut client = Client::connect(addr);
    client.send(format!(
        "GET /metrics HTTP/1.1\r\n{HOST}\r\n\r\nGET /nowhere HTTP/1.1\r\n{HOST}\r\n\r\nGET / HTTP/1.1\r\n{HOST}\r\n\r\n"
    ));
    let statuses: Vec<u16> = (0..3).map(|_| client.answer(false).status).collect();
    assert_eq!(statuses, [200, 404, 200]);
}

#[test]
fn head_has_the_length_of_get() {
    // Without the server's own metrics, whose length changes.
    let guard = Server::builder()
        .registry(&registry())
        .self_metrics(false)
        .listen("127.0.0.1:0")
        .bind()
        .unwrap()
        .start()
        .unwrap();
    for path in ["/metrics", "/", "/-/healthy", "/nowhere"] {
        let mut client = Client::connect(guard.local_addr().unwrap());
        client.send(format!("HEAD {path} HTTP/1.1\r\n{HOST}\r\n\r\n"));
        let head = client.answer(true);
        client.send(format!("GET {path} HTTP/1.1\r\n{HOST}\r\nConnection: close\r\n\r\n"));
        let get = client.answer(false);
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(get.body.len().to_string(), get.header("content-length").unwrap(), "{path}");
        assert_eq!(client.closed(), "", "{path}");
    }
}

#[test]
fn metrics_path_may_be_the_root() {
    let guard = Server::builder()
        .registry(&registry())
        .metrics_path("/")
        .listen("127.0.0.1:0")
        .bind()
        .unwrap()
        .start()
        .unwrap();
    assert!(get(guard.local_addr().unwrap(), "/").body.contains("answers_total 0"));
}

#[test]
fn body_equals_output_of_text_encoder() {
    let registry = registry();
    let guard = Server::builder()
        .registry(&registry)
        .self_metrics(false)
        .listen("127.0.0.1:0")
        .bind()
        .unwrap()
        .start()
        .unwrap();
    let expected = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert_eq!(get(guard.local_addr().unwrap(), "/metrics").body, expected);
}

/// Collects one counter, or panics with a secret in its message.
struct Moody {
    counter: IntCounter,
    panics: Arc<AtomicBool>,
}

impl Collector for Moody {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        assert!(!self.panics.load(Ordering::SeqCst), "the password is swordfish");
        self.counter.collect()
    }
}

#[test]
fn panicking_collector_is_500_without_its_message() {
    let registry = Registry::new();
    let panics = Arc::new(AtomicBool::new(true));
    let counter = IntCounter::new("moody_total", "help").unwrap();
    registry.register(Box::new(Moody { counter, panics: Arc::clone(&panics) })).unwrap();
    let (_guard, addr) = server(&registry);

    for _ in 0..3 {
        let answer = get(addr, "/metrics");
        assert_eq!(answer.status, 500);
        assert!(!answer.body.contains("swordfish") && answer.body.lines().count() == 1, "{answer:?}");
    }
    panics.store(false, Ordering::SeqCst);
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("moody_total"), Some(0.0));
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"panic\"}"), Some(3.0));
}

/// `TextEncoder` panics on the first family and fails the whole scrape on the second. `gather` removes empty
/// ones.
#[test]
fn bad_collector_does_not_affect_samples_of_others() {
    struct Rubbish(Desc);
    impl Collector for Rubbish {
        fn desc(&self) -> Vec<&Desc> {
            vec![&self.0]
        }
        fn collect(&self) -> Vec<MetricFamily> {
            let counter = |name: &str| {
                let mut family = IntCounter::new("x", "help").unwrap().collect().remove(0);
                family.set_name(name.to_owned());
                family
            };
            vec![counter(""), counter("with blanks\n"), MetricFamily::default()]
        }
    }
    let registry = registry();
    let desc = Desc::new("rubbish".into(), "help".into(), vec![], HashMap::new()).unwrap();
    registry.register(Box::new(Rubbish(desc))).unwrap();
    let (_guard, addr) = server(&registry);
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("answers_total"), Some(0.0));
    assert_eq!(answer.sample("with_blanks_"), Some(0.0));
    let again = get(addr, "/metrics");
    let skipped = again.sample("prometheus_exporter_errors_total{cause=\"skipped\"}");
    assert!(skipped >= Some(1.0), "{skipped:?}");
}
