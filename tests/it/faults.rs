//! Tests faults of clients, collectors and host programs that need no other programs.
//!
//! `faults/` has the other tests. Some faults are in the modules of their subject: `responses` (methods,
//! paths, heads, bodies, half-closes, pipelining), `limits` (connections), `scrape` and `host` (collectors
//! that hang, register metrics or use up descriptors), `stop`, `log`. Each row prints itself if it fails.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};
use prometheus_hyper::{Guard, Server};
use socket2::SockRef;

use crate::support::client::{Client, Response, get};
use crate::support::log::logged;
use crate::support::runtime::current_thread;
use crate::support::server::start;

const HOST: &str = "Host: localhost\r\n";

fn server() -> (Guard, SocketAddr) {
    start(Server::builder().registry(&Registry::new()).openmetrics(true))
}

/// Sends a request, closes the client's side, and returns the response. Takes bytes, because some rows are
/// not UTF-8.
fn exchange(addr: SocketAddr, request: &[u8]) -> String {
    let mut client = Client::connect(addr);
    client.send(request);
    client.half_close();
    client.closed()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.").skip(1).map(|answer| answer.get(2..5).unwrap_or("none")).collect()
}

/// RFC 9112, section 11.2: a proxy and a server that disagree on the length of a message allow request
/// smuggling. Served, the request in these bodies would get a second response, with status 404.
#[test]
fn server_never_serves_a_request_hidden_in_a_body() {
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n";
    let length = HIDDEN.len();
    let framings = [
        format!("Content-Length: {length}"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0, {length}"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: {length} 0"),
        format!("Content-Length: 0x{length:x}"),
        "Content-Length: -1".to_owned(),
        "Content-Length: 18446744073709551616".to_owned(),
        "Content-Length: 18446744073709551615".to_owned(),
        "Content-Length:".to_owned(),
        "Transfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: \x0bchunked".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        format!("Content-Length : {length}"),
        format!(" Content-Length: {length}"),
        format!("X: y\r\n Content-Length: {length}"),
        format!("X: y\rContent-Length: {length}"),
        format!("X: y\nContent-Length: {length}"),
        format!("X: y\0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nExpect: 100-continue"),
        format!("Content-Length: {length}\r\nConnection: Content-Length"),
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__".to_owned(),
    ];
    let (_guard, addr) = server();
    for framing in &framings {
        for method in ["GET", "POST"] {
            let answers =
                exchange(addr, format!("{method} / HTTP/1.1\r\n{HOST}{framing}\r\n\r\n{HIDDEN}").as_bytes());
            let row = format!("{method} {framing:?}: {answers:?}");
            let statuses = statuses(&answers);
            // Without a framing header, the client visibly sends a second request.
            let in_the_open = framing.starts_with("Upgrade");
            assert_eq!(statuses.len(), if in_the_open { 2 } else { 1 }, "{row}");
            let status = statuses[0];
            let refused = status.starts_with('4') || status == "501";
            assert!(refused || method == "GET" && status == "200", "{row}");
        }
    }
}

