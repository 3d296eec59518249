//! Tests the peak memory of a scrape: at most the families, the bodies and 1 MiB. With one representation, it
//! is less: each metric is dropped once it is written.
//!
//! A separate binary with a single test, because it counts every allocation of the process. It does not count
//! those of zstd, a C library. `LEVELS=1 cargo bench --bench scrape` shows them.

#[path = "../benches/workload/mod.rs"]
mod workload;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use prometheus_hyper::Server;
use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const SERIES: usize = 100_000;

const MARGIN: usize = 1024 * 1024;

/// Far longer than any wait of this test.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn scrape_peaks_at_the_size_of_families_and_bodies() {
    let registry = workload::registry(SERIES, 1, 1);
    let families = {
        let before = ALLOCATED.current_usage();
        let families = registry.gather();
        let after = ALLOCATED.current_usage();
        drop(families);
        after - before
    };
    let gate = Gate::default();
    registry.register(Box::new(gate.clone())).unwrap();
    let guard = Server::builder().listen("127.0.0.1:0").registry(&registry).bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    // Allocates everything that is allocated once: the thread, its buffers, the log's call sites.
    ask(addr, "").body();
    ask(addr, "Accept-Encoding: gzip\r\n").body();

    let rows: [(&str, &[&str]); 4] = [
        ("identity", &[""]),
        ("gzip", &["Accept-Encoding: gzip\r\n"]),
        ("zstd", &["Accept-Encoding: zstd\r\n"]),
        ("identity and gzip concurrently", &["", "Accept-Encoding: gzip\r\n"]),
    ];
    for (row, forms) in rows {
        turned_to_others(addr);
        gate.close();
        let gathers = gate.gathers.load(Ordering::SeqCst);
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let clients: Vec<_> = forms.iter().map(|headers| ask(addr, headers)).collect();
        gate.open();
        let bodies: usize = clients.into_iter().map(Client::body).sum();
        let peak = ALLOCATED.peak_usage() - before;

        assert_eq!(
            gate.gathers.load(Ordering::SeqCst),
            gathers + 1,
            "{row}: the scrapes did not share one gather"
        );
        // With the last representation, the families shrink as the body grows.
        let together = if forms.len() == 1 { families.max(bodies) } else { families + bodies };
        println!("{row}: peak {peak}, families {families}, bodies {bodies}");
        assert!(
            peak <= together + MARGIN,
            "{row}: peak {peak}, {} above the limit",
            peak.saturating_sub(together + MARGIN)
        );
    }
}

struct Client(TcpStream);

/// Scrapes, and returns once the server handles the request. A health check precedes it in the same segment.
/// After its response, the server's single thread turns to the scrape.
fn ask(addr: SocketAddr, headers: &str) -> Client {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let requests = format!(
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n\
         GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         X-Prometheus-Scrape-Timeout-Seconds: 60\r\n{headers}\r\n"
    );
    stream.write_all(requests.as_bytes()).unwrap();
    healthy(&mut stream);
    turned_to_others(addr);
    Client(stream)
}

/// Returns once the server's single thread has finished its work, including the drop of written families.
fn turned_to_others(addr: SocketAddr) {
    let mut another = TcpStream::connect(addr).unwrap();
    another.set_read_timeout(Some(PATIENCE)).unwrap();
    another.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    healthy(&mut another);
}

/// Reads a response and nothing beyond it.
fn healthy(stream: &mut TcpStream) {
    let head = head(stream);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = vec![0; content_length(&head)];
    stream.read_exact(&mut body).unwrap();
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase().replace("http/1.1", "HTTP/1.1")
}

fn content_length(head: &str) -> usize {
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    value.trim().parse().unwrap()
}

impl Client {
    /// Reads and discards the response. Returns the length of its body.
    fn body(mut self) -> usize {
        let head = head(&mut self.0);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = content_length(&head);
        let mut buffer = [0; 16 * 1024];
        let mut read = 0;
        loop {
            match self.0.read(&mut buffer).unwrap() {
                0 => break,
                bytes => read += bytes,
            }
        }
        assert_eq!(read, length);
        length
    }
}

/// A collector without metrics that blocks while it is closed, so that more scrapes can join the gather.
#[derive(Clone, Default)]
struct Gate {
    closed: Arc<AtomicBool>,
    gathers: Arc<AtomicUsize>,
    descs: Vec<Desc>,
}

impl Gate {
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

impl Collector for Gate {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gathers.fetch_add(1, Ordering::SeqCst);
        let deadline = Instant::now() + PATIENCE;
        while self.closed.load(Ordering::SeqCst) && Instant::now() < deadline {
            thread::yield_now();
        }
        Vec::new()
    }
}
