//! Tests the web config file, from the builder to the client.
//!
//! `src/util/reload.rs` tests how often the file is read, with given times.

mod access_control;
mod refused;
mod reload;
mod revoked;
mod settings;
mod shared;
mod tls;
mod tls_keys;

use std::net::SocketAddr;
use std::path::PathBuf;

use prometheus_hyper::{Builder, Server};

use crate::support::Scratch;
use crate::support::client;
use crate::support::client::{Client, Response, ask};
use crate::support::log::logged;
use crate::support::server::something;

/// Returns a builder with this file and an empty registry.
fn builder(path: impl Into<PathBuf>) -> Builder {
    Server::builder().registry(&something()).web_config(path)
}

/// Hashes with the least cost.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// Returns the header of a request.
fn basic(user: &str, password: &str) -> String {
    client::basic(&format!("{user}:{password}"))
}

/// Sends one request on a separate connection.
fn fetch(addr: SocketAddr, path: &str, headers: &str) -> Response {
    ask(addr, path, headers).answer(false)
}

/// Sends one request byte for byte on a separate connection.
fn send(addr: SocketAddr, request: &str) -> Response {
    let mut client = Client::connect(addr);
    client.send(request);
    client.answer(request.starts_with("HEAD "))
}

/// Returns the log lines at warn and above, except refused TLS handshakes, which are one line a minute.
fn warnings(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    let (refused, others): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.contains("TLS handshake refused"));
    assert!(refused.len() <= 1, "{log}");
    others
}
