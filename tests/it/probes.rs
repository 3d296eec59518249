//! Targets that are probed while a scrape waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, IntCounter, Registry};
use prometheus_hyper::{Builder, Guard, ProbeError, ProbeRequest, Server};

use crate::support::client::{Answer, Client, PATIENCE, ask_and_be_heard, get};
use crate::support::server::patient;

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

/// What came of the probes at `/probe`, as the metrics tell.
fn outcomes(addr: SocketAddr, outcome: &str) -> f64 {
    let series = format!("prometheus_exporter_probes_total{{outcome=\"{outcome}\",path=\"/probe\"}}");
    get(addr, "/metrics").sample(&series).unwrap()
}

/// Waits until the metrics tell so.
fn await_outcomes(addr: SocketAddr, outcome: &str, count: f64) {
    let begun = Instant::now();
    while outcomes(addr, outcome) < count {
        assert!(begun.elapsed() < PATIENCE, "no {outcome}");
        std::thread::yield_now();
    }
}

/// A value by what the target is called.
async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let registry = Registry::new();
    match probe.target()? {
        "well" => gauge(&registry, "found", 7.0),
        "deadline" => gauge(&registry, "left", probe.deadline().duration_since(Instant::now()).as_secs_f64()),
        "knows better" => gauge(&registry, "probe_success", 0.0),
        "odd" => Err("it is odd")?,
        "away" => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
        "hangs" => std::future::pending().await,
        "panics" => panic!("this panic is the test's"),
        "panics in collect" => registry.register(Box::new(Panics(IntCounter::new("n", "help")?)))?,
        other => return Err(ProbeError::bad_request(format!("unknown target {other:?}"))),
    }
    Ok(registry)
}

struct Panics(IntCounter);

impl Collector for Panics {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        panic!("this panic is the test's")
    }
}

