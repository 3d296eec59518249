//! Mounted in a server of the host's own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body as _;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Body, Builder, Handler, Server};

use crate::client::PATIENCE;
use crate::client::{Client, get};
use crate::host::current_thread;
use crate::log::Log;
use crate::scrape::Gated;

fn registry() -> Registry {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("mounted_total", "help").unwrap())).unwrap();
    registry
}

fn handler(registry: &Registry) -> Handler {
    Server::builder().registry(registry).into_handler()
}

/// Status, headers, and the body's bytes.
type Heard = (StatusCode, HeaderMap, String);

async fn call<B>(handler: &Handler, request: Request<B>) -> Heard {
    let (head, body) = handler.call(request).await.unwrap().into_parts();
    let exact = body.size_hint().exact();
    let body = read(body).await;
    assert_eq!(exact, Some(body.len() as u64));
    (head.status, head.headers, body)
}

async fn read(mut body: Body) -> String {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert!(body.is_end_stream());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn it_serves_the_metrics_wherever_it_is() {
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
            // A body that is never looked at, and no Host: that is the business of the server around it.
            let request = Request::builder().method(method).uri(*uri).body(std::future::pending::<()>());
            let (head, headers, body) = call(&handler, request.unwrap()).await;
            assert_eq!(head.as_u16(), *status, "{row:?}: {body}");
            assert_eq!(body.contains("mounted_total 0"), *has_metrics, "{row:?}: {body}");
            assert_eq!(headers["cache-control"], "no-store", "{row:?}");
            let length = headers
                .get("content-length")
                .map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
            match *method {
                // Of the GET.
                Method::HEAD => assert!(length > Some(100) && body.is_empty(), "{row:?}: {length:?}"),
                Method::OPTIONS => assert_eq!(length, None, "{row:?}"),
                _ => assert_eq!(length, Some(body.len()), "{row:?}"),
            }
        }
    });
}

#[test]
fn it_negotiates_and_keeps_deadlines() {
    let registry = registry();
    let gated = Gated::register(&registry, true);
    let handler = Server::builder().registry(&registry).openmetrics(true).into_handler();
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
        // Waits for as long as it takes to begin the gather, and no longer.
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
fn on_a_hyper_server_it_answers_get_and_head() {
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

/// Serves for as long as the test's process lives.
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
fn on_axum_it_is_a_route() {
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
fn any_executor_may_call_it() {
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

/// Its server has the connections, so nobody evicts a client that does not read.
#[test]
fn bodies_that_nobody_takes_refuse_no_scrape() {
    let handler = Server::builder().registry(&registry()).max_unsent(1).into_handler();
    current_thread().block_on(async {
        let held = handler.call(Request::get("/").body(()).unwrap()).await.unwrap();
        let part = Request::get("/?name[]=mounted_total").body(()).unwrap();
        assert_eq!(call(&handler, part).await.0, 200);
        drop(held);
    });
}

#[test]
fn hooks_run_where_it_is_mounted() {
    let registry = registry();
    let runs = IntCounter::new("runs_total", "help").unwrap();
    registry.register(Box::new(runs.clone())).unwrap();
    let builder = Server::builder().registry(&registry).before_scrape("counts", move |_| {
        // It panics where there is no runtime.
        let sleep = tokio::time::sleep(Duration::ZERO);
        let runs = runs.clone();
        async move {
            sleep.await;
            runs.inc();
            Ok(())
        }
    });
    // Outside of the runtime.
    let handler = builder.into_handler();
    let request = Request::get("/metrics").body(()).unwrap();
    let (_, _, body) = current_thread().block_on(call(&handler, request));
    assert!(body.contains("\nruns_total 1\n"), "{body}");
}

#[test]
fn options_that_make_no_sense_are_logged_and_mended() {
    let one = registry();
    let twins = |builder: Builder| builder.registry_named("db", &one).registry_named("db", &Registry::new());
    type Options<'o> = Box<dyn Fn(Builder) -> Builder + 'o>;
    let table: [(&str, Options<'_>); 3] = [
        ("registry_named", Box::new(twins)),
        (
            "scrape_timeout",
            Box::new(|builder| builder.registry_named("db", &one).scrape_timeout(Duration::ZERO)),
        ),
        (
            "before_scrape",
            Box::new(|builder| {
                let builder = builder.registry_named("db", &one);
                builder.before_scrape("h", |_| async { Ok(()) }).before_scrape("h", |_| async { Ok(()) })
            }),
        ),
    ];
    for (option, options) in table {
        let log = Log::default();
        let handler = log.capture(|| options(Server::builder()).into_handler());
        let log = log.text();
        assert!(log.contains("ERROR") && log.contains(option), "{option}: {log}");
        let request = Request::get("/?registry[]=db").body(()).unwrap();
        let (status, _, body) = current_thread().block_on(call(&handler, request));
        assert_eq!(status, 200, "{option}: {body}");
        assert!(body.contains("mounted_total 0"), "{option}: {body}");
    }
}

/// A place is one's who is answered, and goes with the wait for the answer.
#[test]
fn a_scrape_that_is_given_up_makes_room_for_another() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let handler = Server::builder().registry(&registry).max_requests(1).into_handler();
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
