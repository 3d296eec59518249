//! The clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::{Soak, count};
use crate::client::{Connection, GET, Response, until_closed};

/// The limit of a scrape on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

pub struct Scraper {
    accept: &'static str,
    coding: &'static str,
    /// The prefix of the content type.
    content_type: &'static str,
    keeps: bool,
}

const TEXT: &str = "text/plain;version=0.0.4";
const UTF8: &str = "text/plain;version=1.0.0;escaping=allow-utf-8";
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";
const OLD_OPENMETRICS: &str = "application/openmetrics-text;version=0.0.1";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

pub const SCRAPERS: [Scraper; 10] = [
    scraper(TEXT, "identity", "text/plain", false),
    scraper(TEXT, "gzip", "text/plain", true),
    scraper(TEXT, "zstd", "text/plain", true),
    scraper(UTF8, "gzip", "text/plain", true),
    scraper(OPENMETRICS, "identity", "application/openmetrics-text", true),
    scraper(OPENMETRICS, "gzip", "application/openmetrics-text", false),
    scraper(OLD_OPENMETRICS, "zstd", "application/openmetrics-text", true),
    scraper(PROTOBUF, "identity", "application/vnd.google.protobuf", true),
    scraper(PROTOBUF, "gzip", "application/vnd.google.protobuf", true),
    scraper(PROTOBUF, "zstd", "application/vnd.google.protobuf", false),
];

const fn scraper(
    accept: &'static str,
    coding: &'static str,
    content_type: &'static str,
    keeps: bool,
) -> Scraper {
    Scraper { accept, coding, content_type, keeps }
}

/// Scrapes once a second.
pub fn scrapes(soak: &Soak, addr: SocketAddr, n: usize) {
    let scraper = &SCRAPERS[n];
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {}\r\nAccept-Encoding: {}\r\n\r\n",
        scraper.accept, scraper.coding
    );
    let mut kept: Option<(u64, Connection)> = None;
    soak.pause(Duration::from_millis(100 * n as u64));
    while !soak.is_over() {
        let start = Instant::now();
        {
            let _server = soak.server.read().unwrap_or_else(PoisonError::into_inner);
            let asked = Instant::now();
            let generation = soak.generation.load(Ordering::Relaxed);
            let used = kept.take().filter(|(of, _)| *of == generation).map(|(_, connection)| connection);
            match scrape(soak, addr, request.as_bytes(), used) {
                Ok((connection, answer)) => {
                    if let Err(fault) = verdict(scraper, &answer) {
                        soak.fault(format!("scraper {n}: {fault}"));
                    }
                    kept = scraper.keeps.then_some((generation, connection));
                    soak.counts.bytes.fetch_add(answer.body.len() as u64, Ordering::Relaxed);
                    soak.counts.slowest_us.fetch_max(asked.elapsed().as_micros() as u64, Ordering::Relaxed);
                }
                Err(error) => soak.fault(format!("scraper {n}: {error}, after {:?}", asked.elapsed())),
            }
            count(&soak.counts.scrapes);
        }
        soak.pause(Duration::from_secs(1).saturating_sub(start.elapsed()));
    }
}

/// Scrapes on the kept connection, if there is one. If that closes before the first byte, scrapes on another.
fn scrape(
    soak: &Soak,
    addr: SocketAddr,
    request: &[u8],
    kept: Option<Connection>,
) -> std::io::Result<(Connection, Response)> {
    if let Some(mut connection) = kept {
        match connection.ask(request, LIMIT) {
            Ok(answer) => return Ok((connection, answer)),
            Err(error)
                if error.kind() == ErrorKind::UnexpectedEof && error.to_string().ends_with(" 0 bytes") =>
            {
                count(&soak.counts.again);
            }
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                count(&soak.counts.again);
            }
            Err(error) => return Err(error),
        }
    }
    let mut connection = Connection::open(addr, LIMIT)?;
    let answer = connection.ask(request, LIMIT)?;
    Ok((connection, answer))
}

fn verdict(scraper: &Scraper, answer: &Response) -> Result<(), String> {
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    let content_type = answer.header("content-type").unwrap_or_default();
    if !content_type.starts_with(scraper.content_type) {
        return Err(format!("wrong content type: {content_type}"));
    }
    let coding = answer.header("content-encoding").unwrap_or("identity");
    if coding != scraper.coding {
        return Err(format!("coding {coding}"));
    }
    let body = decoded(coding, &answer.body)?;
    let series = match scraper.accept {
        PROTOBUF => messages(&body)?,
        _ => {
            let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
            if content_type.starts_with("application/openmetrics-text") && !text.ends_with("\n# EOF\n") {
                return Err("no end".to_owned());
            }
            text.lines().filter(|line| line.starts_with("unruly_total{")).count()
        }
    };
    let expected = match scraper.accept {
        PROTOBUF => 10,
        _ => (super::BODY_MIB * 1024.0 * 1024.0 / 100.0) as usize,
    };
    if series < expected { Err(format!("only {series} of {expected} series")) } else { Ok(()) }
}

pub fn decoded(coding: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    match coding {
        "gzip" => {
            // The gzip head has ten bytes, and the trailer has checksum and length.
            let deflated = body.get(10..body.len().saturating_sub(8)).ok_or("too short for gzip")?;
            miniz_oxide::inflate::decompress_to_vec(deflated).map_err(|error| format!("gzip: {error}"))
        }
        "zstd" => {
            let mut decoded = Vec::new();
            let decoder = ruzstd::decoding::StreamingDecoder::new(body);
            let mut decoder = decoder.map_err(|error| format!("zstd: {error}"))?;
            decoder.read_to_end(&mut decoded).map_err(|error| format!("zstd: {error}"))?;
            Ok(decoded)
        }
        _ => Ok(body.to_vec()),
    }
}