#[test]
fn probe_outcomes_have_their_answers() {
    let (_guard, addr) = start(Server::builder().probe("/probe", probe));
    let timeout = "X-Prometheus-Scrape-Timeout-Seconds: 1\r\n";
    // What is asked for, the header; the status, `probe_success`, the outcome that is counted.
    let table: &[(&str, &str, u16, Option<f64>, &str)] = &[
        ("?target=well", "", 200, Some(1.0), "success"),
        ("?target=odd", "", 200, Some(0.0), "failure"),
        ("?target=away", "", 200, Some(0.0), "failure"),
        ("?target=hangs", timeout, 200, Some(0.0), "timeout"),
        ("?target=panics", "", 200, Some(0.0), "panic"),
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
    assert_eq!(get(addr, "/probe").body, "Target parameter is missing\n");
    let well = get(addr, "/probe?target=well&target=odd");
    assert_eq!(well.sample("found"), Some(7.0), "the first target counts");
    let count =
        get(addr, "/metrics").sample("prometheus_exporter_probe_duration_seconds_count{path=\"/probe\"}");
    let begun = table.iter().filter(|row| row.2 == 200).count();
    assert_eq!(count, Some(begun as f64 + 1.0), "each that was begun is in the histogram");
}

#[test]
fn a_probe_knows_what_was_asked_for_and_by_when() {
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
    assert!((30.0..=59.5).contains(&left), "{left} s of 60 s less half a second");
}

#[test]
fn probe_negotiates_formats_codings_and_names_as_metrics() {
    let (_guard, addr) = start(Server::builder().openmetrics(true).probe("/probe", probe));
    let ask = |query: &str, headers: &str| -> Answer {
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
    // A small body is sent as it is; the long one is of a name that takes more than a kibibyte.
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

/// Tells when it begins, and when it is dropped.
struct Watched(mpsc::Sender<&'static str>);

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// With a probe that never ends by itself, and tells when it begins and when it is dropped.
pub(crate) fn with_endless(builder: Builder) -> (Builder, mpsc::Receiver<&'static str>) {
    let (tell, told) = mpsc::channel();
    let builder = builder.scrape_timeout(Duration::from_secs(3600)).max_scrape_timeout(Duration::MAX);
    let builder = builder.probe("/probe", move |_| {
        let watched = Watched(tell.clone());
        let _ = watched.0.send("begun");
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

/// Whoever leaves closes his side; nobody else waits for what a probe finds.
#[test]
fn a_probe_ends_when_its_client_goes() {
    let (_guard, addr, told) = endless(Server::builder());
    let mut client = Client::connect(addr);
    client.send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    drop(client);
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    await_outcomes(addr, "cancelled", 1.0);
}

/// The same with the end of its sending side only, as Go's server has it.
#[test]
fn a_probe_ends_when_its_client_closes_its_side() {
    let (_guard, addr, told) = endless(Server::builder());
    let mut client = Client::connect(addr);
    client.send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    client.half_close();
    assert_eq!(client.closed(), "");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

#[test]
fn probe_above_the_limit_is_a_503_until_one_ends() {
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
    // A task tells of its end a moment before its place is free.
    let begun = Instant::now();
    loop {
        let mut client = Client::connect(addr);
        client.send("GET /probe HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n\r\n");
        if client.answer(false).status == 200 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no place is free");
    }
}

/// Nobody waits for it any more, and no stop does beyond the drain limit.
#[test]
fn a_stop_ends_a_probe_at_the_drain_limit() {
    let (guard, addr, told) = endless(Server::builder().drain_timeout(Duration::from_millis(50)));
    let _client = ask_and_be_heard(addr, "/probe", "");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
    guard.shutdown_blocking();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
}

/// The metrics are for all, and a client that half-closes waits for them.
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
    assert_eq!(get(addr, "/-/healthy").status, 200, "the server has had time to see that");
    gate.add_permits(1);
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(client.closed(), "", "and there is nothing more to wait for");
}

/// A collector of a probe's registry that blocks keeps neither the metrics nor other probes from anybody.
#[test]
fn a_registry_that_blocks_costs_its_own_probe() {
    struct Blocks(IntCounter, std::sync::Mutex<mpsc::Receiver<()>>);
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
    let closed = std::sync::Mutex::new(Some(closed));
    let (_guard, addr) = start(Server::builder().probe("/probe", move |_| {
        let closed = closed.lock().unwrap().take();
        async move {
            let registry = Registry::new();
            if let Some(closed) = closed {
                let blocks = Blocks(IntCounter::new("n", "help")?, std::sync::Mutex::new(closed));
                registry.register(Box::new(blocks))?;
            }
            Ok(registry)
        }
    }));
    let ask = |timeout: &str| {
        let mut client = Client::connect(addr);
        let header = format!("X-Prometheus-Scrape-Timeout-Seconds: {timeout}");
        client.send(format!("GET /probe HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"));
        client.answer(false).sample("probe_success")
    };
    assert_eq!((ask("0.5"), ask("60")), (Some(0.0), Some(1.0)), "one that blocks, and another beside it");
    assert_eq!(outcomes(addr, "timeout"), 1.0);
    drop(gate);
    assert_eq!(ask("60"), Some(1.0));
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
        (at("/metrics"), "probe: \"/metrics\" is taken"),
        (at("/m").metrics_path("/m"), "probe: \"/m\" is taken"),
        (at("/probe").probe("/probe", probe), "probe: \"/probe\" is taken"),
        (at("/probe").max_probes(0), "max_probes: "),
    ];
    for (builder, sentence) in table {
        let error = builder.bind().unwrap_err();
        assert!(error.to_string().starts_with(sentence), "{error} is not {sentence}");
    }
    at("/probe").max_probes(usize::MAX).bind().unwrap();
}

/// As a hook's: its sockets and timers belong to the host's runtime.
#[test]
fn probes_run_where_hooks_do() {
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
    // Where that runtime is gone, the probe fails.
    drop(runtime);
    assert_eq!(get(addr, "/probe").sample("probe_success"), Some(0.0));
    drop(guard);
}
