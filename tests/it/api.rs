//! Tests the public API as a user's code calls it.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use http_body::Body as _;
#[cfg(feature = "page")]
use prometheus_hyper::Page;
#[cfg(feature = "cli")]
use prometheus_hyper::WebArgs;
#[cfg(feature = "process")]
use prometheus_hyper::collector::ProcessCollector;
#[cfg(feature = "runtime")]
use prometheus_hyper::collector::RuntimeCollector;
use prometheus_hyper::collector::{BuildInfo, Exposition, FromFn, Samples, exposition, from_fn, try_from_fn};
use prometheus_hyper::prometheus::core::Collector;
use prometheus_hyper::prometheus::{IntCounter, Registry, register_int_counter};
use prometheus_hyper::{
    Body, BoxError, Builder, CancellationToken, Guard, Handler, IntoRegistry, NotScraped, ProbeError,
    ProbeRequest, Readiness, RegistryFn, ResponseFuture, Run, ScrapeContext, Server, build_info,
};
use tokio::sync::Notify;

use crate::support::client::get;

#[test]
fn public_types_are_send_sync_and_unwind_safe() {
    fn goes_anywhere<T: Debug + Send + Sync + Unpin + 'static>() {}
    fn moves<T: Debug + Send + Unpin + 'static>() {}
    fn outlives_panics<T: UnwindSafe + RefUnwindSafe>() {}
    moves::<ResponseFuture>();
    moves::<Run<std::future::Pending<()>>>();
    goes_anywhere::<Body>();
    goes_anywhere::<Builder>();
    goes_anywhere::<Guard>();
    goes_anywhere::<Handler>();
    goes_anywhere::<NotScraped>();
    #[cfg(feature = "page")]
    goes_anywhere::<Page>();
    goes_anywhere::<ProbeError>();
    goes_anywhere::<ProbeRequest>();
    goes_anywhere::<Readiness>();
    goes_anywhere::<ScrapeContext>();
    goes_anywhere::<Server>();
    goes_anywhere::<BuildInfo>();
    goes_anywhere::<Exposition<fn(&mut String) -> Result<(), BoxError>>>();
    goes_anywhere::<FromFn<fn(&mut Samples)>>();
    goes_anywhere::<FromFn<fn(&mut Samples) -> Result<(), BoxError>>>();
    #[cfg(feature = "process")]
    goes_anywhere::<ProcessCollector>();
    #[cfg(feature = "runtime")]
    goes_anywhere::<RuntimeCollector>();
    goes_anywhere::<Samples>();
    #[cfg(feature = "cli")]
    goes_anywhere::<WebArgs>();
    outlives_panics::<NotScraped>();
    #[cfg(feature = "page")]
    outlives_panics::<Page>();
    outlives_panics::<ProbeRequest>();
    outlives_panics::<ScrapeContext>();
    outlives_panics::<BuildInfo>();
    outlives_panics::<Samples>();
}

