//! Clients that hold connections and do not cooperate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::watch::{Over, Steady, Watch, memory_is_back, most_memory};
use super::{Bench, Outcome, Row, check, ms, output, wait_for};
use crate::client::{GET, scrape, until_closed};
use crate::driver::HostProgram;
use testing::usage::{Usage, mib};

pub const ROWS: &[Row] = &[
    Row {
        name: "heads-drip-500",
        proves: "head_timeout, the connection limit, eviction",
        unprotected: Some("without=head_timeout"),
        run: |bench| heads(bench, 500),
    },
    Row {
        name: "heads-drip-2000",
        proves: "head_timeout, the connection limit, eviction",
        unprotected: Some("naive"),
        run: |bench| heads(bench, 2000),
    },
    Row {
        name: "silent-500",
        proves: "head_timeout counts from accept",
        unprotected: Some("without=head_timeout"),
        run: |bench| silent(bench, 500),
    },
    Row {
        name: "silent-2000",
        proves: "the connection limit",
        unprotected: Some("naive"),
        run: |bench| silent(bench, 2000),
    },
    Row {
        name: "unread-100",
        proves: "write_timeout; clients share a body",
        unprotected: Some("without=write_timeout"),
        run: |bench| unread(bench, nobody_reads),
    },
    Row {
        name: "unread-slowhttptest",
        proves: "write_timeout; clients share a body",
        unprotected: Some("naive"),
        run: |bench| unread(bench, slowhttptest_reads),
    },
    Row {
        name: "half-close",
        proves: "a client that closes its sending side still gets its response",
        unprotected: Some("naive"),
        run: half_close,
    },
];

/// A scraper that waits longer is harmed.
const SOON: Duration = Duration::from_secs(1);
const CLOSED: Duration = Duration::from_secs(12);
const LAG: Duration = Duration::from_millis(20);
const BODY_MIB: u64 = 4;

fn slowhttptest(addr: SocketAddr, options: &[&str]) -> Result<Child, String> {
    let mut command = Command::new("slowhttptest");
    command.args(options).args(["-p", "1", "-v", "1", "-u", &format!("http://{addr}/metrics")]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| format!("slowhttptest: {error}"))
}

/// Killed when it is dropped.
struct Tool(Child);

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// slowhttptest would silently open fewer connections.
pub fn may_open(clients: usize) -> Result<(), String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let soft = soft.ok_or("/proc/self/limits has no limit of open files")?;
    // `unlimited` is not a number.
    let enough = soft.parse().map_or(true, |soft: usize| soft > clients + 100);
    check(enough, || format!("{clients} clients need more descriptors than {soft} (raise ulimit -n)"))
}

fn heads(bench: &Bench, clients: usize) -> Outcome {
    may_open(clients)?;
    let mut host = bench.host(&["current"])?;
    siege(&mut host, |host| {
        let (c, rate) = (clients.to_string(), (clients / 2).to_string());
        // A byte or two a second, much longer than the limit.
        let options = ["-H", "-c", &c, "-r", &rate, "-i", "1", "-x", "2", "-l", "60"];
        let tool = Tool(slowhttptest(host.addr, &options)?);
        // All have connected after two seconds at that rate.
        thread::sleep(Duration::from_millis(2500));
        check(established(host.addr) > 0, || "slowhttptest opened no connection".to_owned())?;
        Ok(Box::new(tool))
    })
}

fn silent(bench: &Bench, clients: usize) -> Outcome {
    may_open(clients)?;
    let mut host = bench.host(&["current"])?;
    siege(&mut host, |host| {
        let connect = |_| TcpStream::connect_timeout(&host.addr, 4 * SOON).map_err(|error| error.to_string());
        let start = Instant::now();
        let silent: Vec<TcpStream> = (0..clients).map(connect).collect::<Result<_, _>>()?;
        eprintln!("{clients} clients connected in {:?}", start.elapsed());
        Ok(Box::new(silent))
    })
}

