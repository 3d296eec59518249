//! Tests the handler, mounted in a server of the host program.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body as _;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
#[cfg(feature = "page")]
use prometheus_hyper::Page;
use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Body, Builder, Handler, Server};

use crate::support::client::{Client, PATIENCE, get};
use crate::support::collectors::Gated;
use crate::support::runtime::current_thread;
#[cfg(all(target_os = "linux", feature = "runtime"))]
use crate::support::{CHILD, LARGE_STACKS, client::wait_for, limit_memory, run_alone};

fn registry() -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("mounted_total", "help").unwrap())).unwrap();
    registry
}

fn handler(registry: &Registry) -> Handler {
    Server::builder().registry(registry).into_handler().unwrap()
}

/// Status, headers, and the body as text.
type Heard = (StatusCode, HeaderMap, String);

async fn call<B>(handler: &Handler, request: Request<B>) -> Heard {
    let (head, body) = handler.call(request).await.unwrap().into_parts();
    let exact = body.size_hint().exact();
    let body = read(body).await;
    assert_eq!(exact, Some(body.len() as u64));
    (head.status, head.headers, body)
}

pub(crate) async fn read(mut body: Body) -> String {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert!(body.is_end_stream());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn handler_serves_metrics_at_any_mount_path() {
    let handler = handler(&registry());
    let table = [
        (Method::GET, "/metrics", 200, true),
        (Method::GET, "/", 200, true),
        (Method::GET, "/any/where?name[]=mounted_total", 200, true),
        (Method::GET, "http://elsewhere/-/healthy", 200, true),
        (Method::GET, "/?name[]=other", 200, false),
        (Method::GET, "/?registry[]=unknown", 400, false),
        (Method::HEAD, "/metrics", 200, false),
        (Method::OPTIONS, "/metrics", 204, false),
        (Method::POST, "/metrics", 405, false),
    ];
    current_thread().block_on(async {
        for row @ (method, uri, status, has_metrics) in &table {
            // A body that is never read, and no Host. The surrounding server handles both.
            let request = Request::builder().method(method).uri(*uri).body(std::future::pending::<()>());
            let (head, headers, body) = call(&handler, request.unwrap()).await;
            assert_eq!(head.as_u16(), *status, "{row:?}: {body}");
            assert_eq!(body.contains("mounted_total 0"), *has_metrics, "{row:?}: {body}");
            assert_eq!(headers["cache-control"], "no-store", "{row:?}");
            let length = headers
                .get("content-length")
                .map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
            match *method {
                // The content length of GET.
                Method::HEAD => assert!(length > Some(100) && body.is_empty(), "{row:?}: {length:?}"),
                Method::OPTIONS => assert_eq!(length, None, "{row:?}"),
                _ => assert_eq!(length, Some(body.len()), "{row:?}"),
            }
        }
    });
}

#[test]
fn handler_negotiates_the_format_and_keeps_timeouts() {
    let registry = registry();
    let gated = Gated::register(&registry, true);
    let handler = Server::builder().registry(&registry).openmetrics(true).into_handler().unwrap();
    current_thread().block_on(async {
        let request = Request::get("/").header("accept", "application/openmetrics-text;version=1.0.0");
        let (_, headers, body) = call(&handler.clone(), request.body(()).unwrap()).await;
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
        assert!(body.ends_with("# EOF\n"));
    });
    let registry = Registry::new();
    let hangs = Gated::register(&registry, false);
    let handler = self::handler(&registry);
    current_thread().block_on(async {
        let request =
            || Request::get("/").header("x-prometheus-scrape-timeout-seconds", "0.2").body(()).unwrap();
        // Polls the request until its gather starts, and then leaves it pending.
        let mut patient = Box::pin(handler.call(Request::new(())));
        assert!(patient.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        hangs.wait_for_gathers(1);
        let (one, other) = tokio::join!(call(&handler, request()), call(&handler, request()));
        assert_eq!((one.0.as_u16(), other.0.as_u16()), (503, 503));
        assert_eq!(hangs.gathers(), 1, "shared");
    });
    hangs.open();
    assert_eq!(gated.gathers(), 1);
}

#[test]
fn handler_serves_get_and_head_in_a_hyper_server() {
    let handler = handler(&registry());
    let addr = serve(move |request: Request<hyper::body::Incoming>| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.call(request).await.unwrap()) }
    });
    assert!(get(addr, "/anywhere").body.contains("mounted_total 0"));
    let mut client = Client::connect(addr);
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.answer(true);
    assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 100);
    assert!(client.answer(false).body.contains("mounted_total 0"));
}