/// Uses most exported items once. Other tests check what the options of the builder do.
#[test]
fn each_exported_item_is_usable() {
    let registry = Registry::new();
    let hook = |context: ScrapeContext| async move {
        let left: Result<(), BoxError> = Err(format!("until {:?}", context.deadline()).into());
        left
    };
    let probe = |request: ProbeRequest| async move {
        request.log("asked");
        let _ = (request.target()?, request.param("module"), request.deadline());
        Err(ProbeError::bad_request("no"))
    };
    let builder = Server::builder()
        .registry(&registry)
        .registry_named("named", Registry::new().into_registry())
        .before_scrape("hook", hook)
        .collect("collected", |_: ScrapeContext, samples: Samples| async { Ok(samples) })
        .collect_with_up("shown", |_, samples| async { Ok(samples) })
        .probe("/probe", probe)
        .probe_debug(true)
        .max_probes(Builder::DEFAULT_MAX_PROBES)
        .metrics_path(Builder::DEFAULT_METRICS_PATH)
        .default_collectors(true)
        .build_info(build_info!().revision("r").rustversion("1.85"))
        .self_metrics(true)
        .openmetrics(true)
        .compression(true)
        .scrape_timeout(Builder::DEFAULT_SCRAPE_TIMEOUT)
        .max_scrape_timeout(Builder::DEFAULT_MAX_SCRAPE_TIMEOUT)
        .scrape_timeout_margin(Builder::DEFAULT_SCRAPE_TIMEOUT_MARGIN)
        .max_requests(7)
        .max_unsent(1 << 20)
        .ready(false)
        .listen("127.0.0.1:0")
        .tcp_listener(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .unix_socket_mode(Builder::DEFAULT_UNIX_SOCKET_MODE)
        .max_connections(Builder::DEFAULT_MAX_CONNECTIONS)
        .head_timeout(Builder::DEFAULT_HEAD_TIMEOUT)
        .idle_timeout(Builder::DEFAULT_IDLE_TIMEOUT)
        .write_timeout(Builder::DEFAULT_WRITE_TIMEOUT)
        .drain_timeout(Builder::DEFAULT_DRAIN_TIMEOUT)
        .allow_network("127.0.0.0/8")
        .auth_for_health(false)
        .rate_limit(Duration::from_millis(1), 1000)
        .allowed_hosts(["localhost"]);
    #[cfg(feature = "page")]
    let builder = builder.landing_page(page());
    #[cfg(feature = "protobuf")]
    let builder = builder.protobuf(true);
    let guard = builder.start().unwrap();
    let addr = guard.local_addr().unwrap();
    assert_eq!(guard.local_addrs().len(), 2);
    assert_eq!(guard.urls().join(", "), guard.to_string());
    let pages: Vec<String> = guard.local_addrs().iter().map(|addr| format!("http://{addr}/")).collect();
    assert_eq!(guard.page_urls(), pages);
    assert_eq!(get(addr, "/-/ready").status, 503, "Builder::ready(false) sets it");
    let readiness: Readiness = guard.readiness().clone();
    std::thread::spawn(move || readiness.set(true)).join().unwrap();
    assert_eq!(get(addr, "/-/ready").status, 200);
    guard.set_ready(false);
    assert_eq!(get(addr, "/-/ready").status, 503);
    assert_eq!(get(addr, "/probe?target=x").body, "no\n");
    let (readiness, stopped) = (guard.readiness(), guard.stopped());
    let token: CancellationToken = guard.cancellation_token();
    let error: NotScraped = guard.shutdown_after_scrape_blocking(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.to_string(), "the server stopped before its final values were scraped");
    assert!(token.is_cancelled());
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(stopped);
    readiness.set(true);

    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    let (token, stopped) = (guard.cancellation_token(), guard.stopped());
    guard.detach();
    assert!(!token.is_cancelled());
    token.cancel();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(stopped);

    let handler: Handler = Server::builder().registry(registry).into_handler().unwrap();
    let answer: ResponseFuture = hyper::service::Service::call(&handler, http::Request::new(()));
    drop(answer);
    #[cfg(feature = "tower")]
    drop::<ResponseFuture>(tower_service::Service::call(&mut handler.clone(), http::Request::new(())));
    #[cfg(feature = "page")]
    drop::<Handler>(handler.page(page(), "/metrics").unwrap());
    assert_eq!(Body::from("body").size_hint().exact(), Some(4));
}

#[cfg(feature = "page")]
fn page() -> Page {
    Page::new("Page").version("1").description("What it is for.").link("Manual", "https://example.org")
}

#[test]
fn each_public_collector_can_be_registered() {
    let samples = from_fn(|samples| {
        samples.counter("api_total", "help", &[], 1.0).gauge("api_gauge", "help", &[], 1.0);
        samples.info("api_info", "help", &[("a", "b")]).untyped("api_untyped", "help", &[], 1.0);
        samples.histogram("api_histogram", "help", &[], &[(1.0, 1)], 1.0, 1);
        samples.summary("api_summary", "help", &[], &[(0.5, 1.0)], 1.0, 1).timestamp(SystemTime::now());
    });
    let tried = try_from_fn(|samples| {
        samples.gauge("api_tried", "help", &[], 1.0);
        Ok(())
    });
    let written = exposition(|text| {
        text.push_str("api_written 1\n# EOF\n");
        Ok(())
    });
    #[allow(unused_mut, reason = "only some features add collectors")]
    let mut collectors: Vec<Box<dyn Collector>> = vec![
        Box::new(samples),
        Box::new(tried),
        Box::new(written.openmetrics()),
        Box::new(BuildInfo::new("api", "1")),
    ];
    #[cfg(feature = "process")]
    collectors.push(Box::new(ProcessCollector::new()));
    #[cfg(feature = "runtime")]
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    #[cfg(feature = "runtime")]
    collectors.push(Box::new(RuntimeCollector::new(runtime.handle()).named(RuntimeCollector::DEFAULT_NAME)));
    let registry = Registry::new();
    for collector in collectors {
        registry.register(collector).unwrap();
    }
    let gathered = registry.gather();
    for kind in
        ["total", "gauge", "info", "untyped", "histogram", "summary", "tried", "written", "build_info"]
    {
        assert!(gathered.iter().any(|family| family.name() == format!("api_{kind}")), "{kind}");
    }
}

/// The tests of each feature check what these options do.
#[test]
fn bind_checks_the_options_of_features() {
    let builder = Server::builder().listen_unix("/absent/metrics.sock");
    #[cfg(unix)]
    let _: fn(Builder, std::os::unix::net::UnixListener) -> Builder = Builder::unix_listener;
    #[cfg(feature = "auth")]
    let builder = builder.basic_auth("user", "no hash").bearer_token("token");
    #[cfg(feature = "systemd")]
    let builder = builder.listen_systemd();
    #[cfg(feature = "tls")]
    let _: fn(Builder, Arc<prometheus_hyper::rustls::ServerConfig>) -> Builder = Builder::tls_config;
    #[cfg(feature = "tls")]
    let builder = builder.tls_files("/absent/cert.pem", "/absent/key.pem").tls_client_ca("/absent/ca.pem");
    #[cfg(feature = "web-config")]
    let builder = builder.web_config("/absent/web.yml");
    #[cfg(feature = "cli")]
    let builder = builder.web_args(&WebArgs::default());
    let error = builder.bind().unwrap_err().to_string();
    assert!(!cfg!(feature = "auth") || error.contains("basic_auth"), "{error}");
}

/// Owned, borrowed, shared, or in a static.
#[test]
fn registry_may_be_owned_borrowed_shared_or_static() {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);
    let (owned, shared) = (Registry::new(), Arc::new(Registry::new()));
    let builder = Server::builder().registry(&owned).registry(&shared).registry(&REGISTRY);
    let names = ["owned_total", "shared_total", "static_total"];
    for (registry, name) in [&owned, &*shared, &*REGISTRY].into_iter().zip(names) {
        registry.register(Box::new(IntCounter::new(name, "help").unwrap())).unwrap();
    }
    let guard = builder.registry(Arc::clone(&shared)).registry(owned).listen("127.0.0.1:0").start().unwrap();
    let answer = get(guard.local_addr().unwrap(), "/metrics");
    for name in names {
        assert_eq!(answer.sample(name), Some(0.0), "{name}");
    }
}

