//! Prometheus stores the same values from this server as from other programs and libraries. `collector::exposition` reads what they
//! write.
//!
//! `NODE_EXPORTER`, `BLACKBOX_EXPORTER`, `PUSHGATEWAY`, `CADDY`, `PROMETHEUS`, `VMAGENT` and `PYTHON` name the programs.

mod libraries;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use prometheus_hyper::collector::exposition;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Guard, Server};

use super::prometheus::Prometheus;
use super::sample::{Sample, differences};
use crate::support::Scratch;
use crate::support::log::Log;
use crate::support::server::start;
use testing::process::{Process, tool};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In OpenMetrics `client_golang` gives this counter the name of a gauge, so the name has two HELP and two TYPE. OpenMetrics forbids
/// that: <https://github.com/prometheus/client_golang/issues/829>.
const CLASH: &str = "# TYPE go_memstats_alloc_bytes counter";

/// Something of everything that Python's client has.
const PYTHONS_CLIENT: &str = r#"
import sys, time
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server

counter = Counter("things", "Things with \\ and \n.", ["kind"])
counter.labels("plain").inc(3)
counter.labels("a\"b\\c\nd é").inc(0.5, exemplar={"trace_id": "KOO5S4vxi0o"})
Gauge("level_celsius", "Level.", unit="celsius").set(-17.25)
histogram = Histogram("request_seconds", "Time.", ["path"], unit="seconds")
for seconds in (0.004, 0.3, 7, 70):
    histogram.labels("/").observe(seconds, {"trace_id": "x"})
Summary("size_bytes", "Size.").observe(512)
Info("build", "Build.").info({"version": "1.2.3"})
Enum("state", "State.", states=["starting", "running"]).state("running")
start_http_server(int(sys.argv[1]), "127.0.0.1")
time.sleep(600)
"#;

/// A program, and the path under which it is ready.
struct Program {
    name: &'static str,
    ready: &'static str,
    command: fn(&Scratch, SocketAddr) -> Command,
}

const PROGRAMS: [Program; 7] = [
    Program {
        name: "node_exporter",
        ready: "/metrics",
        command: |_, addr| {
            with(tool("NODE_EXPORTER", "prometheus-node-exporter"), "--web.listen-address", addr)
        },
    },
    Program {
        name: "blackbox_exporter",
        ready: "/-/healthy",
        command: |scratch, addr| {
            let config = scratch.write("blackbox.yml", "modules: {tcp: {prober: tcp}}\n");
            let mut command =
                with(tool("BLACKBOX_EXPORTER", "prometheus-blackbox-exporter"), "--web.listen-address", addr);
            command.arg(format!("--config.file={}", config.display()));
            command
        },
    },
    Program {
        name: "pushgateway",
        ready: "/-/ready",
        command: |_, addr| with(tool("PUSHGATEWAY", "prometheus-pushgateway"), "--web.listen-address", addr),
    },
    // Go's promhttp writes OpenMetrics only if the program enables it. Of these programs only Caddy does.
    Program {
        name: "caddy",
        ready: "/metrics",
        command: |scratch, addr| {
            let config = scratch.write("Caddyfile", caddyfile(addr));
            let mut command = Command::new(tool("CADDY", "caddy"));
            command
                .args(["run", "--adapter=caddyfile"])
                .arg(format!("--config={}", config.display()))
                // Caddy stores an identifier of the instance there.
                .env("XDG_DATA_HOME", scratch.path("data"))
                .env("XDG_CONFIG_HOME", scratch.path("config"));
            command
        },
    },
    Program {
        name: "prometheus",
        ready: "/-/ready",
        command: |scratch, addr| {
            fs::write(scratch.path("prometheus.yml"), "").unwrap();
            let mut command = with(tool("PROMETHEUS", "prometheus"), "--web.listen-address", addr);
            command
                .arg(format!("--config.file={}", scratch.path("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", scratch.path("data").display()));
            command
        },
    },
    Program {
        name: "vmagent",
        ready: "/-/ready",
        command: |scratch, addr| {
            let mut command = with(tool("VMAGENT", "vmagent"), "-httpListenAddr", addr);
            command
                .arg("-remoteWrite.url=http://127.0.0.1:1/")
                .arg(format!("-remoteWrite.tmpDataPath={}", scratch.path("data").display()));
            command
        },
    },
    Program {
        name: "python",
        ready: "/metrics",
        command: |_, addr| {
            let mut command = Command::new(tool("PYTHON", "python3"));
            command.args(["-X", "utf8", "-c", PYTHONS_CLIENT, &addr.port().to_string()]);
            command
        },
    },
];

/// Configures one server, with promhttp and with histograms of its own requests.
fn caddyfile(addr: SocketAddr) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    // An address without a host, because requests of HTTP/1.0 may have no field Host.
    let site = format!("http://:{port} {{\n  bind {ip}\n  metrics /metrics\n}}\n");
    format!("{{\n  admin off\n  auto_https off\n  metrics\n  persist_config off\n}}\n{site}")
}

fn with(program: impl AsRef<std::ffi::OsStr>, flag: &str, addr: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("{flag}={addr}"));
    command
}

/// What a program has written once.
struct Capture {
    job: String,
    content_type: String,
    body: String,
}

