//! Clients without credentials that take connections from others, or write into the host program's log.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_hyper::rustls::pki_types::CertificateDer;
use prometheus_hyper::rustls::pki_types::pem::PemObject;
use prometheus_hyper::rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::SockRef;

use super::connections::{connect_narrowly, may_open};
use super::suites::secured;
use super::watch::{Over, Watch, most_memory};
use super::{Bench, Outcome, Row, check, ms};
use crate::client::{Connection, Response};
use crate::driver::HostProgram;
use crate::flood::{Flood, Manner};
use testing::scratch::Scratch;
use testing::usage::{Usage, mib};

pub const ROWS: &[Row] = &[
    Row {
        name: "unread-metrics-300",
        proves: "at the connection limit a client that reads nothing is evicted within seconds",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 300, METRICS, 0),
    },
    Row {
        name: "unread-metrics-1000",
        proves: "the same, and faster while newcomers queue",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 1000, METRICS, 0),
    },
    Row {
        name: "read-slowly-300",
        proves: "the same for clients that read slower than a scraper",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 300, METRICS, 64 * 1024),
    },
    Row {
        name: "read-slowly-1000",
        proves: "the same, and faster while newcomers queue",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 1000, METRICS, 64 * 1024),
    },
    Row {
        name: "pipelined-health-1000",
        proves: "a connection's time counts from when it was idle; at the connection limit responses have Connection: close",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 1000, HEALTHY, 0),
    },
    Row {
        name: "pipelined-404-1000",
        proves: "the same",
        unprotected: Some(LOCKS_OUT),
        run: |bench| floods(bench, 1000, NOWHERE, 0),
    },
    Row {
        name: "pipelined-401-300",
        proves: "the same",
        unprotected: Some(LOCKS_OUT),
        run: |bench| unauthorized(bench, 300),
    },
    Row {
        name: "pipelined-401-1000",
        proves: "the same",
        unprotected: Some(LOCKS_OUT),
        run: |bench| unauthorized(bench, 1000),
    },
    Row {
        name: "unread-representations-127",
        proves: "max_unsent: the memory for clients that read nothing is limited",
        unprotected: Some("without=max_unsent"),
        run: representations,
    },
    Row {
        name: "tls-one-byte-1000",
        proves: "the grace period of a handshake begins with a complete ClientHello",
        unprotected: Some(LOCKS_OUT),
        run: |bench| handshakes(bench, |_| Ok(vec![0x16])),
    },
    Row {
        name: "tls-hello-1000",
        proves: "the grace period of a handshake shrinks while newcomers queue",
        unprotected: Some(LOCKS_OUT),
        run: |bench| handshakes(bench, hello),
    },
    Row {
        name: "unauthenticated-log",
        proves: "actions of a client are logged at debug or below, by all crates",
        unprotected: Some("naive"),
        run: plain_log,
    },
    Row {
        name: "unauthenticated-log-tls",
        proves: "the same for TLS; a dependency may log by `log`",
        unprotected: Some("naive"),
        run: tls_log,
    },
];

/// A connection limit that keeps newcomers waiting.
const LOCKS_OUT: &str = "naive=128";

const METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
const HEALTHY: &str = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// The timeout of Prometheus.
const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_MIB: u64 = 4;
/// Descriptors of the connections, and of the rest of a server.
const MOST_DESCRIPTORS: u64 = 128 + 8;

