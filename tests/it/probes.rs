//! Tests probes, which examine a target during a scrape.

use std::net::SocketAddr;
use std::panic::panic_any;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, IntCounter, Registry};
use prometheus_hyper::{Builder, Guard, ProbeError, ProbeRequest, Server};

use crate::support::client::{Client, PATIENCE, Response, ask_and_be_heard, get, wait_for};
use crate::support::collectors::OnDrop;
use crate::support::server::patient;
use crate::support::watched::Watched;

fn start(builder: Builder) -> (Guard, SocketAddr) {
    let guard = builder.registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

fn gauge(registry: &Registry, name: &str, value: f64) {
    let gauge = Gauge::new(name, "help").unwrap();
    gauge.set(value);
    registry.register(Box::new(gauge)).unwrap();
}

/// Returns how many probes at `/probe` had this outcome, according to the metrics.
fn outcomes(addr: SocketAddr, outcome: &str) -> f64 {
    let series = format!("prometheus_exporter_probes_total{{outcome=\"{outcome}\",path=\"/probe\"}}");
    get(addr, "/metrics").sample(&series).unwrap()
}

/// Waits until the metrics have this count.
fn await_outcomes(addr: SocketAddr, outcome: &str, count: f64) {
    let begun = Instant::now();
    while outcomes(addr, outcome) < count {
        assert!(begun.elapsed() < PATIENCE, "no {outcome}");
        std::thread::yield_now();
    }
}

/// Behaves as the name of its target says.
async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let registry = Registry::new();
    match probe.target()? {
        "well" => gauge(&registry, "found", 7.0),
        "deadline" => gauge(&registry, "left", probe.deadline().duration_since(Instant::now()).as_secs_f64()),
        "knows better" => gauge(&registry, "probe_success", 0.0),
        "odd" => Err("it is odd")?,
        "away" => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
        "hangs" => std::future::pending().await,
        "panics" => panic!("expected panic of this test"),
        "panics twice" => panic_any(PanicsOnDrop),
        "panics in collect" => registry.register(Box::new(Panics(IntCounter::new("n", "help")?)))?,
        other => return Err(ProbeError::bad_request(format!("unknown target {other:?}"))),
    }
    Ok(registry)
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("expected panic of this test");
    }
}

struct Panics(IntCounter);

impl Collector for Panics {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        panic!("expected panic of this test")
    }
}

#[test]
fn each_probe_outcome_has_its_response() {
    let (_guard, addr) = start(Server::builder().probe("/probe", probe));
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 1\r\n";
    // Query, header, status, `probe_success`, the counted outcome.
    let table: &[(&str, &str, u16, Option<f64>, &str)] = &[
        ("?target=well", "", 200, Some(1.0), "success"),
        ("?target=odd", "", 200, Some(0.0), "failure"),
        ("?target=away", "", 200, Some(0.0), "failure"),
        ("?target=hangs", timeout, 200, Some(0.0), "timeout"),
        ("?target=panics", "", 200, Some(0.0), "panic"),
        // The client got no response.
        ("?target=panics+twice", "", 200, Some(0.0), "panic"),
        ("?target=panics+in%20collect", "", 200, Some(0.0), "panic"),
        ("?target=knows%20better", "", 200, Some(0.0), "success"),
        ("", "", 400, None, "bad_request"),
        ("?target=", "", 400, None, "bad_request"),
        ("?target", "", 400, None, "bad_request"),
        ("?target=%zz", "", 400, None, "bad_request"),
        ("?target=%ff", "", 400, None, "bad_request"),
        ("?target=well&name[]=%zz", "", 400, None, "bad_request"),
        ("?target=%3Cscript%3E", "", 400, None, "bad_request"),
    ];
    for (query, header, status, success, outcome) in table {
        let before = outcomes(addr, outcome);
        let mut client = Client::connect(addr);
        client.send(format!("GET /probe{query} HTTP/1.1\r\nHost: x\r\n{header}\r\n"));
        let answer = client.answer(false);
        assert_eq!(
            (answer.status, answer.sample("probe_success")),
            (*status, *success),
            "{query}: {answer:?}"
        );
        assert_eq!(outcomes(addr, outcome), before + 1.0, "{query}");
        assert!(!answer.body.contains("prometheus_exporter"), "{query}: {}", answer.body);
        if *status == 200 {
            assert!(answer.sample("probe_duration_seconds") >= Some(0.0), "{query}: {}", answer.body);
        }
    }
    assert_eq!(get(addr, "/probe").body, "parameter target is missing: use ?target=NAME\n");
    let well = get(addr, "/probe?target=well&target=odd");
    assert_eq!(well.sample("found"), Some(7.0), "the first target counts");
    let count =
        get(addr, "/metrics").sample("prometheus_exporter_probe_duration_seconds_count{path=\"/probe\"}");
    let begun = table.iter().filter(|row| row.2 == 200).count();
    assert_eq!(count, Some(begun as f64 + 1.0), "the histogram counts each started probe");
}

