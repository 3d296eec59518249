//! A Prometheus as a child, and its query API.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::{Process, poll, tool};
use super::sample::Sample;
use super::{http_get, strings};
use crate::scratch::Scratch;

/// A Prometheus that scrapes every second.
pub(super) struct Prometheus {
    process: Process,
    addr: SocketAddr,
    scratch: Scratch,
}

/// What it scrapes, and how.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) addr: SocketAddr,
    /// More of the job, as YAML between braces has it: `scheme: https, basic_auth: {username: u, password: p}`.
    pub(super) config: &'a str,
}

impl Prometheus {
    pub(super) fn start(targets: &[(&str, SocketAddr)]) -> Self {
        Self::start_with(&[], targets)
    }

    pub(super) fn start_with(flags: &[&str], targets: &[(&str, SocketAddr)]) -> Self {
        let jobs: Vec<Job<'_>> = targets.iter().map(|&(name, addr)| Job { name, addr, config: "" }).collect();
        Self::start_jobs(flags, &jobs)
    }

    pub(super) fn start_jobs(flags: &[&str], jobs: &[Job<'_>]) -> Self {
        let scratch = Scratch::new("judges");
        let mut config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
        for Job { name, addr, config: fragment } in jobs {
            let target = format!("static_configs: [{{targets: ['{addr}']}}]");
            writeln!(config, "  - {{job_name: {name}, {target}, {fragment}}}").unwrap();
        }
        fs::write(scratch.path("prometheus.yml"), config).unwrap();

        // It takes no port 0, and whoever is quicker may take the one that was free: then it ends, and another is tried.
        for _ in 0..5 {
            let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = Command::new(tool("PROMETHEUS", "prometheus"));
            command
                .arg(format!("--config.file={}", scratch.path("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", scratch.path("data").display()))
                .arg(format!("--web.listen-address={addr}"))
                .args(flags)
                .stdin(Stdio::null())
                .stdout(File::create(scratch.path("stdout")).unwrap())
                .stderr(File::create(scratch.path("stderr")).unwrap());
            let mut process = Process::spawn(&mut command);
            let ready = poll("Prometheus is ready, or has ended", || {
                if process.0.try_wait().unwrap().is_some() {
                    return Ok(false);
                }
                http_get(addr, "/-/ready").map(|_| true).map_err(|error| error.to_string())
            });
            if ready {
                return Prometheus { process, addr, scratch };
            }
        }
        panic!("Prometheus does not start:\n{}", scratch.read("stderr"));
    }

    /// The `data` of an answer of its API.
    pub(super) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let encoded = |(name, value): &(&str, &str)| format!("{name}={}", percent_encoded(value));
        let query = parameters.iter().map(encoded).collect::<Vec<_>>().join("&");
        let body = http_get(self.addr, &format!("{path}?{query}")).map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        if answer["status"] == "success" { Ok(answer["data"].take()) } else { Err(body) }
    }

    /// An instant query; without the labels that Prometheus adds.
    pub(super) fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        let data = self.get("/api/v1/query", &[("query", query)])?;
        let results = data["result"].as_array().ok_or_else(|| data.to_string())?;
        let sample = |result: &Value| {
            let mut labels = strings(&result["metric"]);
            labels.remove("instance");
            labels.remove("job");
            let name = labels.remove("__name__").unwrap_or_default();
            // A string, as text has it: `NaN`, `+Inf`.
            Sample { name, labels, value: result["value"][1].as_str().unwrap().parse().unwrap() }
        };
        Ok(results.iter().map(sample).collect())
    }

    /// Polls until it is so; else fails with what both sides say.
    pub(super) fn wait_for<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        poll(what, || {
            attempt().map_err(|last| {
                let targets = self.get("/api/v1/targets", &[]);
                format!("{last}\ntargets: {targets:?}\nlog:\n{}", self.scratch.read("stderr"))
            })
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Before its directory goes.
        self.process.end();
    }
}

fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' => encoded.push(char::from(byte)),
            other => write!(encoded, "%{other:02X}").unwrap(),
        }
        encoded
    })
}