#[test]
fn futures_are_send_if_their_arguments_are() {
    fn assert_send<T: Send>(_: &T) {}
    let registry = Arc::new(Registry::new());
    assert_send(&prometheus_hyper::run(Arc::clone(&registry), ([127, 0, 0, 1], 0), std::future::pending()));
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    assert_send(&Server::run(registry, addr, std::future::pending()));
    let server = Server::builder().listen("127.0.0.1:0").bind().unwrap();
    assert_eq!(server.local_addr(), server.local_addrs().first().copied());
    assert_send(&server.serve(std::future::pending()));
    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    assert_send(&guard.stopped());
    assert_send(&guard.shutdown_after_scrape(None));
    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    assert_send(&guard.shutdown());
    #[cfg(feature = "signal")]
    assert_send(&prometheus_hyper::shutdown_signal());
}

/// Regression: the future captured the borrow, although the registry is cloned at once. `spawn` did not
/// compile.
#[tokio::test]
async fn run_borrows_registry_and_address_only_for_the_call() {
    struct Address<'a>(&'a str);
    impl From<Address<'_>> for SocketAddr {
        fn from(address: Address<'_>) -> Self {
            address.0.parse().unwrap()
        }
    }
    let registry = Registry::new();
    let text = "127.0.0.1:0".to_owned();
    let run: Run<_> = prometheus_hyper::run(&registry, Address(&text), std::future::ready(()));
    let one = tokio::spawn(run);
    let two = tokio::spawn(Server::run(&registry, Address(&text), std::future::ready(())));
    drop((registry, text));
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
}