/// A minute, or `FLOOD_SECONDS`.
fn seconds() -> u64 {
    std::env::var("FLOOD_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60)
}

fn floods(bench: &Bench, clients: usize, request: &str, reads: usize) -> Outcome {
    let mut host = bench.host(&["current"])?;
    flood_and_scrape(&mut host, clients, request, reads, METRICS)
}

fn unauthorized(bench: &Bench, clients: usize) -> Outcome {
    let mut host = bench.host(&["current", &format!("token={TOKEN}")])?;
    let authorized = METRICS.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"));
    flood_and_scrape(&mut host, clients, METRICS, 0, &authorized)
}

/// Each client requests a large exposition in a different representation, and reads nothing.
fn representations(bench: &Bench) -> Outcome {
    const REQUEST: &str = "GET /metrics?name[]=unruly_total&name[]=of_CLIENT HTTP/1.1\r\nHost: x\r\n\r\n";
    const CLIENTS: usize = 127;
    /// The budget, one exposition above it, and the memory of its gather.
    const MOST_MIB: f64 = 64.0 + 6.0 * LARGE_MIB;
    const LARGE_MIB: f64 = 7.3;
    let mut host = bench.host(&["current"])?;
    may_open(CLIENTS)?;
    host.tell(&format!("body {LARGE_MIB}"))?;
    let (addr, pid, before) = (host.addr, host.pid, host.usage()?.memory);
    let manner = Manner { request: REQUEST.into(), once: true, reads: 0, receive_buffer: 4 * 1024 };
    let scrape = move || Connection::open(addr, TIMEOUT)?.ask(METRICS.as_bytes(), TIMEOUT);
    let over = AtomicBool::new(false);
    let (seen, most) = thread::scope(|scope| {
        let _over = Over(&over);
        let most = scope.spawn(|| most_memory(&over, pid));
        let seen = under(&mut host, &scrape, || Flood::of_clients(CLIENTS, addr, &manner));
        over.store(true, Ordering::Relaxed);
        (seen, most.join().unwrap_or_default())
    });
    let figures = format!("{}; memory at most {:.1} MiB", seen?, mib(most));
    check(mib(most) <= mib(before) + MOST_MIB, || figures.clone())?;
    Ok(figures)
}

fn flood_and_scrape(
    host: &mut HostProgram,
    clients: usize,
    request: &str,
    reads: usize,
    honest: &str,
) -> Outcome {
    may_open(clients)?;
    host.tell(&format!("body {BODY_MIB}"))?;
    let manner = Manner {
        request: request.as_bytes().to_vec(),
        once: false,
        reads,
        // The buffer must hold the bytes that are read at once.
        receive_buffer: if reads > 0 { 128 * 1024 } else { 4 * 1024 },
    };
    let addr = host.addr;
    let scrape = move || Connection::open(addr, TIMEOUT)?.ask(honest.as_bytes(), TIMEOUT);
    under(host, &scrape, || Flood::of_clients(clients, addr, &manner))
}

/// Opens that many new connections a second.
fn handshakes(bench: &Bench, sent: fn(&Arc<ClientConfig>) -> Result<Vec<u8>, String>) -> Outcome {
    may_open(1200)?;
    let (folder, mut host) = secured(bench, "handshakes")?;
    let config = trusting(&folder)?;
    let (addr, sent) = (host.addr, sent(&config)?);
    let scrape = move || Connection::open_tls(addr, &config, TIMEOUT)?.ask(METRICS.as_bytes(), TIMEOUT);
    under(&mut host, &scrape, || Flood::of_newcomers(1000, addr, sent))
}

fn trusting(folder: &Scratch) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(folder.0.join("cert.pem"));
    roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let provider = Arc::new(prometheus_hyper::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Returns a complete ClientHello.
fn hello(config: &Arc<ClientConfig>) -> Result<Vec<u8>, String> {
    let name = "localhost".try_into().map_err(|error| format!("{error}"))?;
    let mut client = ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).map_err(|error| error.to_string())?;
    Ok(hello)
}

/// One honest scrape each second, independent of the previous one. All must succeed.
fn under(
    host: &mut HostProgram,
    scrape: &(dyn Fn() -> io::Result<Response> + Sync),
    begin: impl FnOnce() -> io::Result<Flood>,
) -> Outcome {
    let alone = scrape().map_err(|error| format!("before the flood: {error}"))?.took;
    let watch = Watch::begin(host)?;
    let flood = begin().map_err(|error| error.to_string())?;
    let (seconds, outcomes) = (seconds(), Mutex::new(Vec::new()));
    let (mut descriptors, mut memory) = (0, 0);
    let pid = host.pid;
    let begun = thread::scope(|scope| {
        let start = Instant::now();
        for second in 1..=seconds {
            thread::sleep((start + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
            scope.spawn(|| {
                let asked = Instant::now();
                let answer = scrape();
                let outcome = match answer {
                    Ok(answer) if answer.status == 200 => Ok(asked.elapsed()),
                    Ok(answer) => Err(format!("status {}", answer.status)),
                    Err(error) => Err(format!("{error}, after {}", ms(asked.elapsed()))),
                };
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            });
            let usage = Usage::of(pid).unwrap_or_default();
            (descriptors, memory) = (usage.descriptors.max(descriptors), usage.memory.max(memory));
            // Without its protection the row has failed by now.
            let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            if outcomes.iter().filter(|outcome| outcome.is_err()).count() > 2 {
                return second;
            }
        }
        seconds
    });
    let connected = flood.connected();
    drop(flood);
    let seen = watch.end(host)?;
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let longest = outcomes.iter().flatten().max().copied().unwrap_or_default();
    let good = outcomes.iter().flatten().count();
    let figures = format!(
        "{good} of {begun} honest scrapes good, the longest {} ({} before the flood); {connected} connections, {:.0} a second; \
         {descriptors} descriptors, memory {:.1} → {:.1} MiB at most; {}",
        ms(longest),
        ms(alone),
        connected as f64 / seen.time.as_secs_f64(),
        mib(seen.before.memory),
        mib(memory),
        seen.figures()
    );
    let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
    check(good as u64 == begun && failure.is_none(), || format!("{figures}; {failure:?}"))?;
    check(connected > 100, || format!("{figures}: the clients have not connected"))?;
    check(descriptors <= seen.before.descriptors + MOST_DESCRIPTORS, || figures.clone())?;
    check(seen.host.failed_opens == 0, || format!("{figures}: opens of the host program failed"))?;
    check(seen.host.log_lines <= 1 + seen.time.as_secs() / 60, || figures.clone())?;
    Ok(figures)
}

/// The bytes that a client sends before it closes or resets.
struct Visit {
    sent: Vec<u8>,
    resets: bool,
    /// The client does not read the response.
    reads: bool,
}

fn visit(sent: impl Into<Vec<u8>>) -> Visit {
    Visit { sent: sent.into(), resets: false, reads: true }
}

fn make(visit: &Visit, addr: SocketAddr) {
    // A server that rejects all connections logs none of them.
    let Ok(mut stream) = connect_narrowly(addr) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let _ = stream.set_write_timeout(Some(Duration::from_millis(50)));
    // The server may close early.
    let _ = stream.write_all(&visit.sent);
    if visit.resets {
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        return;
    }
    let _ = stream.shutdown(Shutdown::Write);
    if visit.reads {
        let _ = io::copy(&mut Read::take(&mut stream, 64 * 1024), &mut io::sink());
    }
}

fn plain_log(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell("body 0.5")?;
    let mut visits = vec![
        visit("\x00\x01\x02\x7f garbage\r\n\r\n"),
        visit("GET /metrics HTTP/9.9\r\n\r\n"),
        visit("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        visit("GET /a%0aERROR HTTP/1.1\r\nHost: x\r\nUser-Agent: a\tERROR forged\r\n\r\n"),
        visit("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        visit(b"\x16\x03\x01\x00\x05hello".to_vec()),
        visit("GET /metr"),
        visit(""),
        visit(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000))),
        visit("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"),
        visit("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nx"),
        visit("POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        visit("GET /metrics?name[]=%ff&format=nonsense HTTP/1.1\r\nHost: x\r\n\r\n"),
        visit("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n"),
        visit(HEALTHY.repeat(200)),
    ];
    for request in [METRICS, HEALTHY, NOWHERE, "GET / HTTP/1.1\r\n"] {
        visits.push(Visit { sent: request.into(), resets: true, reads: false });
        visits.push(Visit { sent: request.repeat(50).into_bytes(), resets: true, reads: false });
    }
    log_stays_short(&mut host, &visits)
}

fn tls_log(bench: &Bench) -> Outcome {
    let (folder, mut host) = secured(bench, "unauthenticated-log")?;
    let hello = hello(&trusting(&folder)?)?;
    let mut unnamed = hello.clone();
    // Makes the name in it invalid.
    let name =
        hello.windows(9).position(|nine| nine == b"localhost").ok_or("a ClientHello without a name")?;
    unnamed[name..name + 9].copy_from_slice(b"127.0.0.1");
    let mut unreadable = hello.clone();
    unreadable[name..name + 9].copy_from_slice(b"\n ERROR:\0");
    let alert = b"\x15\x03\x03\x00\x02\x01\x5a";
    let mut visits = vec![
        visit(METRICS),
        visit(""),
        visit(b"\x16".to_vec()),
        visit(b"\x16\x03\x01\x00\x05hello".to_vec()),
        visit(b"\x80\x2e\x01\x00\x02".to_vec()),
        visit(alert.to_vec()),
        visit(&hello[..hello.len() / 2]),
        visit(hello.clone()),
        visit(unnamed),
        visit(unreadable),
        visit([&hello[..], &alert[..]].concat()),
        visit([&hello[..], &alert.repeat(10)[..]].concat()),
        visit([&hello[..], &hello[..]].concat()),
        visit([&hello[..], b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x05hello"].concat()),
    ];
    visits.push(Visit { sent: hello.clone(), resets: true, reads: false });
    visits.push(Visit { sent: hello[..9].to_vec(), resets: true, reads: false });
    log_stays_short(&mut host, &visits)
}

/// Sends each kind many times one after the other, then all kinds concurrently at the connection limit.
fn log_stays_short(host: &mut HostProgram, visits: &[Visit]) -> Outcome {
    const TIMES: usize = 20;
    let addr = host.addr;
    let watch = Watch::begin(host)?;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..TIMES).flat_map(|_| visits).for_each(|visit| make(visit, addr)));
        }
    });
    // Evictions, including evicted connections.
    let mut held: Vec<TcpStream> = (0..400).filter_map(|_| connect_narrowly(addr).ok()).collect();
    for (client, visit) in held.iter_mut().zip(visits.iter().cycle()) {
        let _ = client.set_write_timeout(Some(Duration::from_millis(50)));
        let _ = client.write_all(&visit.sent);
    }
    thread::sleep(Duration::from_secs(3));
    drop(held);
    let debug_lines = host.tell("report")?["debug_lines"].as_u64().unwrap_or_default();
    let seen = watch.end(host)?;
    let kinds = visits.len();
    check(seen.host.log_lines <= 1 + seen.time.as_secs() / 60, || {
        format!("{} lines above debug in {:.0} s", seen.host.log_lines, seen.time.as_secs_f64())
    })?;
    // Otherwise no client has connected.
    check(debug_lines > 100, || format!("{debug_lines} debug lines"))?;
    Ok(format!(
        "{kinds} kinds of clients, {} each: {} lines above debug, {debug_lines} of debug",
        4 * TIMES,
        seen.host.log_lines
    ))
}
