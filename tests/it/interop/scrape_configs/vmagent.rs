//! Runs VictoriaMetrics' agent as a child process. It writes the scraped samples to a Prometheus.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::super::prometheus::{Job, Prometheus, api_get, scrape_configs};
use crate::support::Scratch;
use testing::process::{Process, tool};

/// A vmagent that scrapes every second.
pub(super) struct Vmagent {
    process: Process,
    addr: SocketAddr,
    scratch: Scratch,
}

impl Vmagent {
    /// Starts the agent. The Prometheus needs `--web.enable-remote-write-receiver`.
    pub(super) fn start(jobs: &[Job<'_>], storage: &Prometheus) -> Self {
        let scratch = Scratch::new("interop");
        fs::write(scratch.path("vmagent.yml"), scrape_configs(jobs)).unwrap();
        let (process, addr) = scratch.serve("/-/ready", |addr| {
            let mut command = Command::new(tool("VMAGENT", "vmagent"));
            command
                .arg(format!("-promscrape.config={}", scratch.path("vmagent.yml").display()))
                .arg(format!("-remoteWrite.url=http://{}/api/v1/write", storage.addr()))
                .arg(format!("-remoteWrite.tmpDataPath={}", scratch.path("data").display()))
                .arg(format!("-httpListenAddr={addr}"));
            command
        });
        Vmagent { process, addr, scratch }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        api_get(self.addr, path, &[])
    }

    pub(super) fn log(&self) -> String {
        self.scratch.read("stderr")
    }
}

impl Drop for Vmagent {
    fn drop(&mut self) {
        // Before its folder is removed.
        self.process.end();
    }
}
