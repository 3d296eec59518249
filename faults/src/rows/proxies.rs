//! Request smuggling: requests in the bodies of requests, behind proxies that reuse connections to the
//! server. If proxy and server disagree on the end of a request, an attacker can forge the next client's
//! request.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testing::scratch::Scratch;

use super::{Bench, Outcome, Row, check, wait_for};
use crate::client::Connection;

pub const ROWS: &[Row] = &[
    Row {
        name: "smuggling-direct",
        proves: "hyper's framing; the connection ends after a body that was not read",
        unprotected: Some("naive"),
        run: direct,
    },
    Row {
        name: "smuggling-nginx",
        proves: "the same",
        unprotected: Some("naive"),
        run: |bench| behind(bench, &NGINX),
    },
    Row {
        name: "smuggling-haproxy",
        proves: "the same",
        unprotected: Some("naive"),
        run: |bench| behind(bench, &HAPROXY),
    },
];

const SECOND: Duration = Duration::from_secs(1);
const HIDDEN: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
const HEALTH: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";

/// Each contains a request that one side may take for a body.
fn attacks() -> Vec<String> {
    let as_chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let behind_chunks = format!("0\r\n\r\n{HIDDEN}");
    let mut attacks = Vec::new();
    let mut add = |method: &str, headers: &[&str], body: &str| {
        let headers = headers.join("\r\n");
        attacks.push(format!("{method} /-/healthy HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}"));
    };
    let codings = [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\rX: y",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
        "transfer_encoding: chunked",
        "Transfer-Encoding: CHUNKED",
    ];
    for method in ["POST", "GET"] {
        for coding in codings {
            for (body, short) in [(&as_chunk, "4"), (&behind_chunks, "5")] {
                for length in [short, &body.len().to_string()] {
                    let length = format!("Content-Length: {length}");
                    add(method, &[coding, &length], body);
                    add(method, &[&length, coding], body);
                }
            }
        }
        let whole = HIDDEN.len().to_string();
        let lengths = [
            vec![format!("Content-Length: {whole}"), "Content-Length: 0".to_owned()],
            vec!["Content-Length: 0".to_owned(), format!("Content-Length: {whole}")],
            vec![format!("Content-Length: {whole}, 0")],
            vec![format!("Content-Length: +{whole}")],
            vec![format!("Content-Length: -{whole}")],
            vec![format!("Content-Length: 0x{:x}", HIDDEN.len())],
            vec![format!("Content-Length: {whole} 0")],
            vec![format!("Content-Length : {whole}")],
            vec![format!("Content-Length:\r\n {whole}")],
            vec!["Content-Length: 18446744073709551616".to_owned()],
            vec!["Content-Length: 18446744073709551615".to_owned()],
            vec![format!("Content-Length: {whole}")],
            vec![format!("Content-Length: {whole}"), format!("Content-Length: {whole}")],
            vec![format!("Content-Length: {whole}"), "Expect: 100-continue".to_owned()],
            vec![format!("Content-Length: {whole}"), "Connection: content-length".to_owned()],
            vec![
                format!("Content-Length: {whole}"),
                "Upgrade: h2c".to_owned(),
                "Connection: upgrade".to_owned(),
            ],
        ];
        for length in lengths {
            let length: Vec<&str> = length.iter().map(String::as_str).collect();
            add(method, &length, HIDDEN);
        }
        let chunked = ["Transfer-Encoding: chunked"];
        let size = format!("{:x}", HIDDEN.len());
        for first in [
            format!("{size};x=\n"),
            format!("{size} \r\n"),
            format!("0x{size}\r\n"),
            format!("1{:016x}\r\n", HIDDEN.len()),
            format!("{size}\n"),
            "fffffffffffffffff\r\n".to_owned(),
        ] {
            add(method, &chunked, &format!("{first}{HIDDEN}\r\n0\r\n\r\n"));
        }
        add(method, &chunked, &format!("0\r\nX: {HIDDEN}"));
    }
    attacks
}

