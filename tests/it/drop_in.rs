//! Compiles and runs the code of users of the published crate: its crate page and its tests.
//!
//! Two things differ from 0.2.1. The ports are free ones, because other programs may use a fixed port. The
//! tests wait for the server instead of sleeping.

#![expect(clippy::disallowed_names, reason = "it is the code of 0.2.1")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_hyper::prometheus::{self, IntCounter, Opts, Registry};
use prometheus_hyper::{RegistryFn, Server};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::client::{PATIENCE, get, refused};
use crate::support::reserved;

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

/// Connects once the server listens. The published API does not say when it does.
async fn connect(addr: SocketAddr) -> TcpStream {
    let connected = async {
        loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.expect("the server listens")
}

#[tokio::test]
async fn code_of_the_0_2_crate_page_works() {
    let registry = Arc::new(Registry::new());
    let shutdown = Arc::new(Notify::new());
    let shutdown_clone = Arc::clone(&shutdown);
    let (metrics, f) = CustomMetrics::new().expect("failed prometheus");
    f(&registry).expect("problem registering");
    let addr = reserved();

    let jh = tokio::spawn(async move {
        Server::run(Arc::clone(&registry), SocketAddr::from(([0; 4], addr.port())), shutdown_clone.notified())
            .await
    });
    metrics.foo.inc();

    drop(connect(addr).await);
    let answer = tokio::task::spawn_blocking(move || get(addr, "/metrics")).await.unwrap();
    assert_eq!(answer.sample("foo"), Some(1.0));

    shutdown.notify_one();
    jh.await.unwrap().unwrap();
}

/// `test_create` of 0.2.1.
#[tokio::test]
async fn test_create() {
    let shutdown = Arc::new(Notify::new());
    let registry = Arc::new(Registry::new());
    let shutdown_clone = Arc::clone(&shutdown);
    let port = reserved().port();

    let r = tokio::spawn(async move {
        Server::run(Arc::clone(&registry), SocketAddr::from(([0; 4], port)), shutdown_clone.notified()).await
    });

    shutdown.notify_one();
    r.await.expect("tokio error").expect("prometheus_hyper server error");
}

/// `test_default` of 0.2.1.
#[tokio::test]
async fn test_default() {
    let shutdown = Arc::new(Notify::new());
    let registry = prometheus::default_registry();
    let shutdown_clone = Arc::clone(&shutdown);
    let port = reserved().port();

    let r = tokio::spawn(async move {
        Server::run(registry, SocketAddr::from(([0; 4], port)), shutdown_clone.notified()).await
    });

    shutdown.notify_one();
    r.await.expect("tokio error").expect("prometheus_hyper server error");
}

/// `test_sample` of 0.2.1. Its request had no `Host`, only a host in its target. The server rejected it with
/// 400.
#[tokio::test]
async fn test_sample() {
    let res = fetch("/metrics").await;
    assert_eq!(res.status(), StatusCode::OK);
}

/// `test_wrong_endpoint_sample` of 0.2.1.
#[tokio::test]
async fn test_wrong_endpoint_sample() {
    let res = fetch("/foobar").await;
    assert_eq!(res.status(), StatusCode::NOT_FOUND);
}

/// Fetches as those two tests do, except for the path. hyper's low-level client sends the whole URI
/// unchanged.
async fn fetch(path: &str) -> Response<hyper::body::Incoming> {
    let shutdown = Arc::new(Notify::new());
    let registry = Arc::new(Registry::new());
    let shutdown_clone = Arc::clone(&shutdown);
    let addr = reserved();
    let port = addr.port();

    let r = tokio::spawn(async move {
        Server::run(Arc::clone(&registry), SocketAddr::from(([0; 4], port)), shutdown_clone.notified()).await
    });

    let io = TokioIo::new(connect(addr).await);
    let (mut sender, conn) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::task::spawn(async move {
        if let Err(err) = conn.await {
            println!("Connection failed: {err:?}");
        }
    });

    let req = Request::builder()
        .method("GET")
        .uri(format!("http://localhost:{port}{path}"))
        .body(String::new())
        .expect("request builder");

    let res = sender.send_request(req).await.expect("couldn't reach server");

    shutdown.notify_one();
    r.await.expect("tokio error").expect("prometheus_hyper server error");
    res
}

/// Regression: the server registered its own metrics in the given registry, and panicked if they were there
/// already.
#[tokio::test]
async fn server_starts_after_a_failed_bind_and_after_an_abort() {
    let registry = Arc::new(Registry::new());
    let addr = reserved();
    let taken = std::net::TcpListener::bind(addr).unwrap();
    Server::run(Arc::clone(&registry), addr, std::future::pending()).await.unwrap_err();
    drop(taken);
    refused(addr);

    let aborted = tokio::spawn(Server::run(Arc::clone(&registry), addr, std::future::pending()));
    tokio::task::yield_now().await;
    aborted.abort();
    aborted.await.unwrap_err();

    for _ in 0..2 {
        refused(addr);
        Server::run(Arc::clone(&registry), addr, std::future::ready(())).await.unwrap();
    }
    assert!(registry.gather().is_empty(), "the given registry stays unchanged");
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

/// In 0.2.1 the host's runtime gathered.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn collectors_find_the_runtime_of_their_host() {
    let registry = Registry::new();
    let workers = prometheus_hyper::collector::from_fn(|samples| {
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        samples.gauge("workers", "Workers of the runtime.", &[], workers as f64);
    });
    registry.register(Box::new(workers)).unwrap();
    let shutdown = Arc::new(Notify::new());
    let (addr, stop) = (reserved(), Arc::clone(&shutdown));
    let serving = tokio::spawn(prometheus_hyper::run(&registry, addr, async move { stop.notified().await }));
    drop(connect(addr).await);
    let answer = tokio::task::spawn_blocking(move || get(addr, "/metrics")).await.unwrap();
    assert_eq!(answer.sample("workers"), Some(3.0));
    shutdown.notify_one();
    serving.await.unwrap().unwrap();
}
