//! Servers, their registries, and the errors of their start.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use prometheus_hyper::prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use prometheus_hyper::{Builder, Guard};

use super::client::PATIENCE;

pub(crate) fn start(builder: Builder) -> (Guard, SocketAddr) {
    let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

/// Sets long timeouts, so that many clients can connect on a busy machine before the first gets its response.
pub(crate) fn patient(builder: Builder) -> Builder {
    builder.scrape_timeout(4 * PATIENCE).max_scrape_timeout(4 * PATIENCE)
}

/// Returns the text that Rust's runtime prints for this error of `main`.
pub(crate) fn printed(error: io::Error) -> String {
    let error: Box<dyn Error> = error.into();
    format!("Error: {error:?}")
}

/// Returns the system's error number of the first cause that has one.
pub(crate) fn raw_os_error(error: &io::Error) -> Option<i32> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(number);
        }
        cause = error.source();
    }
    None
}

/// Larger than the buffers of a socket, which grow to some megabytes on loopback.
pub(crate) const LARGE: usize = 64 * 256 * 1024;

pub(crate) fn large() -> Registry {
    let registry = Registry::new();
    let vec = IntCounterVec::new(Opts::new("large_total", "help"), &["label"]).unwrap();
    for n in 0..64 {
        vec.with_label_values(&[&format!("{n}{}", "x".repeat(256 * 1024))]).inc();
    }
    registry.register(Box::new(vec)).unwrap();
    registry
}

/// Returns a registry with one counter. An empty registry would log a warning.
pub(crate) fn something() -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("something_total", "help").unwrap())).unwrap();
    registry
}