/// Fills all buffers that the server needs at once, because the allocator keeps that memory.
fn fill_buffers(host: &HostProgram) -> Result<(), String> {
    let before = host.usage()?.descriptors;
    let mut clients = Vec::new();
    for _ in 0..150 {
        let mut client = TcpStream::connect_timeout(&host.addr, SOON).map_err(|error| error.to_string())?;
        let _ = client.write_all(format!("GET /{}", "x".repeat(12 * 1024)).as_bytes());
        clients.push(client);
    }
    // The server holds what it has read of them.
    wait_for(4 * SOON, "the server reads", || unread_heads(host.addr) == 0)?;
    drop(clients);
    wait_for(SOON, "all clients have disconnected", || {
        host.usage().is_ok_and(|usage| usage.descriptors <= before)
    })?;
    for _ in 0..3 {
        scrape(host.addr, SOON).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// While clients hold connections, scrapes succeed and the host program is well. The server closes all of
/// these clients within the limit, counted from the last one.
fn siege(
    host: &mut HostProgram,
    begin: impl FnOnce(&HostProgram) -> Result<Box<dyn std::any::Any>, String>,
) -> Outcome {
    fill_buffers(host)?;
    let watch = Watch::begin(host)?;
    let (addr, pid, over) = (host.addr, host.pid, AtomicBool::new(false));
    let (closed, steady) = thread::scope(|scope| {
        let over = &over;
        let steady = scope.spawn(|| Steady::scrape_until(over, addr, SOON));
        let ends = Over(over);
        let clients = begin(host)?;
        // Connections that the server has accepted, including at times the scraper's.
        let held = || Usage::of(pid).map_or(u64::MAX, |usage| usage.descriptors);
        let most = held();
        let base = watch.before.descriptors + 2;
        check(most > base + 50, || format!("{most} descriptors: the clients have not connected"))?;
        let closed = wait_for(CLOSED, "all connections are closed", || held() <= base)?;
        drop((clients, ends));
        let steady = steady.join().map_err(|_| "panicked")?;
        Ok::<_, String>(((most, closed), steady))
    })?;
    let seen = watch.end(host)?;
    steady.is_well()?;
    seen.host_is_well(LAG)?;
    memory_is_back(seen.before.memory, seen.after.memory)?;
    Ok(format!(
        "{} descriptors before, reached again {:.1} s after the last client; {}; {}; memory {:.1} → {:.1} MiB",
        closed.0,
        closed.1.as_secs_f64(),
        steady.figures(),
        seen.figures(),
        mib(seen.before.memory),
        mib(seen.after.memory)
    ))
}

/// Returns the number of connections that the kernel has as open on the server's side.
fn established(addr: SocketAddr) -> usize {
    received(addr).len()
}

/// Connections to it of which the kernel holds bytes that the server has not read.
fn unread_heads(addr: SocketAddr) -> usize {
    received(addr).iter().filter(|bytes| **bytes > 0).count()
}

/// The unread bytes of each open connection to it, on its side.
fn received(addr: SocketAddr) -> Vec<u64> {
    let port = format!(":{:04X}", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let open = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, unread) = words.get(4)?.split_once(':')?;
        let is_open = words.get(1)?.ends_with(&port) && *words.get(3)? == "01";
        is_open.then(|| u64::from_str_radix(unread, 16).ok())?
    };
    table.lines().filter_map(open).collect()
}

/// Connects with a window so small that the kernel does not read on behalf of the client.
pub fn connect_narrowly(addr: SocketAddr) -> Result<TcpStream, String> {
    let connect = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        socket.set_recv_buffer_size(4 * 1024)?;
        socket.connect_timeout(&addr.into(), SOON)?;
        Ok(TcpStream::from(socket))
    };
    connect().map_err(|error: std::io::Error| error.to_string())
}

type Clients = Box<dyn std::any::Any>;