/// A malformed first line gets a rejection or the response of its path. It gets one response, without its
/// bytes.
#[test]
fn odd_request_lines_get_one_response() {
    let long = [b"GET /metrics?x=".as_slice(), &b"x".repeat(70_000), b" HTTP/1.1"].concat();
    let many = [b"GET /metrics?".as_slice(), &b"name[]=x&".repeat(1025), b" HTTP/1.1"].concat();
    let most = [b"GET /metrics?".as_slice(), &b"name[]=x&".repeat(1024), b" HTTP/1.1"].concat();
    let percent = [b"GET /metrics?name[]=".as_slice(), &b"%".repeat(15 * 1024), b" HTTP/1.1"].concat();
    let brackets = [b"GET /metrics?".as_slice(), &b"name[]&=[]&".repeat(1024), b" HTTP/1.1"].concat();
    let table: &[(&[u8], &[&str])] = &[
        (b"GET /metrics HTTP/1.1", &["200"]),
        (b"GET http://elsewhere.example/metrics HTTP/1.1", &["200"]),
        (b"GET https://user@elsewhere.example/metrics HTTP/1.1", &["200", "400"]),
        (b"GET /metrics?name[]=%3Cscript%3E HTTP/1.1", &["200"]),
        (b"GET /\xff\xfe HTTP/1.1", &["400", "404"]),
        (b"GET /%ff%fe HTTP/1.1", &["404"]),
        (b"GET /metrics\x00 HTTP/1.1", &["400"]),
        (b"GET /metrics%00 HTTP/1.1", &["404"]),
        (b"GET /metrics HTTP/1.1\r", &["400"]),
        (b"GET  /metrics HTTP/1.1", &["400"]),
        (b"GET /metrics  HTTP/1.1", &["400"]),
        (b"GET /metrics HTTP/2.0", &["400"]),
        (b"GET /metrics HTTP/9.9", &["400"]),
        (b"GET /metrics FTP/1.1", &["400"]),
        (b"GET\t/metrics\tHTTP/1.1", &["400"]),
        (b"GET metrics HTTP/1.1", &["400", "404"]),
        (b"GET ../metrics HTTP/1.1", &["400", "404"]),
        (b"\xff\xfe /metrics HTTP/1.1", &["400"]),
        (b"GET /metrics#fragment HTTP/1.1", &["200", "400"]),
        (&many, &["400"]),
        (&most, &["200"]),
        (&percent, &["200", "400"]),
        (&brackets, &["200", "400"]),
        (&long, &["414", "431"]),
    ];
    let (_guard, addr) = server();
    for (line, expected) in table {
        let answers =
            exchange(addr, &[*line, b"\r\n", HOST.as_bytes(), b"Connection: close\r\n\r\n"].concat());
        let row = String::from_utf8_lossy(&line[..line.len().min(60)]);
        let statuses = statuses(&answers);
        assert!(statuses.len() == 1 && expected.contains(&statuses[0]), "{row:?}: {statuses:?} {answers:?}");
        assert!(!answers.contains("<script>alert") && !answers.contains("script%3E"), "{row:?}: {answers:?}");
    }
}

/// RFC 9112, sections 3.2 and 9.3.
#[test]
fn versions_and_hosts_follow_the_rfc() {
    // Version, headers, status, and whether the connection serves a second request.
    let table = [
        ("1.1", "Host: a\r\n", "200", true),
        ("1.1", "Host: a\r\nConnection: close\r\n", "200", false),
        ("1.1", "Host:\r\n", "200", true),
        ("1.1", "Host: [::1]:80\r\n", "200", true),
        ("1.1", "", "400", false),
        ("1.1", "Host: a\r\nHost: b\r\n", "400", false),
        ("1.1", "Host: a\r\nHost: a\r\n", "400", false),
        ("1.1", "Host: a, b\r\n", "400", false),
        ("1.1", "Host: a/b\r\n", "400", false),
        ("1.1", "Host: <script>\r\n", "400", false),
        ("1.1", "Host: a@b\r\n", "400", false),
        ("1.0", "", "200", false),
        ("1.0", "Connection: keep-alive\r\n", "200", true),
        ("1.0", "Host: a\r\n", "200", false),
        ("1.0", "Host: a\r\nHost: b\r\n", "400", false),
    ];
    let (_guard, addr) = server();
    for row @ (version, headers, status, second) in table {
        let request = format!("GET /-/healthy HTTP/{version}\r\n{headers}\r\n");
        let answers = exchange(addr, request.repeat(2).as_bytes());
        let expected = if second { vec![status; 2] } else { vec![status] };
        assert_eq!(statuses(&answers), expected, "{row:?}: {answers:?}");
    }
}