/// Serves until the process of the test exits.
fn serve<S, F>(service: S) -> SocketAddr
where
    S: Fn(Request<hyper::body::Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<http::Response<Body>, Infallible>> + Send,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        current_thread().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let io = TokioIo::new(listener.accept().await.unwrap().0);
                let service = service_fn(service.clone());
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                connection.await.unwrap();
            }
        });
    });
    addr
}

#[cfg(feature = "tower")]
#[test]
fn handler_is_a_route_in_axum() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    let handler = handler(&registry());
    std::thread::spawn(move || {
        current_thread().block_on(async {
            let app = axum::Router::new()
                .route_service("/metrics", handler.clone())
                .nest_service("/nested", handler);
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
    });
    for path in ["/metrics", "/nested/any"] {
        assert!(get(addr, path).body.contains("mounted_total 0"), "{path}");
    }
    assert_eq!(get(addr, "/elsewhere").status, 404);
    let mut client = Client::connect(addr);
    client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.answer(true).header("content-length").unwrap().parse::<usize>().unwrap() > 100);
}

#[test]
fn handler_runs_on_any_executor() {
    let handler = handler(&registry());
    let request = || Request::get("/metrics").body(()).unwrap();
    let mut bare = std::pin::pin!(handler.call(request()));
    let began = Instant::now();
    let response = loop {
        match bare.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(response)) => break response,
            Poll::Pending => assert!(began.elapsed() < PATIENCE),
        }
        std::thread::yield_now();
    };
    assert_eq!(response.status(), 200);

    let without_drivers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    without_drivers.block_on(async { assert_eq!(call(&handler, request()).await.0, 200) });
    current_thread().block_on(async { assert_eq!(call(&handler.clone(), request()).await.0, 200) });
}

#[test]
fn mounted_handler_runs_hooks_on_the_callers_runtime() {
    let registry = registry();
    let runs = IntCounter::new("runs_total", "help").unwrap();
    registry.register(Box::new(runs.clone())).unwrap();
    let builder = Server::builder().registry(&registry).before_scrape("counts", move |_| {
        // `sleep` panics without a runtime.
        let sleep = tokio::time::sleep(Duration::ZERO);
        let runs = runs.clone();
        async move {
            sleep.await;
            runs.inc();
            Ok(())
        }
    });
    // Created outside of the runtime.
    let handler = builder.into_handler().unwrap();
    let request = Request::get("/metrics").body(()).unwrap();
    let (_, _, body) = current_thread().block_on(call(&handler, request));
    assert!(body.contains("\nruns_total 1\n"), "{body}");
}

type Options<'o> = Box<dyn Fn(Builder) -> Builder + 'o>;