#[test]
fn start_serves_metrics_registered_before_and_after_it() {
    let before = register_int_counter!("api_before_total", "help").unwrap();
    let guard = prometheus_hyper::start("127.0.0.1:0").unwrap();
    let after = register_int_counter!("api_after_total", "help").unwrap();
    before.inc_by(2);
    after.inc_by(3);
    let answer = get(guard.local_addr().unwrap(), "/metrics");
    assert_eq!(answer.sample("api_before_total"), Some(2.0));
    assert_eq!(answer.sample("api_after_total"), Some(3.0));
    assert_eq!(
        prometheus_hyper::default_registry().gather().len(),
        prometheus_hyper::prometheus::gather().len(),
        "the macros register in the default registry"
    );
}

#[test]
fn registry_fn_has_the_type_of_0_2() {
    let registry = Registry::new();
    let register: RegistryFn =
        Box::new(|registry| registry.register(Box::new(IntCounter::new("m", "help").unwrap())));
    register(&registry).unwrap();
    assert_eq!(registry.gather().len(), 1);
}

#[test]
fn one_server_serves_several_registries_and_addresses() {
    let (one, two) = (Registry::new(), Registry::new());
    one.register(Box::new(IntCounter::new("one_total", "help").unwrap())).unwrap();
    two.register(Box::new(IntCounter::new("two_total", "help").unwrap())).unwrap();
    let guard = Server::builder()
        .registry(&one)
        .registry(&two)
        .listen("127.0.0.1:0")
        .listen("[::1]:0")
        .metrics_path("/m")
        .bind()
        .unwrap()
        .start()
        .unwrap();
    assert_eq!(guard.local_addrs().len(), 2);
    for addr in guard.local_addrs() {
        assert_ne!(addr.port(), 0);
        let answer = get(*addr, "/m");
        assert_eq!(answer.status, 200, "{addr}");
        assert_eq!(answer.sample("one_total"), Some(0.0), "{addr}");
        assert_eq!(answer.sample("two_total"), Some(0.0), "{addr}");
    }
    let [v4, v6] = guard.local_addrs() else { unreachable!() };
    assert_eq!(guard.to_string(), format!("http://127.0.0.1:{}/m, http://[::1]:{}/m", v4.port(), v6.port()));
}

#[test]
fn guard_shows_an_unspecified_address_as_localhost() {
    for addr in ["0.0.0.0:0", "[::]:0"] {
        let guard = prometheus_hyper::start(addr).unwrap();
        let port = guard.local_addr().unwrap().port();
        assert_eq!(guard.to_string(), format!("http://localhost:{port}/metrics"), "{addr}");
    }
}