/// Each header value is parsed in linear time, without a panic or a 406. The next request is not affected.
#[test]
fn junk_in_headers_does_not_affect_the_response() {
    let room = 14 * 1024;
    let names =
        ["Accept", "Accept-Encoding", "X-Prometheus-Scrape-Timeout-Seconds", "Authorization", "Cookie"];
    let values = [
        String::new(),
        ",".repeat(room),
        ";".repeat(room),
        "a/b;q=".to_owned() + &"0".repeat(room),
        "*/*;q=0".to_owned(),
        "\"".repeat(room),
        "\\\"".repeat(room / 2),
        "application/openmetrics-text;version=1.0.0;q=0.5,".repeat(room / 50),
        "gzip;q=0.001,".repeat(room / 13),
        "identity;q=0, *;q=0".to_owned(),
        "-1".to_owned(),
        "1e308".to_owned(),
        "NaN".to_owned(),
        "9".repeat(room),
        "\t \t".repeat(room / 3),
        "\u{fffd}".repeat(room / 3),
        "text/plain;version=0.0.4;escaping=".to_owned() + &"dots,".repeat(room / 5),
    ];
    let (_guard, addr) = server();
    for name in names {
        for value in &values {
            let request =
                format!("GET /metrics HTTP/1.1\r\n{HOST}Connection: close\r\n{name}: {value}\r\n\r\n");
            let answers = exchange(addr, request.as_bytes());
            let row = format!("{name}: {}", value.chars().take(40).collect::<String>());
            assert_eq!(statuses(&answers), ["200"], "{row}");
        }
        // The same in as many headers as a head may have.
        let lines = format!("{name}: x\r\n").repeat(90);
        let request = format!("GET /metrics HTTP/1.1\r\n{HOST}Connection: close\r\n{lines}\r\n");
        assert_eq!(statuses(&exchange(addr, request.as_bytes())), ["200"], "90 times {name}");
    }
    assert_eq!(get(addr, "/metrics").header("content-encoding"), None);
}

#[test]
fn reset_or_foreign_protocol_harms_no_other_connection() {
    let (_guard, addr) = server();
    let reset = |client: &Client| SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    for sent in
        ["", "GET /metr", "GET /metrics HTTP/1.1\r\n", &format!("GET /metrics HTTP/1.1\r\n{HOST}\r\n")]
    {
        for _ in 0..20 {
            let mut client = Client::connect(addr);
            client.send(sent);
            reset(&client);
        }
    }
    // Resets the connection during the response, after its first byte.
    for _ in 0..20 {
        let mut client = Client::connect(addr);
        client.send(format!("GET /metrics HTTP/1.1\r\n{HOST}\r\n"));
        client.head();
        reset(&client);
    }
    let others: &[(&str, &[u8])] = &[
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03\x04"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("SOCKS", b"\x05\x01\x00"),
        ("zeros", &[0; 4096]),
        ("line feeds", &[b'\n'; 4096]),
        ("blanks", &[b' '; 4096]),
        ("ones", &[0xff; 4096]),
    ];
    for (protocol, bytes) in others {
        let answers = exchange(addr, bytes);
        let statuses = statuses(&answers);
        assert!(statuses.is_empty() || statuses == ["400"], "{protocol}: {answers:?}");
    }
    assert_eq!(get(addr, "/metrics").status, 200);
}

/// A faulty connection logs one line at debug at most, so clients cannot fill the log.
#[test]
fn faulty_connection_logs_one_debug_line_at_most() {
    let faulty: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET /metr",
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ];
    let log = logged(Server::builder().registry(&crate::support::server::something()), |addr| {
        for bytes in faulty.iter().cycle().take(10 * faulty.len()) {
            exchange(addr, bytes);
        }
        for _ in 0..20 {
            let mut client = Client::connect(addr);
            client.send(format!("GET /metrics HTTP/1.1\r\n{HOST}\r\n"));
            client.head();
            SockRef::from(client.stream()).set_linger(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(get(addr, "/-/healthy").status, 200);
    });
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("prometheus_hyper")).collect();
    let (debug, above): (Vec<&str>, Vec<&str>) = ours.into_iter().partition(|line| line.contains(" DEBUG "));
    assert_eq!(above.len(), 1, "only the line of the start: {above:?}");
    assert!((1..=10 * faulty.len() + 20).contains(&debug.len()), "{} lines: {log}", debug.len());
}

