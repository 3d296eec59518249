//! Tests that the client gets the format and coding that it asks for.

use std::net::SocketAddr;

use prometheus_hyper::prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};
use prometheus_hyper::{Builder, Guard, Server};

use crate::support::client::{Client, Response};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn start(options: impl FnOnce(Builder) -> Builder) -> (Guard, SocketAddr) {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("forms_total", "help").unwrap())).unwrap();
    let histogram = Histogram::with_opts(HistogramOpts::new("forms_seconds", "help").buckets(vec![1.0]));
    registry.register(Box::new(histogram.unwrap())).unwrap();
    let builder = options(Server::builder().registry(&registry));
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

fn scrape(addr: SocketAddr, path: &str, headers: &str) -> (Response, Vec<u8>) {
    let mut client = Client::connect(addr);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    let head = client.head();
    let body = client.body_bytes(&head);
    (head, body)
}

/// The `Accept` header of Prometheus 2.42 and 3.4.
const PROMETHEUS_2: &str = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
const PROMETHEUS_3: &str = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n";

#[test]
fn format_parameter_selects_enabled_formats() {
    let plain_3 = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    let openmetrics_3 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    // Accept, and the content type without OpenMetrics and with it.
    let table: &[(&str, &str, &str)] = &[
        ("", TEXT, TEXT),
        ("Accept: */*\r\n", TEXT, TEXT),
        ("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", TEXT, TEXT),
        ("Accept: application/json\r\n", TEXT, TEXT),
        (PROMETHEUS_2, TEXT, OPENMETRICS),
        (PROMETHEUS_3, plain_3, openmetrics_3),
        ("Accept: application/openmetrics-text\r\nAccept: text/plain;q=0.9\r\n", TEXT, OPENMETRICS),
        ("Accept: application/openmetrics-text;q=0.5, text/plain\r\n", TEXT, TEXT),
        ("Accept: application/openmetrics-text;q=0\r\n", TEXT, TEXT),
    ];
    for openmetrics in [false, true] {
        let (_guard, addr) = start(|builder| builder.openmetrics(openmetrics));
        for row @ (accept, without, with) in table {
            let (head, body) = scrape(addr, "/metrics", accept);
            let body = String::from_utf8(body).unwrap();
            let expected = if openmetrics { with } else { without };
            assert_eq!((head.status, head.header("content-type")), (200, Some(*expected)), "{row:?}");
            assert_eq!(head.header("vary"), Some("Accept, Accept-Encoding"), "{row:?}");
            let is_openmetrics = expected.starts_with("application/openmetrics");
            assert_eq!(body.ends_with("# EOF\n"), is_openmetrics, "{row:?}: {body}");
            assert_eq!(body.contains("le=\"1.0\""), is_openmetrics, "{row:?}: {body}");
            assert_eq!(body.contains("# TYPE forms counter"), is_openmetrics, "{row:?}: {body}");
        }
    }
}

#[test]
fn query_selects_an_enabled_format() {
    let (_guard, addr) = start(|builder| builder.openmetrics(true));
    let shown = "text/plain; charset=utf-8";
    let prometheus = "Accept: text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5\r\n";
    let table = [
        ("/metrics?format=text", "", TEXT, false),
        ("/metrics?format=openmetrics", "", shown, true),
        ("/metrics?format=text", prometheus, TEXT, false),
        // Prometheus reads no OpenMetrics as text/plain. A browser would download the other type.
        ("/metrics?format=openmetrics", prometheus, OPENMETRICS, true),
    ];
    for (path, accept, content_type, openmetrics) in table {
        let (head, body) = scrape(addr, path, accept);
        assert_eq!(head.header("content-type"), Some(content_type), "{path} {accept}");
        assert_eq!(String::from_utf8(body).unwrap().ends_with("# EOF\n"), openmetrics, "{path}");
    }
    for path in ["/metrics?format=protobuf", "/metrics?format=html"] {
        let (head, body) = scrape(addr, path, "");
        assert_eq!((head.status, head.header("content-type")), (400, Some(shown)), "{path}");
        assert_eq!(body, b"400: unknown format. Use one of: text, openmetrics.\n", "{path}");
    }
    let (_guard, addr) = start(|builder| builder);
    let (head, _) = scrape(addr, "/metrics?format=openmetrics", "");
    assert_eq!(head.header("content-type"), Some(TEXT), "OpenMetrics is not enabled");
}

#[test]
fn bodies_are_compressed_if_the_client_accepts_it() {
    let gzip = |body: &[u8]| body.starts_with(&[0x1f, 0x8b]);
    let (_guard, addr) = start(|builder| builder);
    let table: &[(&str, Option<&str>)] = &[
        ("", None),
        ("Accept-Encoding: gzip\r\n", Some("gzip")),
        ("Accept-Encoding: identity\r\n", None),
        ("Accept-Encoding: deflate, br\r\n", None),
        ("Accept-Encoding: gzip;q=0\r\n", None),
        ("Accept-Encoding: identity;q=0.5, gzip;q=0.1\r\n", None),
        ("Accept-Encoding: *;q=0\r\n", None),
        ("Accept-Encoding: x-gzip\r\n", Some("gzip")),
    ];
    for row @ (accept, coding) in table {
        let (head, body) = scrape(addr, "/metrics", accept);
        assert_eq!((head.status, head.header("content-encoding")), (200, *coding), "{row:?}");
        assert_eq!(gzip(&body), coding.is_some(), "{row:?}");
        assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()), "{row:?}");
    }
    // A small body is not compressed. No body is with `compression(false)`.
    let (head, _) = scrape(addr, "/metrics?name[]=forms_total", "Accept-Encoding: gzip\r\n");
    assert_eq!(head.header("content-encoding"), None);
    let (_guard, addr) = start(|builder| builder.compression(false));
    let (head, _) = scrape(addr, "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(head.header("content-encoding"), None);
}

/// Names that `prometheus` rejects, except as the prefix of a registry.
#[test]
fn utf8_names_are_escaped_as_the_client_requests() {
    let registry = Registry::new_custom(Some("http.server".to_owned()), None).unwrap();
    let vec = IntCounterVec::new(Opts::new("requests", "help"), &["code"]).unwrap();
    vec.with_label_values(&["200"]).inc();
    registry.register(Box::new(vec)).unwrap();
    let guard = Server::builder().registry(&registry).self_metrics(false).listen("127.0.0.1:0");
    let guard = guard.bind().unwrap().start().unwrap();
    let seen = "/metrics?name[]=http_server_requests";
    let (_, body) = scrape(guard.local_addr().unwrap(), seen, "");
    assert!(body.ends_with(b" 1\n"), "the escaped name selects too");
    let table = [
        ("", "http_server_requests{code=\"200\"} 1"),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", "http_server_requests{code=\"200\"} 1"),
        ("text/plain;version=1.0.0", "http_server_requests{code=\"200\"} 1"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", "{\"http.server_requests\",code=\"200\"} 1"),
        ("text/plain;version=1.0.0;escaping=dots", "http_dot_server__requests{code=\"200\"} 1"),
        ("text/plain;version=1.0.0;escaping=values", "U__http_2e_server__requests{code=\"200\"} 1"),
    ];
    for (accept, sample) in table {
        let (_, body) = scrape(guard.local_addr().unwrap(), "/metrics", &format!("Accept: {accept}\r\n"));
        let body = String::from_utf8(body).unwrap();
        assert_eq!(body.lines().last(), Some(sample), "{accept}: {body}");
    }
}