/// Sends an attack, and reads until the other side closes or is silent.
fn send(addr: SocketAddr, attack: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect_timeout(&addr, SECOND).map_err(|error| error.to_string())?;
    let _ = stream.set_read_timeout(Some(Duration::from_millis(60)));
    let _ = stream.write_all(attack.as_bytes());
    let (mut said, mut piece) = (Vec::new(), [0; 64 * 1024]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        said.extend_from_slice(&piece[..read]);
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Without a proxy all bytes after a head with a body are that body.
fn direct(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell("reset")?;
    let attacks = attacks();
    let mut refused = 0;
    for attack in &attacks {
        let said = send(host.addr, attack)?;
        let gathers = host.report()?.gathers;
        check(gathers == 0, || format!("the hidden request was served: {attack:?}"))?;
        refused += u32::from(said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"));
    }
    Ok(format!("{} requests, {refused} rejected, no hidden request served", attacks.len()))
}

struct Proxy {
    program: &'static str,
    arguments: fn(&Path) -> Vec<String>,
    config: fn(&Path, u16, SocketAddr) -> String,
}

const NGINX: Proxy = Proxy {
    program: "nginx",
    arguments: |folder| {
        let folder = folder.display();
        vec!["-p".to_owned(), folder.to_string(), "-c".to_owned(), format!("{folder}/config")]
    },
    config: |folder, port, upstream| {
        let folder = folder.display();
        format!(
            "user root;\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr crit;\nevents {{}}\nhttp {{\n\
             log_format uri '$upstream_status $request_uri';\naccess_log {folder}/access uri;\n\
             client_body_temp_path {folder}/a;\nproxy_temp_path {folder}/b;\nfastcgi_temp_path {folder}/c;\n\
             uwsgi_temp_path {folder}/d;\nscgi_temp_path {folder}/e;\n\
             upstream host {{ server {upstream}; keepalive 4; }}\n\
             server {{ listen 127.0.0.1:{port};\nlocation / {{ proxy_pass http://host; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_request_buffering off; proxy_next_upstream off; }} }} }}\n"
        )
    },
};

const HAPROXY: Proxy = Proxy {
    program: "haproxy",
    arguments: |folder| vec!["-db".to_owned(), "-f".to_owned(), format!("{}/config", folder.display())],
    config: |_, port, upstream| {
        format!(
            "global\n log stdout format raw local0\n\
             defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n retries 0\n\
             frontend f\n bind 127.0.0.1:{port}\n log global\n log-format \"%ST %HU %s %ts\"\n default_backend b\n\
             backend b\n http-reuse always\n server host {upstream}\n"
        )
    },
};

/// Ends the proxy and removes its folder when it is dropped.
struct Running {
    child: Child,
    folder: Scratch,
    addr: SocketAddr,
}

impl Proxy {
    fn start(&self, upstream: SocketAddr) -> Result<Running, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let addr = free.map_err(|error| error.to_string())?;
        let folder = Scratch::new(self.program);
        let start = || -> std::io::Result<Child> {
            folder.write("config", (self.config)(&folder.0, addr.port(), upstream));
            let mut command = Command::new(self.program);
            command.args((self.arguments)(&folder.0)).stdin(Stdio::null());
            // haproxy's log. nginx has a file of its own.
            command.stdout(File::create(folder.path("stdout"))?).stderr(File::create(folder.path("stderr"))?);
            command.spawn()
        };
        let child = start().map_err(|error| format!("{}: {error}", self.program))?;
        let running = Running { child, folder, addr };
        wait_for(5 * SECOND, "the proxy to listen", || TcpStream::connect(addr).is_ok())
            .map_err(|error| format!("{error}: {}", running.read("stderr")))?;
        Ok(running)
    }
}

impl Running {
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path(file)).unwrap_or_default()
    }

    /// Returns the number of scrapes that the server has answered with a 200, according to the proxy.
    fn scrapes(&self) -> u64 {
        let log = self.read("access") + &self.read("stdout");
        log.lines().filter(|line| line.starts_with("200 ") && line.contains("/metrics")).count() as u64
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its worker only at SIGTERM.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn behind(bench: &Bench, proxy: &Proxy) -> Outcome {
    let mut host = bench.host(&["current"])?;
    let proxy = proxy.start(host.addr)?;
    host.tell("reset")?;
    let attacks = attacks();
    let (mut refused, mut served) = (0, 0);
    for attack in &attacks {
        let said = send(proxy.addr, attack)?;
        refused +=
            u32::from(said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5") || said.is_empty());
        // On each kept connection the next client gets its own response.
        for _ in 0..2 {
            let answer = Connection::open(proxy.addr, SECOND).and_then(|mut it| it.ask(HEALTH, SECOND));
            let answer = answer.map_err(|error| format!("the next client: {error}, after {attack:?}"))?;
            check(answer.status == 200 && answer.body.len() < 100, || {
                format!("the next client got the response of another: {}, after {attack:?}", answer.status)
            })?;
        }
        let gathers = host.report()?.gathers;
        if gathers != served {
            // The proxy saw a second request. haproxy logs it a little later.
            wait_for(SECOND, "as many requests served as sent", || proxy.scrapes() == gathers)
                .map_err(|error| format!("{error}: {gathers} and {}, after {attack:?}", proxy.scrapes()))?;
            served = gathers;
        }
    }
    let sent = proxy.scrapes();
    check(served == sent, || format!("{served} served, {sent} sent"))?;
    Ok(format!("{} requests, {refused} rejected; scrapes sent {sent}, served {served}", attacks.len()))
}