/// CVE-2022-21698: clients created series in an instrumented server.
#[test]
fn no_label_value_comes_from_a_client() {
    let (_guard, addr) = server();
    let own_series = || -> BTreeSet<String> {
        let answer = get(addr, "/metrics");
        answer.body.lines().filter(|line| !line.starts_with('#')).map(series_of).collect()
    };
    get(addr, "/metrics");
    let before = own_series();
    assert!(before.len() > 5, "{before:?}");
    for n in 0..50 {
        let forged = format!("forged{n}");
        for request in [
            format!("{forged} /metrics HTTP/1.1\r\n{HOST}\r\n"),
            format!("GET /{forged} HTTP/1.1\r\n{HOST}\r\n"),
            format!("GET /metrics?name[]={forged}&registry[]={forged} HTTP/1.1\r\n{HOST}\r\n"),
            format!("GET /metrics HTTP/1.1\r\nHost: {forged}\r\nUser-Agent: {forged}\r\n\r\n"),
            format!("GET /metrics HTTP/1.1\r\n{HOST}Accept: {forged}\r\nAccept-Encoding: {forged}\r\n\r\n"),
            format!("GET /metrics HTTP/1.1\r\n{HOST}X-Forwarded-For: {forged}\r\n{forged}: {forged}\r\n\r\n"),
            format!("GET /metrics HTTP/1.1\r\n{HOST}Authorization: Basic {forged}\r\n\r\n"),
        ] {
            exchange(addr, request.as_bytes());
        }
    }
    let after = own_series();
    assert!(after.iter().all(|series| !series.contains("forged")), "{after:?}");
    let more: Vec<&String> = after.difference(&before).collect();
    // A series that counts client faults may appear with its first fault. There is one for each kind.
    assert!(more.len() <= 4, "{more:?}");
}

fn series_of(line: &str) -> String {
    line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned()
}

/// The host program sets names, labels and help, but their values may come from a client.
#[test]
fn label_values_break_neither_lines_nor_headers() {
    let evil = [
        "\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>",
        "\"} 1\nforged_total 1\n",
        "\\\" \\n \\\\",
        "\0\u{1}\u{7f}\u{2028}\u{feff}",
        "# TYPE forged counter",
        "",
    ];
    let registry = Registry::new();
    let opts = Opts::new("labelled_total", "help\nforged_total 2\r\n\\");
    let family = IntCounterVec::new(opts, &["label"]).unwrap();
    for value in evil {
        family.with_label_values(&[value]).inc();
    }
    let long = "x".repeat(100 * 1024);
    family.with_label_values(&[&long]).inc();
    registry.register(Box::new(family)).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).self_metrics(false).openmetrics(true));
    for accept in ["text/plain", "application/openmetrics-text;version=1.0.0"] {
        let mut client = Client::connect(addr);
        client.send(format!("GET /metrics HTTP/1.1\r\n{HOST}Accept: {accept}\r\nConnection: close\r\n\r\n"));
        let answer = client.answer(false);
        assert_eq!(answer.status, 200, "{accept}");
        assert!(!answer.head.contains("Set-Cookie"), "{accept}: {}", answer.head);
        let lines: Vec<&str> = answer.body.split('\n').filter(|line| !line.starts_with('#')).collect();
        // One line for each value, and the empty text after the last line feed.
        assert_eq!(lines.len(), evil.len() + 2, "{accept}: {lines:?}");
        assert!(lines.iter().all(|line| line.is_empty() || line.starts_with("labelled_total{")), "{accept}");
        assert!(!answer.body.contains("\nforged_total"), "{accept}");
        assert!(answer.body.contains(&long), "{accept}");
    }
}