#[test]
fn probe_gets_its_parameters_and_deadline() {
    let (_guard, addr) = start(Server::builder().probe("/probe", |probe: ProbeRequest| async move {
        let registry = Registry::new();
        let module = probe.param("module").unwrap_or("none").to_owned();
        let info = prometheus_hyper::prometheus::opts!("module_info", "help").const_label("module", module);
        registry.register(Box::new(Gauge::with_opts(info)?))?;
        gauge(&registry, "left", probe.deadline().duration_since(Instant::now()).as_secs_f64());
        Ok(registry)
    }));
    let mut client = Client::connect(addr);
    client.send(
        "GET /probe?module=a%26b+c HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n",
    );
    let answer = client.answer(false);
    assert_eq!(answer.sample("module_info{module=\"a&b c\"}"), Some(0.0), "{}", answer.body);
    let left = answer.sample("left").unwrap();
    assert!((30.0..=59.5).contains(&left), "{left} s left of 60 s minus the margin of half a second");
}

#[test]
fn probe_negotiates_format_coding_and_filter_as_metrics() {
    let (_guard, addr) = start(Server::builder().openmetrics(true).probe("/probe", probe));
    let ask = |query: &str, headers: &str| -> Response {
        let mut client = Client::connect(addr);
        client.send(format!("GET /probe?target=well{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
        client.answer(false)
    };
    let open = ask("", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{open:?}");
    assert!(open.body.ends_with("# EOF\n"), "{open:?}");
    let some = ask("&name[]=probe_success", "");
    assert_eq!((some.sample("probe_success"), some.sample("found")), (Some(1.0), None));
    assert_eq!(some.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(ask("&name[]=%zz", "").status, 400);
    // A small body is not compressed. This name takes more than a kibibyte.
    let (_guard, addr) = start(Server::builder().probe("/probe", |_| async {
        let registry = Registry::new();
        gauge(&registry, &"long".repeat(500), 1.0);
        Ok(registry)
    }));
    let mut client = Client::connect(addr);
    client.send("GET /probe HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = client.head();
    let body = client.body_bytes(&head);
    let gzip = cfg!(feature = "gzip").then_some("gzip");
    assert_eq!(head.header("content-encoding"), gzip);
    assert_eq!(body.starts_with(b"\x1f\x8b"), gzip.is_some());
    client.send("HEAD /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer(true).status, 200);
}

/// Adds a probe that never ends by itself. It reports when it starts, and when it is dropped.
pub(crate) fn with_endless(builder: Builder) -> (Builder, mpsc::Receiver<&'static str>) {
    let (tell, told) = mpsc::channel();
    let builder = builder.scrape_timeout(Duration::from_secs(3600)).max_scrape_timeout(Duration::MAX);
    let builder = builder.probe("/probe", move |_| {
        let watched = Watched::begin(&tell);
        async move {
            let _watched = watched;
            std::future::pending().await
        }
    });
    (builder, told)
}

fn endless(builder: Builder) -> (Guard, SocketAddr, mpsc::Receiver<&'static str>) {
    let (builder, told) = with_endless(builder);
    let (guard, addr) = start(builder);
    (guard, addr, told)
}

/// A client that gives up closes its connection. No other client waits for its probe.
#[test]
fn probe_ends_when_its_client_disconnects() {
    let (_guard, addr, told) = endless(Server::builder());
    let mut client = Client::connect(addr);
    client.send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    drop(client);
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    await_outcomes(addr, "cancelled", 1.0);
}

/// Go's server also ends a request when the client closes only its sending side.
#[test]
fn probe_ends_when_its_client_half_closes() {
    let (_guard, addr, told) = endless(Server::builder());
    let mut client = Client::connect(addr);
    client.send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    client.half_close();
    assert_eq!(client.closed(), "");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

#[test]
fn probe_above_the_limit_is_503_until_another_ends() {
    let (_guard, addr, told) = endless(Server::builder().max_probes(2));
    let clients = [(); 2].map(|()| ask_and_be_heard(addr, "/probe", ""));
    for _ in &clients {
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    }
    let busy = get(addr, "/probe");
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert_eq!(outcomes(addr, "rejected"), 1.0);
    drop(clients);
    for _ in 0..2 {
        assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    }
    // The probe is dropped slightly before its permit is released.
    let begun = Instant::now();
    loop {
        let mut client = Client::connect(addr);
        client.send("GET /probe HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n\r\n");
        if client.answer(false).status == 200 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no permit is free");
    }
}

/// The client does not get the result, and the stop does not wait beyond the drain timeout.
#[test]
fn stop_cancels_a_probe_at_the_drain_timeout() {
    let (guard, addr, told) = endless(Server::builder().drain_timeout(Duration::from_millis(50)));
    let _client = ask_and_be_heard(addr, "/probe", "");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    guard.shutdown_blocking();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

/// A gather is shared, so unlike a probe it does not end when one client half-closes.
#[test]
fn half_closed_client_waiting_for_metrics_gets_whole_body() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (_guard, addr) = start(patient(Server::builder()).before_scrape("slow", move |_| {
        let gate = Arc::clone(&opened);
        async move {
            let _permit = gate.acquire().await?;
            Ok(())
        }
    }));
    let mut client = ask_and_be_heard(addr, "/metrics", "");
    client.half_close();
    assert_eq!(get(addr, "/-/healthy").status, 200, "the server has had time to see the half-close");
    gate.add_permits(1);
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(client.closed(), "", "the connection is closed after the response");
}

/// Adds a probe whose first registry has this collector. The other registries are empty.
fn with_collector_in_first(builder: Builder, collector: impl Collector + 'static) -> Builder {
    let collector = Mutex::new(Some(Box::new(collector)));
    builder.probe("/probe", move |_| {
        let collector = collector.lock().unwrap().take();
        async move {
            let registry = Registry::new();
            if let Some(collector) = collector {
                registry.register(collector)?;
            }
            Ok(registry)
        }
    })
}

/// A blocking collector in a probe's registry blocks neither the metrics nor other probes.
#[test]
fn blocking_registry_of_a_probe_blocks_only_that_probe() {
    struct Blocks(IntCounter, Mutex<mpsc::Receiver<()>>);
    impl Collector for Blocks {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }
        fn collect(&self) -> Vec<MetricFamily> {
            let _ = self.1.lock().unwrap().recv();
            Vec::new()
        }
    }
    let (gate, closed) = mpsc::channel();
    let blocks = Blocks(IntCounter::new("n", "help").unwrap(), Mutex::new(closed));
    let (_guard, addr) = start(with_collector_in_first(Server::builder(), blocks));
    let ask = |timeout: &str| {
        let mut client = Client::connect(addr);
        let header = format!("X-Prometheus-Scrape-Timeout-Seconds: {timeout}");
        client.send(format!("GET /probe HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"));
        client.answer(false).sample("probe_success")
    };
    assert_eq!((ask("0.5"), ask("60")), (Some(0.0), Some(1.0)), "a blocked probe, and another one during it");
    assert_eq!(outcomes(addr, "timeout"), 1.0);
    drop(gate);
    assert_eq!(ask("60"), Some(1.0));
}

/// Otherwise each scrape of a target whose collector hangs in its drop would cost one more thread.
#[test]
fn probe_holds_its_permit_until_its_registry_is_dropped() {
    let (gate, closed) = mpsc::channel::<()>();
    let closed = Mutex::new(closed);
    let hangs = OnDrop::new(move || {
        let _ = closed.lock().unwrap().recv();
    });
    let builder = patient(Server::builder()).max_probes(1);
    let (_guard, addr) = start(with_collector_in_first(builder, hangs));
    assert_eq!(get(addr, "/probe").status, 200);
    assert_eq!(get(addr, "/probe").status, 503, "the first registry is not dropped yet");
    drop(gate);
    wait_for("a permit", || get(addr, "/probe").status == 200);
}

#[test]
fn skipped_samples_of_probes_are_counted() {
    use prometheus_hyper::collector::{Samples, from_fn};
    let (_guard, addr) = start(Server::builder().probe("/probe", |_| async {
        let registry = Registry::new();
        registry.register(Box::new(from_fn(|s: &mut Samples| {
            s.gauge("of a probe", "help", &[], 1.0);
        })))?;
        Ok(registry)
    }));
    for _ in 0..5 {
        assert_eq!(get(addr, "/probe").sample("probe_success"), Some(1.0));
    }
    let count = get(addr, "/metrics").sample("prometheus_exporter_errors_total{cause=\"skipped\"}");
    assert_eq!(count, Some(5.0));
}

#[test]
fn bind_rejects_invalid_values() {
    let at = |path: &str| Server::builder().listen("127.0.0.1:0").probe(path, probe);
    let table = [
        (at("probe"), "probe: \"probe\""),
        (at("/probe?x"), "probe: \"/probe?x\""),
        (at("/-/ready"), "probe: \"/-/ready\""),
        (at("/metrics"), "probe: \"/metrics\" is the path of the metrics or of another probe"),
        (at("/m").metrics_path("/m"), "probe: \"/m\" is the path"),
        (at("/probe").probe("/probe", probe), "probe: \"/probe\" is the path"),
        (at("/probe").max_probes(0), "max_probes: "),
    ];
    for (builder, sentence) in table {
        let error = builder.bind().unwrap_err();
        assert!(error.to_string().starts_with(sentence), "{error} is not {sentence}");
    }
    at("/probe").max_probes(usize::MAX).bind().unwrap();
}

/// As for hooks: their sockets and timers belong to the host program's runtime.
#[test]
fn probes_run_on_the_runtime_of_bind() {
    let runtime = crate::support::runtime::current_thread();
    let (tell, told) = mpsc::channel();
    let (guard, addr) = runtime.block_on(async {
        start(Server::builder().probe("/probe", move |_| {
            let tell = tell.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                tell.send(std::thread::current().id())?;
                Ok(Registry::new())
            }
        }))
    });
    let asking = std::thread::spawn(move || get(addr, "/probe"));
    runtime.block_on(async {
        while !asking.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(asking.join().unwrap().sample("probe_success"), Some(1.0));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(std::thread::current().id()));
    // Without that runtime, the probe fails.
    drop(runtime);
    assert_eq!(get(addr, "/probe").sample("probe_success"), Some(0.0));
    drop(guard);
}
