//! The web-config file, from the builder to the client.
//!
//! That it is not read at every request is asked in `src/reload.rs`, where the time can be told.

mod keys;
mod locks;
mod refused;
mod reload;
mod shared;
mod tls;
mod tls_keys;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::{env, fs, process, thread};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};

use crate::client::{Answer, Client};
use crate::log::Log;
use crate::scrape::ask;

/// A folder of the test's own, gone after it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("ph-it-web-config-{name}-{}", process::id()));
        fs::create_dir(&folder).unwrap();
        Scratch(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// In one step: half a file is a version, too.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server with this file and nothing else.
fn builder(path: impl Into<PathBuf>) -> Builder {
    Server::builder().registry(&Registry::new()).web_config(path)
}

/// The cheapest hash there is.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// The header of a request.
fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
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

/// Serves on this thread, whose log it returns, for as long as the client has something to ask on another.
fn logged(builder: Builder, client: impl FnOnce(SocketAddr) + Send) -> String {
    let log = Log::default();
    log.capture(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = builder.listen("127.0.0.1:0").bind().unwrap();
        let addr = server.local_addr().unwrap();
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                // Its drop is the end, also if the client panics.
                let _stop = stop;
                client(addr);
            });
            runtime.block_on(server.serve(async { drop(stopping.await) })).unwrap();
        });
    });
    log.text()
}

/// The lines of the log that ask for attention.
fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect()
}
