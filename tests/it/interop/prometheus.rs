//! Runs Prometheus as a child process, and queries its API.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::sample::Sample;
use super::{http_get, strings};
use crate::support::Scratch;
use testing::process::{Process, poll, tool};

/// A Prometheus that scrapes every second.
pub(super) struct Prometheus {
    process: Process,
    addr: SocketAddr,
    scratch: Scratch,
}

/// A scrape target and its configuration.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) addr: SocketAddr,
    /// Further options of the job, as in a YAML flow mapping: `scheme: https, basic_auth: {username: u,
    /// password: p}`.
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
        Self::start_config(flags, &scrape_configs(jobs))
    }

    /// Starts it with a complete configuration file.
    pub(super) fn start_config(flags: &[&str], config: &str) -> Self {
        let scratch = Scratch::new("interop");
        fs::write(scratch.path("prometheus.yml"), config).unwrap();

        let (process, addr) = scratch.serve("/-/ready", |addr| {
            let mut command = Command::new(tool("PROMETHEUS", "prometheus"));
            command
                .arg(format!("--config.file={}", scratch.path("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", scratch.path("data").display()))
                .arg(format!("--web.listen-address={addr}"))
                .args(flags);
            command
        });
        Prometheus { process, addr, scratch }
    }

    /// Returns the major version of the program.
    pub(super) fn major_version() -> u32 {
        let scratch = Scratch::new("interop");
        let said =
            scratch.run(Command::new(tool("PROMETHEUS", "prometheus")).arg("--version"), "").to_string();
        let version = said.split_once("prometheus, version ").and_then(|(_, rest)| rest.split_once('.'));
        version.and_then(|(major, _)| major.parse().ok()).unwrap_or_else(|| panic!("no version: {said}"))
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns `data` of a response of the API.
    pub(super) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        api_get(self.addr, path, parameters)
    }

    /// Runs an instant query. Returns the samples without the labels that Prometheus adds. Normalizes the
    /// bounds of buckets, because Prometheus 3 stores `1.0`, and Prometheus 2 stores `1` or `1.0`.
    pub(super) fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        let data = self.get("/api/v1/query", &[("query", query)])?;
        let results = data["result"].as_array().ok_or_else(|| data.to_string())?;
        let sample = |result: &Value| {
            let mut labels = strings(&result["metric"]);
            labels.remove("instance");
            labels.remove("job");
            let name = labels.remove("__name__").unwrap_or_default();
            if let Some(bound) = labels.get_mut("le").filter(|bound| *bound != "+Inf") {
                *bound = bound.parse::<f64>().unwrap().to_string();
            }
            // A string in the syntax of the text format: `NaN`, `+Inf`.
            Sample { name, labels, value: result["value"][1].as_str().unwrap().parse().unwrap() }
        };
        Ok(results.iter().map(sample).collect())
    }

    /// Polls until the attempt succeeds. Panics with its error, the targets and Prometheus' log.
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
        // Before its folder is removed.
        self.process.end();
    }
}

/// Returns a configuration with these jobs. Prometheus and vmagent read it.
pub(super) fn scrape_configs(jobs: &[Job<'_>]) -> String {
    let mut config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
    for Job { name, addr, config: fragment } in jobs {
        let target = format!("static_configs: [{{targets: ['{addr}']}}]");
        writeln!(config, "  - {{job_name: {name}, {target}, {fragment}}}").unwrap();
    }
    config
}

/// Returns `data` of a response of Prometheus' API. vmagent implements a part of it.
pub(super) fn api_get(addr: SocketAddr, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
    let encoded = |(name, value): &(&str, &str)| format!("{name}={}", percent_encoded(value));
    let query = parameters.iter().map(encoded).collect::<Vec<_>>().join("&");
    let body = http_get(addr, &format!("{path}?{query}")).map_err(|error| error.to_string())?;
    let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    if answer["status"] == "success" { Ok(answer["data"].take()) } else { Err(body) }
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