impl Program {
    /// In each format that it has.
    fn captures(&self) -> Vec<Capture> {
        let scratch = Scratch::new("others");
        let (process, addr): (Process, _) = scratch.serve(self.ready, |addr| (self.command)(&scratch, addr));
        let capture = |(format, accept): (&str, &str)| {
            let (content_type, body) = get(addr, accept).unwrap();
            Capture { job: format!("{}_{format}", self.name), content_type, body }
        };
        let captures = [("text", TEXT), ("openmetrics", OPENMETRICS)].map(capture);
        drop(process);
        let mut captures = Vec::from(captures);
        // Not everybody has both.
        captures.dedup_by(|b, a| a.content_type == b.content_type);
        captures
    }
}

impl Capture {
    /// Serves it as it is.
    fn served_directly(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.content_type,
            self.body.len()
        );
        let answer = head + &self.body;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A program that has ended is not waited for.
                let _ = reply(stream, &answer);
            }
        });
        addr
    }

    /// Serves it by way of families.
    fn served_by_us(&self) -> (Guard, SocketAddr) {
        let body = self.body.clone();
        let registry = Registry::new();
        let write = move |text: &mut String| {
            text.push_str(&body);
            Ok(())
        };
        registry.register(Box::new(exposition(write))).unwrap();
        let log = Log::default();
        log.capture(|| registry.gather());
        let text = log.text();
        let skipped = text.split_once(" line=").map_or(text.as_str(), |(_, skipped)| skipped);
        assert_eq!(skipped, self.forbidden(), "{}: lines are skipped", self.job);
        start(Server::builder().registry(&registry).self_metrics(false))
    }

    /// Returns the end of the warning about the lines that OpenMetrics forbids.
    fn forbidden(&self) -> String {
        // The index of TYPE from 0 is the number of the HELP before it.
        let help = self.body.lines().position(|line| line == CLASH);
        help.map(|help| format!("{help} reason=HELP or TYPE differs from the one before count=2\n"))
            .unwrap_or_default()
    }

    fn is_openmetrics(&self) -> bool {
        self.content_type.starts_with("application/openmetrics-text")
    }
}

/// By HTTP/1.0, so that there are no chunks.
fn get(addr: SocketAddr, accept: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(addr)?;
    write!(stream, "GET /metrics HTTP/1.0\r\nAccept: {accept}\r\n\r\n")?;
    let answer = io::read_to_string(stream)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let content_type = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    Ok((content_type.map(|(_, value)| value.to_owned()).unwrap_or_default(), body.to_owned()))
}

fn reply(mut stream: TcpStream, answer: &str) -> io::Result<()> {
    let head = BufReader::new(stream.try_clone()?).lines();
    head.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    stream.write_all(answer.as_bytes())
}

/// Normalizes a quantile as [`Prometheus::query`] does bounds. In OpenMetrics it is `1.0`, and in the text of this server `1`.
fn normalize_quantile(sample: &mut Sample) {
    if let Some(quantile) = sample.labels.get_mut("quantile") {
        *quantile = quantile.parse::<f64>().unwrap().to_string();
    }
}

#[test]
#[ignore = "needs exporters, Caddy, a vmagent, a Prometheus and PyPI's prometheus-client: .ci/run programs"]
fn prometheus_stores_equal_values_of_other_programs() {
    let mut captures: Vec<Capture> = PROGRAMS.iter().flat_map(Program::captures).collect();
    for job in ["caddy_openmetrics", "python_openmetrics"] {
        let is_captured = captures.iter().any(|capture| capture.job == job && capture.is_openmetrics());
        assert!(is_captured, "{job}: the program does not write OpenMetrics 1.0.0");
    }
    captures.extend(libraries::captures());
    let direct: Vec<SocketAddr> = captures.iter().map(Capture::served_directly).collect();
    let ours: Vec<(Guard, SocketAddr)> = captures.iter().map(Capture::served_by_us).collect();
    let jobs = captures.iter().zip(direct.iter().zip(&ours)).flat_map(|(capture, (direct, (_, ours)))| {
        [(format!("direct_{}", capture.job), *direct), (format!("ours_{}", capture.job), *ours)]
    });
    let jobs: Vec<(String, SocketAddr)> = jobs.collect();
    let targets: Vec<(&str, SocketAddr)> = jobs.iter().map(|(job, addr)| (job.as_str(), *addr)).collect();
    let prometheus = Prometheus::start(&targets);

    for capture in &captures {
        let stored = |who: &str| {
            let mut samples = prometheus.query(&format!("{{job=\"{who}_{}\"}}", capture.job))?;
            if capture.is_openmetrics() {
                samples.iter_mut().for_each(normalize_quantile);
            }
            // Prometheus' own of each target; and of OpenMetrics what families have no place for.
            let is_own = |name: &str| name == "up" || name.starts_with("scrape_");
            let is_omitted = |name: &str| capture.is_openmetrics() && name.ends_with("_created");
            let is_theirs = |sample: &Sample| !is_own(&sample.name) && !is_omitted(&sample.name);
            Ok::<Vec<Sample>, String>(samples.into_iter().filter(is_theirs).collect())
        };
        let count = prometheus.wait_for(&capture.job, || {
            let direct = stored("direct")?;
            if direct.is_empty() {
                return Err("nothing yet".to_owned());
            }
            let count = direct.len();
            differences(direct.into_iter(), stored("ours")?).map(|()| count)
        });
        println!("{}: {count} samples", capture.job);
        assert!(count > 10, "{}: {}", capture.job, capture.body);
    }
}