#[test]
fn bind_rejects_invalid_value_and_names_the_option() {
    let sound = || Server::builder().listen("127.0.0.1:0");
    let table: Vec<(Builder, &str)> = vec![
        (Server::builder(), "listen"),
        (Server::builder().listen(&[] as &[SocketAddr]), "listen"),
        (sound().metrics_path("metrics"), "metrics_path"),
        (sound().metrics_path("/metrics?x"), "metrics_path"),
        (sound().metrics_path("/-/healthy"), "metrics_path"),
        (sound().max_connections(0), "max_connections"),
        (sound().max_requests(0), "max_requests"),
        (sound().max_probes(0), "max_probes"),
        (sound().max_unsent(0), "max_unsent"),
        (sound().drain_timeout(Duration::ZERO), "drain_timeout"),
        (sound().scrape_timeout_margin(Duration::ZERO), "scrape_timeout_margin"),
        (sound().unix_socket_mode(0o1000), "unix_socket_mode"),
        (sound().metrics_path("/m").probe("/m", |_| async { Ok(Registry::new()) }), "probe"),
        (sound().head_timeout(Duration::ZERO), "head_timeout"),
        (sound().idle_timeout(Duration::ZERO), "idle_timeout"),
        (sound().write_timeout(Duration::ZERO), "write_timeout"),
        (sound().scrape_timeout(Duration::ZERO), "scrape_timeout"),
        (sound().max_scrape_timeout(Duration::ZERO), "max_scrape_timeout"),
    ];
    for (builder, option) in table {
        let shown = format!("{builder:?}");
        let error = builder.bind().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{option}: {shown}");
        assert!(error.to_string().starts_with(option), "{option}: {error}");
    }
    for never in [None, Some(Duration::MAX)] {
        let guard = sound()
            .head_timeout(never)
            .idle_timeout(never)
            .write_timeout(never)
            .drain_timeout(never)
            .scrape_timeout(never)
            .max_scrape_timeout(never)
            .scrape_timeout_margin(never)
            .max_connections(None)
            .max_requests(None)
            .max_probes(None)
            .max_unsent(None)
            .start()
            .unwrap();
        assert_eq!(get(guard.local_addr().unwrap(), "/metrics").status, 200);
        guard.shutdown_blocking();
    }
}

#[test]
fn bind_reports_each_invalid_option_on_a_line() {
    let builder = Server::builder()
        .metrics_path("metrics")
        .head_timeout(Duration::ZERO)
        .idle_timeout(Duration::ZERO)
        .idle_timeout(None)
        .allow_network("10.0.0.0/33")
        .allow_network("x")
        .before_scrape("h", |_| async { Ok(()) })
        .before_scrape("h", |_| async { Ok(()) })
        .probe("/-/ready", |_| async { Ok(Registry::new()) });
    let error = builder.bind().unwrap_err().to_string();
    let options: Vec<&str> = error.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let expected = [
        "metrics_path",
        "head_timeout",
        "allow_network",
        "allow_network",
        "probe",
        "listen",
        "before_scrape",
    ];
    assert_eq!(options, expected, "{error}");
}

#[test]
fn bind_names_address_in_use_and_keeps_the_error_kind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = prometheus_hyper::start(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn listen_binds_the_first_available_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addrs = [taken.local_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], 0))];
    let guard = prometheus_hyper::start(&addrs[..]).unwrap();
    assert_eq!(guard.local_addrs().len(), 1);
    assert_eq!(get(guard.local_addr().unwrap(), "/metrics").status, 200);
}

#[tokio::test]
async fn shutdown_future_may_borrow_and_need_not_be_send() {
    let notify = Notify::new();
    let unsendable = std::rc::Rc::new(());
    let shutdown = async {
        notify.notified().await;
        drop(unsendable);
    };
    let registry = Registry::new();
    let served = prometheus_hyper::run(&registry, ([127, 0, 0, 1], 0), shutdown);
    let (served, ()) = tokio::join!(served, async { notify.notify_one() });
    served.unwrap();
}
