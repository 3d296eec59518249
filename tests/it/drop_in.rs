//! The published crate's users compile and run as they are: this is their code, from its crate page and its tests.

#![expect(clippy::disallowed_names, reason = "it is their code")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_hyper::prometheus::{self, IntCounter, Opts, Registry};
use prometheus_hyper::{RegistryFn, Server};
use tokio::sync::Notify;

use crate::client::{PATIENCE, get};

struct CustomMetrics {
    foo: IntCounter,
}

impl CustomMetrics {
    fn new() -> Result<(Self, RegistryFn), Box<dyn Error>> {
        let foo = IntCounter::with_opts(Opts::new("foo", "description"))?;
        let foo_clone = foo.clone();
        let f = |r: &Registry| r.register(Box::new(foo_clone));
        Ok((Self { foo }, Box::new(f)))
    }
}

/// A port that is free now. The published API does not tell which one it got, so it can not be given port 0.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_crate_page_of_0_2() {
    let registry = Arc::new(Registry::new());
    let shutdown = Arc::new(Notify::new());
    let shutdown_clone = Arc::clone(&shutdown);
    let (metrics, f) = CustomMetrics::new().expect("failed prometheus");
    f(&registry).expect("problem registering");
    let port = free_port();

    let jh = tokio::spawn(async move {
        Server::run(Arc::clone(&registry), SocketAddr::from(([0; 4], port)), shutdown_clone.notified()).await
    });
    metrics.foo.inc();

    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let answer = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(addr).is_err() {
            assert!(std::time::Instant::now() < deadline, "nobody listens");
        }
        get(addr, "/metrics")
    })
    .await
    .unwrap();
    assert_eq!(answer.sample("foo"), Some(1.0));

    shutdown.notify_one();
    jh.await.unwrap().unwrap();
}

#[tokio::test]
async fn its_tests_of_0_2() {
    for _ in 0..2 {
        let shutdown = Arc::new(Notify::new());
        let shutdown_clone = Arc::clone(&shutdown);
        let registry = prometheus::default_registry();
        let port = free_port();
        let r = tokio::spawn(async move {
            Server::run(registry, SocketAddr::from(([0; 4], port)), shutdown_clone.notified()).await
        });
        shutdown.notify_one();
        r.await.expect("tokio error").expect("prometheus_hyper server error");
    }
}

/// It registered its own metrics into the registry that it was given, and panicked where that had them already.
#[tokio::test]
async fn a_failed_bind_an_abort_and_a_restart_just_work() {
    let registry = Arc::new(Registry::new());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    Server::run(Arc::clone(&registry), addr, std::future::pending()).await.unwrap_err();
    drop(taken);

    let aborted = tokio::spawn(Server::run(Arc::clone(&registry), addr, std::future::pending()));
    tokio::task::yield_now().await;
    aborted.abort();
    aborted.await.unwrap_err();

    Server::run(Arc::clone(&registry), addr, std::future::ready(())).await.unwrap();
    Server::run(Arc::clone(&registry), addr, std::future::ready(())).await.unwrap();
    assert!(registry.gather().is_empty(), "nothing is registered into a registry we do not own");
}

#[test]
fn two_servers_share_a_registry() {
    let registry = Registry::new();
    let start =
        || Server::builder().registry(&registry).listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let (one, two) = (start(), start());
    for guard in [&one, &two] {
        let answer = get(guard.local_addr().unwrap(), "/metrics");
        assert_eq!(answer.sample("prometheus_exporter_requests_total"), Some(1.0));
    }
}