#[test]
fn handler_rejects_invalid_options_as_bind_does() {
    let one = registry();
    let table: [(&str, Options<'_>); 3] = [
        ("registry_named: \"db\"", Box::new(|b| b.registry_named("db", &one).registry_named("db", &one))),
        ("scrape_timeout: ", Box::new(|b| b.scrape_timeout(Duration::ZERO))),
        (
            "before_scrape: \"h\"",
            Box::new(|b| b.before_scrape("h", |_| async { Ok(()) }).before_scrape("h", |_| async { Ok(()) })),
        ),
    ];
    for (beginning, options) in table {
        let error = options(Server::builder()).into_handler().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{beginning}");
        assert!(error.to_string().starts_with(beginning), "{beginning}: {error}");
    }
}

#[test]
fn handler_rejects_options_that_only_a_server_has() {
    let reason =
        "a mounted handler has no connections and no paths of its own: set this in the server around it";
    let existing = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let table: Vec<(&str, Options<'_>)> = vec![
        ("listen", Box::new(|b| b.listen("nobody.invalid:1"))),
        ("tcp_listener", Box::new(|b| b.tcp_listener(existing()))),
        ("listen_unix", Box::new(|b| b.listen_unix("/nowhere"))),
        ("unix_socket_mode", Box::new(|b| b.unix_socket_mode(0o600))),
        ("max_connections", Box::new(|b| b.max_connections(1))),
        ("head_timeout", Box::new(|b| b.head_timeout(None))),
        ("idle_timeout", Box::new(|b| b.idle_timeout(None))),
        ("write_timeout", Box::new(|b| b.write_timeout(None))),
        ("drain_timeout", Box::new(|b| b.drain_timeout(None))),
        ("max_unsent", Box::new(|b| b.max_unsent(1))),
        ("allow_network", Box::new(|b| b.allow_network("10.0.0.0/8"))),
        ("auth_for_health", Box::new(|b| b.auth_for_health(true))),
        ("ready", Box::new(|b| b.ready(false))),
        ("metrics_path", Box::new(|b| b.metrics_path("/m"))),
        #[cfg(feature = "page")]
        ("landing_page", Box::new(|b| b.landing_page(Page::new("x")))),
        ("probe", Box::new(|b| b.probe("/probe", |_| async { Ok(Registry::new()) }))),
        ("max_probes", Box::new(|b| b.max_probes(1))),
        ("max_connections, listen", Box::new(|b| b.listen("x").max_connections(1))),
        #[cfg(feature = "tls")]
        ("tls_files, tls_client_ca", Box::new(|b| b.tls_files("c", "k").tls_client_ca("a"))),
        #[cfg(feature = "systemd")]
        ("listen_systemd", Box::new(Builder::listen_systemd)),
    ];
    for (named, options) in table {
        let error = options(Server::builder()).into_handler().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{named}");
        assert_eq!(error.to_string(), format!("{named}: {reason}"));
    }
    // Without a page, the option has no effect.
    #[cfg(feature = "page")]
    drop(Server::builder().landing_page(None).into_handler().unwrap());
}

/// Regression: a handler always served `ready 1` and `connections 0`, which was false.
#[test]
fn handler_omits_the_metrics_of_a_server() {
    let handler = handler(&registry());
    let (_, _, body) = current_thread().block_on(call(&handler, Request::new(())));
    assert!(body.contains("prometheus_exporter_requests_total 1\n"), "{body}");
    for name in ["prometheus_exporter_ready", "prometheus_exporter_connections"] {
        assert!(!body.contains(name), "{body}");
    }
}

/// A scrape holds its permit while its client waits, and releases it when the future is dropped.
#[test]
fn abandoned_scrape_releases_its_permit() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let handler = Server::builder().registry(&registry).max_requests(1).into_handler().unwrap();
    current_thread().block_on(async {
        let mut given_up = Box::pin(handler.call(Request::new(())));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
        gated.wait_for_gathers(1);
        assert_eq!(call(&handler, Request::new(())).await.0, StatusCode::SERVICE_UNAVAILABLE);
        drop(given_up);
        gated.open();
        assert_eq!(call(&handler, Request::new(())).await.0, StatusCode::OK);
    });
}

/// Regression: the runtime was not watched any more after a failed start.
#[test]
#[cfg(all(target_os = "linux", feature = "runtime"))]
fn handler_watches_the_runtime_after_a_failed_start() {
    run_alone("handler::child_without_memory", "", &LARGE_STACKS);
}

/// Runs in a child process of the test above, first without memory for a thread.
#[test]
#[cfg(all(target_os = "linux", feature = "runtime"))]
#[ignore = "run by another test"]
fn child_without_memory() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let runtime = current_thread();
    let handler = {
        let _context = runtime.enter();
        Server::builder().registry(&registry()).default_collectors(true).into_handler().unwrap()
    };
    let status = || runtime.block_on(call(&handler, Request::new(()))).0;
    limit_memory(Some(150_000_000));
    assert_eq!(status(), 500);
    limit_memory(None);
    assert_eq!(status(), 200);
    wait_for("the scheduling delay", || {
        let (_, _, body) = runtime.block_on(call(&handler, Request::new(())));
        body.contains("\ntokio_scheduling_delay_seconds")
    });
}