/// Returns the number of messages, each after its length as a varint.
fn messages(mut body: &[u8]) -> Result<usize, String> {
    let mut messages = 0;
    while !body.is_empty() {
        let (mut length, mut shift) = (0, 0);
        loop {
            let (byte, rest) = body.split_first().ok_or("a length is cut off")?;
            body = rest;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        body = body.get(length..).ok_or("a message is cut off")?;
        messages += 1;
    }
    Ok(messages)
}

/// Twenty connections that send a byte a second without an end.
pub fn drips(soak: &Soak, addr: SocketAddr) {
    let mut connections: Vec<Option<TcpStream>> = (0..20).map(|_| None).collect();
    while !soak.is_over() {
        for (n, connection) in connections.iter_mut().enumerate() {
            let Some(stream) = connection else {
                *connection = TcpStream::connect_timeout(&addr, LIMIT).ok();
                continue;
            };
            // Half of them send nothing.
            let sent = if n % 2 == 0 { stream.write_all(b"G") } else { Ok(()) };
            let _ = stream.set_nonblocking(true);
            let closed =
                !matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            let _ = stream.set_nonblocking(false);
            if sent.is_err() || closed {
                count(&soak.counts.drips_closed);
                *connection = None;
            }
        }
        soak.pause(Duration::from_secs(1));
    }
}

/// A small window, so that the kernel does not read on behalf of the client.
fn connect_narrowly(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_recv_buffer_size(8 * 1024)?;
    socket.connect_timeout(&addr.into(), LIMIT)?;
    Ok(socket.into())
}

/// Makes progress all the time, so it must get the complete body, except during a stop.
pub fn reads_slowly(soak: &Soak, addr: SocketAddr, n: u64) {
    soak.pause(Duration::from_secs(n));
    while !soak.is_over() {
        let generation = soak.generation.load(Ordering::Relaxed);
        let outcome = read_slowly(soak, addr);
        let restarted = soak.generation.load(Ordering::Relaxed) != generation;
        match outcome {
            Ok(()) => count(&soak.counts.slow_reads),
            // The restart that closed it may not be counted yet.
            Err(_) if restarted || soak.is_over() => {}
            Err(error) => {
                drop(soak.server.read().unwrap_or_else(PoisonError::into_inner));
                thread::sleep(Duration::from_millis(100));
                if soak.generation.load(Ordering::Relaxed) == generation {
                    soak.fault(format!("slow reader {n}: {error}"));
                }
            }
        }
        soak.pause(Duration::from_millis(100));
    }
}

fn read_slowly(soak: &Soak, addr: SocketAddr) -> std::io::Result<()> {
    let mut stream = connect_narrowly(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while !soak.is_over() {
        match stream.read(&mut piece)? {
            0 => {
                let text = String::from_utf8_lossy(&bytes);
                let (head, body) = text.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
                let whole = head.lines().any(|line| {
                    line.split_once(": ").is_some_and(|(name, length)| {
                        name.eq_ignore_ascii_case("content-length") && length == body.len().to_string()
                    })
                });
                return if whole { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            read => bytes.extend_from_slice(&piece[..read]),
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Requests more than all buffers hold, and reads nothing.
pub fn reads_nothing(soak: &Soak, addr: SocketAddr, n: u64) {
    soak.pause(Duration::from_secs(3 * n));
    while !soak.is_over() {
        let Ok(mut stream) = connect_narrowly(addr) else {
            soak.pause(Duration::from_millis(100));
            continue;
        };
        let _ = stream.write_all(GET.repeat(40).as_bytes());
        let start = Instant::now();
        while !soak.is_over() && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(500));
            // Without reading, it sees a reset only as an error of the socket.
            if SockRef::from(&stream).take_error().ok().flatten().is_some() || stream.write_all(b"G").is_err()
            {
                count(&soak.counts.stalled_closed);
                break;
            }
        }
    }
}

/// Disconnects before, during and after a request.
pub fn resets(soak: &Soak, addr: SocketAddr) {
    let requests = ["", "GET /met", GET, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"];
    for request in requests.iter().cycle() {
        if soak.is_over() {
            return;
        }
        for wait in [0, 5, 40] {
            if let Ok(mut stream) = TcpStream::connect_timeout(&addr, LIMIT) {
                let _ = stream.write_all(request.as_bytes());
                thread::sleep(Duration::from_millis(wait));
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                count(&soak.counts.resets);
            }
        }
        soak.pause(Duration::from_millis(300));
    }
}

/// Sends heads that no scraper sends.
pub fn is_hostile(soak: &Soak, addr: SocketAddr, n: u64) {
    let long = "x".repeat(20 * 1024);
    let many = "X-A: b\r\n".repeat(200);
    let names = "name[]=a&".repeat(1025);
    let heads = [
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / "
            .to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\nHost: x\n folded: yes\n\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /metrics?{names} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {}\r\n\r\n", "a/b;q=0.5,".repeat(1000)),
        "FROB /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /../etc/passwd HTTP/1.0\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nHost: <script>\r\nUser-Agent: a\tb\r\n\r\n".to_owned(),
    ];
    for head in heads.iter().cycle().skip(4 * n as usize) {
        if soak.is_over() {
            return;
        }
        if let Ok(mut stream) = TcpStream::connect_timeout(&addr, LIMIT) {
            let _ = stream.write_all(head.as_bytes());
            count(&soak.counts.hostile);
            match until_closed(&mut stream, Duration::from_millis(1500)) {
                Ok(Some((_, bytes))) if bytes.starts_with(b"HTTP/1.") => count(&soak.counts.hostile_answered),
                _ => {}
            }
        }
        soak.pause(Duration::from_millis(150));
    }
}