fn nobody_reads(addr: SocketAddr) -> Result<Clients, String> {
    let mut clients: Vec<TcpStream> = (0..100).map(|_| connect_narrowly(addr)).collect::<Result<_, _>>()?;
    for client in &mut clients {
        client.write_all(GET.as_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(Box::new(clients))
}

/// A byte a minute: too little for the kernel to open its window.
fn slowhttptest_reads(addr: SocketAddr) -> Result<Clients, String> {
    let options =
        ["-X", "-c", "100", "-r", "1000", "-n", "60", "-z", "1", "-w", "512", "-y", "1024", "-l", "120"];
    Ok(Box::new(Tool(slowhttptest(addr, &options)?)))
}

/// The server closes a client 30 s after it took its last byte. A client that reads slowly and makes progress
/// gets the whole response in the meantime.
fn unread(bench: &Bench, begin: fn(SocketAddr) -> Result<Clients, String>) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell(&format!("body {BODY_MIB}"))?;
    let mut body = 0;
    for _ in 0..5 {
        body = scrape(host.addr, 4 * SOON).map_err(|error| error.to_string())?.body.len() as u64;
    }
    // The memory of a hundred connections without a fault.
    fill_buffers(&host)?;
    // slowhttptest's connections come one after the other. Those during one gather share its body.
    host.tell("sleep 0.5")?;
    let watch = Watch::begin(&mut host)?;
    let (addr, pid, over) = (host.addr, host.pid, AtomicBool::new(false));
    let (held, gathers, closed, most, slow) = thread::scope(|scope| {
        let most = scope.spawn(|| most_memory(&over, pid));
        let ends = Over(&over);
        let descriptors = || Usage::of(pid).map_or(u64::MAX, |usage| usage.descriptors);
        let slow = scope.spawn(move || read_slowly(addr));
        let clients = begin(addr)?;
        let all = watch.before.descriptors + 100;
        wait_for(Duration::from_secs(10), "all clients have connected", || descriptors() >= all)?;
        thread::sleep(Duration::from_secs(2));
        let (held, gathers) = (descriptors(), host.report()?.gathers);
        // Two for the slow reader, and one for a new connection.
        let base = watch.before.descriptors + 3;
        let closed =
            wait_for(Duration::from_secs(45), "all connections are closed", || descriptors() <= base)?;
        drop((clients, ends));
        let most = most.join().map_err(|_| "panicked")?;
        Ok::<_, String>((held, gathers, closed, most, slow.join().map_err(|_| "panicked")?))
    })?;
    let seen = watch.end(&mut host)?;
    let (read, took) = slow?;
    let closed = closed + Duration::from_secs(2);
    check(held >= seen.before.descriptors + 100, || {
        format!("{held} descriptors: not all connections are open")
    })?;
    check(closed > Duration::from_secs(25), || format!("closed too early, after {closed:?}"))?;
    check(read as u64 > body, || format!("the slow reader got {read} bytes of {body}"))?;
    check(most < seen.before.memory + 2 * body, || {
        format!(
            "memory {:.1} MiB, before {:.1}, body {:.1}, {} gathers",
            mib(most),
            mib(seen.before.memory),
            mib(body),
            gathers
        )
    })?;
    seen.host_is_well(2 * LAG)?;
    Ok(format!(
        "{held} descriptors, {} gathers, closed after {:.1} s; memory {:.1} → {:.1} MiB at most (a body is {:.1}); a slow reader got the \
         whole in {:.0} s; {}",
        gathers,
        closed.as_secs_f64(),
        mib(seen.before.memory),
        mib(most),
        mib(body),
        took.as_secs_f64(),
        seen.figures()
    ))
}

/// Reads at about 16 KiB/s for longer than the write timeout, then the rest.
fn read_slowly(addr: SocketAddr) -> Result<(usize, Duration), String> {
    let mut stream = connect_narrowly(addr)?;
    let request = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let start = Instant::now();
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let (mut read, mut piece) = (0, [0; 2048]);
    loop {
        let cut =
            |error| format!("the slow reader was closed after {read} bytes, {:?}: {error}", start.elapsed());
        match stream.read(&mut piece).map_err(cut)? {
            0 => return Ok((read, start.elapsed())),
            more => read += more,
        }
        if start.elapsed() < Duration::from_secs(40) {
            thread::sleep(Duration::from_millis(125));
        }
    }
}

fn half_close(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell(&format!("body {BODY_MIB}"))?;
    host.tell("sleep 0.2")?;
    // The standby's first tick adds a histogram.
    let begin = Instant::now();
    let whole = loop {
        let whole = scrape(host.addr, 4 * SOON).map_err(|error| error.to_string())?;
        let is_whole = String::from_utf8_lossy(&whole.body).contains("tokio_scheduling_delay_seconds");
        if is_whole || begin.elapsed() > 4 * SOON {
            break whole;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let (ip, port) = (host.addr.ip(), host.addr.port());
    let script = format!("printf '{}' | nc -N {ip} {port} | wc -c", GET.replace("\r\n", "\\r\\n"));
    let mut got = Vec::new();
    for _ in 0..5 {
        let bytes: usize = output(Command::new("sh").args(["-c", &script]))?.trim().parse().unwrap_or(0);
        let expected = whole.head.len() + 4 + whole.body.len();
        // The server's own metrics may have one digit more.
        check(bytes.abs_diff(expected) < 1000, || format!("nc -N got {bytes} bytes of {expected}"))?;
        got.push(bytes);
    }
    // Nothing is left of these connections.
    let mut client = TcpStream::connect(host.addr).map_err(|error| error.to_string())?;
    let _ = client.shutdown(std::net::Shutdown::Write);
    let closed = until_closed(&mut client, CLOSED).map_err(|error| error.to_string())?;
    let closed = closed.ok_or("a client that sends nothing and closes its side is not closed")?;
    Ok(format!("5 × {} bytes by nc -N; an empty connection closed after {}", got[0], ms(closed.0)))
}
