//! The peers: each server as its own README shows it, and two floors that are no servers.

mod axum;
mod client_rust;
mod floors;
mod foreign;
mod metrics_exporter;
mod ours;
mod published;
mod tiny_http;

use std::env;
use std::process::Command;

use crate::launch::{Prepare, Threads};
use crate::load::Load;
use crate::locked::version;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::serve::serve;

pub(crate) use floors::Floor;
pub(crate) use foreign::Programs;

pub(crate) struct Peer {
    /// Its name on the command line.
    pub(crate) key: &'static str,
    pub(crate) how: How,
    /// The figures in which a variant of this server is measured. `None`: all figures.
    pub(crate) only: Option<&'static [&'static str]>,
}

pub(crate) enum How {
    /// Its constructor, and the threads of the host program's runtime, as in its README.
    Rust {
        krate: &'static str,
        remark: &'static str,
        prepare: Prepare,
        threads: Threads,
    },
    Go,
    Python,
    Floor(Floor),
}

/// Ours is first, because the tables show ratios to it.
pub(crate) const PEERS: [Peer; 14] = [
    rust("ours", "prometheus-hyper", "", ours::prepare, Threads::One),
    rust("published", "published", "", published::prepare, Threads::One),
    rust("tiny_http", "prometheus_exporter", "", tiny_http::prepare, Threads::One),
    rust("metrics", "metrics-exporter-prometheus", "", metrics_exporter::prepare, Threads::One),
    rust("client_rust", "prometheus-client", " in hyper", client_rust::prepare, Threads::Many),
    rust("axum", "axum", " with prometheus", axum::prepare, Threads::Many),
    Peer { key: "promhttp", how: How::Go, only: None },
    Peer { key: "python", how: How::Python, only: None },
    Peer { key: "gather", how: How::Floor(Floor::Gather), only: None },
    Peer { key: "memcpy", how: How::Floor(Floor::Copy), only: None },
    variant("roomy", ", max_connections(1000)", ours::prepare_roomy, &["idle"]),
    variant("run", ", run", ours::prepare_run, &["stall"]),
    variant("serve", ", serve", ours::prepare_serve, &["stall"]),
    variant("exposition", ", prometheus-client's registry", ours::prepare_exposition, &["same", "cpu"]),
];

const fn rust(
    key: &'static str,
    krate: &'static str,
    remark: &'static str,
    prepare: Prepare,
    threads: Threads,
) -> Peer {
    Peer { key, how: How::Rust { krate, remark, prepare, threads }, only: None }
}

const fn variant(
    key: &'static str,
    remark: &'static str,
    prepare: Prepare,
    only: &'static [&'static str],
) -> Peer {
    Peer { only: Some(only), ..rust(key, "prometheus-hyper", remark, prepare, Threads::One) }
}

pub(crate) fn peer(key: &str) -> Outcome<&'static Peer> {
    PEERS.iter().find(|peer| peer.key == key).ok_or_else(|| format!("unknown peer {key}").into())
}

impl Peer {
    /// Includes the measured version.
    pub(crate) fn name(&self, programs: &Programs) -> String {
        match &self.how {
            How::Rust { krate, remark, .. } => match *krate {
                "published" => format!("prometheus-hyper {}", version("prometheus-hyper", true)),
                "prometheus-hyper" => format!("this prometheus-hyper{remark}"),
                krate => format!("{krate} {}{remark}", version(krate, true)),
            },
            How::Go => programs.go.name(),
            How::Python => programs.python.name(),
            How::Floor(floor) => floor.name().to_owned(),
        }
    }

    pub(crate) fn is_server(&self) -> bool {
        !matches!(self.how, How::Floor(_))
    }

    pub(crate) fn takes_part(&self, figure: &str) -> bool {
        self.only.is_none_or(|only| only.contains(&figure))
    }

    /// The goals are ratios of this version to the published one.
    pub(crate) fn is_in_goals(&self) -> bool {
        ["ours", "published"].contains(&self.key)
    }

    /// Starts a process: this program again, or one in another language.
    pub(crate) fn spawn(
        &self,
        load: Load,
        threads: Option<Threads>,
        programs: &Programs,
    ) -> Outcome<Process> {
        let spawned = match &self.how {
            How::Rust { threads: readme, .. } => {
                Process::spawn(again(self.key, load, threads.unwrap_or(*readme))?, None)
            }
            How::Floor(_) => Process::spawn(again(self.key, load, Threads::One)?, None),
            How::Go => Process::spawn(programs.go.command()?, Some(load)),
            How::Python => Process::spawn(programs.python.command()?, Some(load)),
        };
        spawned.map_err(|failure| format!("{} with {load}: {failure}", self.key).into())
    }
}

/// The command of this program as a server. [`child`] reads it.
fn again(key: &str, load: Load, threads: Threads) -> Outcome<Command> {
    let mut command = Command::new(env::current_exe()?);
    let threads = if threads == Threads::One { "one" } else { "many" };
    command.args(["serve", key, &load.shape.to_string(), &load.series.to_string(), threads]);
    Ok(command)
}

pub(crate) fn child(arguments: &[String]) -> Outcome<()> {
    let [key, shape, series, threads] = arguments else {
        return Err("serve KEY SHAPE SERIES THREADS".into());
    };
    let load = Load { shape: shape.parse()?, series: series.parse()? };
    let threads = if threads == "one" { Threads::One } else { Threads::Many };
    match &peer(key)?.how {
        How::Rust { prepare, .. } => serve(*prepare, load, threads),
        How::Floor(floor) => floor.serve(load),
        How::Go | How::Python => Err(format!("{key} is a separate program").into()),
    }
}