/// A collector with a poisoned mutex panics at each scrape. Once the poison is cleared, it works again.
#[test]
fn scrapes_fail_until_a_poisoned_mutex_is_cleared() {
    struct Locked(Arc<Mutex<IntCounter>>, Desc);
    impl Collector for Locked {
        fn desc(&self) -> Vec<&Desc> {
            vec![&self.1]
        }
        fn collect(&self) -> Vec<MetricFamily> {
            self.0.lock().unwrap().collect()
        }
    }
    let counter = IntCounter::new("locked_total", "help").unwrap();
    let desc = counter.desc()[0].clone();
    let shared = Arc::new(Mutex::new(counter));
    let registry = Registry::new();
    registry.register(Box::new(Locked(Arc::clone(&shared), desc))).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry));
    let scrape = || -> Response { get(addr, "/metrics") };

    assert_eq!(scrape().sample("locked_total"), Some(0.0));
    let poisoner = Arc::clone(&shared);
    thread::spawn(move || {
        let _held = poisoner.lock().unwrap();
        panic!("expected panic of this test");
    })
    .join()
    .unwrap_err();
    for _ in 0..3 {
        let answer = scrape();
        assert_eq!(answer.status, 500);
        assert!(!answer.body.contains("Poison"), "{answer:?}");
    }
    shared.clear_poison();
    assert_eq!(scrape().sample("locked_total"), Some(0.0));
}

/// At the end of a thread or a runtime, a destructor must neither panic nor block.
#[test]
fn guard_may_be_dropped_at_the_end_of_thread_or_runtime() {
    thread_local!(static KEPT: std::cell::RefCell<Option<Guard>> = const { std::cell::RefCell::new(None) });
    let in_a_destructor = || {
        let (guard, _) = server();
        let closed = guard.stopped();
        thread::spawn(move || KEPT.with_borrow_mut(|kept| *kept = Some(guard))).join().unwrap();
        closed
    };
    let after_its_runtime = || {
        let runtime = current_thread();
        let guard = runtime.block_on(async { server().0 });
        drop(runtime);
        guard.stopped()
    };
    let as_a_task_is_dropped = || {
        let runtime = current_thread();
        let (guard, _) = server();
        let closed = guard.stopped();
        runtime.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        closed
    };
    current_thread().block_on(in_a_destructor());
    current_thread().block_on(after_its_runtime());
    current_thread().block_on(as_a_task_is_dropped());
}

/// NaN and infinite gauges are served. A family with another type in an earlier registry is skipped and
/// counted.
#[test]
fn odd_values_are_served_and_type_conflicts_are_skipped() {
    let registry = Registry::new();
    for (name, value) in
        [("nan", f64::NAN), ("infinite", f64::INFINITY), ("low", f64::NEG_INFINITY), ("zero", -0.0)]
    {
        let gauge = Gauge::new(name, "help").unwrap();
        gauge.set(value);
        registry.register(Box::new(gauge)).unwrap();
    }
    let other = Registry::new();
    other.register(Box::new(IntCounter::new("zero", "help").unwrap())).unwrap();
    let builder = Server::builder().registry_named("first", &registry).registry_named("other", &other);
    let (_guard, addr) = start(builder);
    let answer = get(addr, "/metrics");
    for line in ["nan NaN", "infinite +Inf", "low -Inf", "zero -0"] {
        assert!(answer.body.lines().any(|shown| shown == line), "{line}: {}", answer.body);
    }
    let of_zero: Vec<&str> = answer.body.lines().filter(|line| line.contains("zero")).collect();
    assert_eq!(of_zero, ["# HELP zero help", "# TYPE zero gauge", "zero -0"]);
    let conflicts = get(addr, "/metrics").sample("prometheus_exporter_errors_total{cause=\"type_conflict\"}");
    assert!(conflicts >= Some(1.0), "{conflicts:?}");
}
