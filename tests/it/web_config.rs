//! The web-config file, from the builder to the client.
//!
//! That it is not read at every request is asked in `src/util/reload.rs`, where the time can be told.

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
use crate::support::client::{Answer, Client, ask};
use crate::support::log::logged;
use crate::support::server::something;

/// A server with this file and nothing else.
fn builder(path: impl Into<PathBuf>) -> Builder {
    Server::builder().registry(&something()).web_config(path)
}

/// The cheapest hash there is.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// The header of a request.
fn basic(user: &str, password: &str) -> String {
    client::basic(&format!("{user}:{password}"))
}

/// One request on a connection of its own.
fn fetch(addr: SocketAddr, path: &str, headers: &str) -> Answer {
    ask(addr, path, headers).answer(false)
}

/// One request, byte for byte, on a connection of its own.
fn send(addr: SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(addr);
    client.send(request);
    client.answer(request.starts_with("HEAD "))
}

/// The lines at warn and above about files and policies. Refused handshakes are one line a minute of their own.
fn warnings(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    let (refused, others): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.contains("TLS handshake refused"));
    assert!(refused.len() <= 1, "{log}");
    others
}
