//! Tests scrapes: coalescing, timeouts, isolation of registries, filters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_hyper::Server;
use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::support::client::{Client, PATIENCE, Response, ask, ask_and_be_heard, get, wait_for};
use crate::support::collectors::{Gated, Moody};
use crate::support::log::{Log, logged, logged_to};
use crate::support::server::{patient, start};

fn scrape(addr: SocketAddr, path: &str, headers: &str) -> Response {
    ask(addr, path, headers).answer(false)
}

#[test]
fn hundred_scrapes_in_five_representations_gather_twice() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (_guard, addr) = start(patient(Server::builder().registry(&registry).openmetrics(true)));
    let forms = [
        "Accept: text/plain;version=0.0.4\r\n",
        "Accept: application/openmetrics-text;version=1.0.0\r\n",
        "Accept-Encoding: gzip\r\n",
        "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n",
        "Accept: text/plain;version=1.0.0;escaping=allow-utf-8\r\n",
    ];
    let mut clients: Vec<Client> =
        (0..100).map(|n| ask_and_be_heard(addr, "/metrics", forms[n % forms.len()])).collect();
    gated.wait_for_gathers(1);
    gated.open();
    for (n, client) in clients.iter_mut().enumerate() {
        let head = client.head();
        assert_eq!(head.status, 200, "{}: {head:?}", forms[n % forms.len()]);
        client.body_bytes(&head);
    }
    assert!(gated.gathers() <= 2, "{} gathers", gated.gathers());
}

#[test]
fn different_filters_need_no_more_gathers() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (_guard, addr) = start(patient(Server::builder().registry(&registry).self_metrics(false)));
    let mut filtered: Vec<Client> = (0..126)
        .map(|n| ask_and_be_heard(addr, &format!("/metrics?name[]=x{n}&name%5B%5D=gathers"), ""))
        .collect();
    let mut prometheus = ask_and_be_heard(addr, "/metrics", "");
    gated.wait_for_gathers(1);
    gated.open();
    assert!(prometheus.answer(false).sample("gathers") <= Some(2.0));
    for client in &mut filtered {
        assert!(client.answer(false).sample("gathers") <= Some(2.0));
    }
    assert!(gated.gathers() <= 2, "{} gathers", gated.gathers());
}

#[test]
fn stalled_clients_do_not_delay_a_new_gather() {
    let registry = Registry::new();
    let _gated = Gated::register(&registry, true);
    // Larger than the socket buffers of a client that does not read.
    let large = IntCounterVec::new(Opts::new("large_total", "help"), &["label"]).unwrap();
    for n in 0..64 {
        large.with_label_values(&[&format!("{n}{}", "x".repeat(256 * 1024))]).inc();
    }
    registry.register(Box::new(large)).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry));
    let mut stalls: Vec<Client> = (0..4).map(|_| ask(addr, "/metrics", "")).collect();
    for client in &mut stalls {
        assert_eq!(client.head().status, 200); // the body stays unread
    }
    let gathers = || scrape(addr, "/metrics?name[]=gathers", "").sample("gathers").unwrap();
    let (first, second) = (gathers(), gathers());
    assert!(second > first, "{second} after {first}");
}

#[test]
fn hanging_collector_costs_one_thread_and_timely_503s() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (guard, addr) = start(Server::builder().registry(&registry));
    // A scrape with a long timeout, so that the gather starts even on a busy machine.
    let patient = format!("X-Prometheus-Scrape-Timeout-Seconds: {}\r\n", 2 * PATIENCE.as_secs());
    let mut patient = ask(addr, "/metrics", &patient);
    gated.wait_for_gathers(1);
    for _ in 0..3 {
        let answer = scrape(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.2\r\n");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    }
    for path in ["/", "/-/healthy"] {
        assert_eq!(get(addr, path).status, 200, "{path}");
    }
    assert_eq!(gated.gathers(), 1, "later scrapes start no second gather");

    gated.open();
    assert_eq!(patient.answer(false).status, 200);
    let answer = scrape(addr, "/metrics", "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"timeout\"}"), Some(3.0));
    guard.shutdown_blocking();
}

/// Regression: when a client with a short timeout gave up, the gather was discarded. Joined clients got a
/// 503.
#[test]
fn gather_serves_joined_clients_after_the_first_gives_up() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let (_guard, addr) = start(Server::builder().registry(&registry));
    let impatient = || scrape(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n").status;
    assert_eq!(impatient(), 503);
    // A client may give up before its gather starts.
    while gated.gathers() == 0 {
        assert_eq!(impatient(), 503);
    }
    let mut prometheus = ask_and_be_heard(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 60\r\n");
    gated.open();
    assert_eq!(prometheus.answer(false).sample("gathers"), Some(1.0));
}

/// Regression: each selection of eight registries started a gather, and an honest scrape waited for all of
/// them.
#[test]
fn different_selections_need_no_more_gathers() {
    let registries = [(); 8].map(|()| Registry::new());
    let counting = registries.each_ref().map(|registry| Gated::register(registry, true));
    let first = Registry::new();
    let gated = Gated::register(&first, false);
    let mut builder =
        Server::builder().registry_named("first", &first).self_metrics(false).scrape_timeout(2 * PATIENCE);
    for (n, registry) in registries.iter().enumerate() {
        let counter = IntCounter::new(format!("r{n}_total"), "help").unwrap();
        registry.register(Box::new(counter)).unwrap();
        builder = builder.registry_named(n.to_string(), registry);
    }
    let (_guard, addr) = start(builder);
    // The other clients arrive during this gather.
    let mut first = ask_and_be_heard(addr, "/metrics?registry[]=first", "");
    gated.wait_for_gathers(1);
    let has = |bits: usize, n: usize| bits >> n & 1 == 1;
    let mut parts: Vec<(usize, Client)> = (1..=100)
        .map(|bits| {
            let query: Vec<String> =
                (0..8).filter(|n| has(bits, *n)).map(|n| format!("registry[]={n}")).collect();
            (bits, ask_and_be_heard(addr, &format!("/metrics?{}", query.join("&")), ""))
        })
        .collect();
    let mut prometheus = ask_and_be_heard(addr, "/metrics", "");
    gated.open();
    assert_eq!(first.answer(false).sample("gathers"), Some(1.0));
    let answer = prometheus.answer(false);
    assert_eq!(answer.status, 200);
    assert!((0..8).all(|n| answer.sample(&format!("r{n}_total")).is_some()), "{answer:?}");
    for (bits, client) in &mut parts {
        let answer = client.answer(false);
        assert_eq!(answer.status, 200, "{bits:b}");
        for n in 0..8 {
            assert_eq!(answer.sample(&format!("r{n}_total")).is_some(), has(*bits, n), "{n} of {bits:b}");
        }
    }
    assert_eq!((gated.gathers(), counting.each_ref().map(Gated::gathers)), (2, [1; 8]));
}

/// Regression: nothing was logged, and the error counter could not be scraped.
#[test]
fn hanging_collector_logs_a_warning_and_its_return() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let name = "registry that hangs";
    let log = Log::default();
    let returned = || {
        let lines = log.lines_with(name).into_iter();
        lines.filter(|line| line.contains("INFO")).collect::<Vec<_>>()
    };
    let builder = Server::builder().registry_named(name, &registry);
    logged_to(&log, builder.scrape_timeout(Duration::from_secs(1)), |addr| {
        // A short timeout logs nothing above debug.
        let impatient = || scrape(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n").status;
        for _ in 0..3 {
            assert_eq!(impatient(), 503);
        }
        // A client may give up before its gather starts.
        wait_for("a gather", || impatient() == 503 && gated.gathers() == 1);
        for _ in 0..3 {
            assert_eq!(scrape(addr, "/metrics", "").status, 503);
        }
        assert_eq!(returned(), Vec::<String>::new());
        gated.open();
        wait_for("a response before the timeout", || scrape(addr, "/metrics", "").status == 200);
        wait_for("a line", || !returned().is_empty());
    });
    let lines = log.lines_with(name);
    let expected = ["WARN", "INFO"];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, level) in lines.iter().zip(expected) {
        assert!(line.contains(level) && line.contains("seconds="), "{lines:?}");
    }
}

/// A collector that exceeds a timeout of 0.1 s does not hang.
#[test]
fn collector_slower_than_a_short_timeout_is_not_logged() {
    let registry = Registry::new();
    let gated = Gated::register(&registry, false);
    let log = logged(Server::builder().registry(&registry).scrape_timeout(2 * PATIENCE), |addr| {
        for _ in 0..3 {
            let impatient = scrape(addr, "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n");
            assert_eq!(impatient.status, 503);
        }
        gated.open();
    });
    let ours = log.lines().filter(|line| line.contains("prometheus_hyper") && !line.contains(" DEBUG "));
    assert_eq!(ours.count(), 1, "only the line of the start: {log}");
}

#[test]
fn collector_that_registers_deadlocks_only_its_registry() {
    struct Registers(Desc, Registry);
    impl Collector for Registers {
        fn desc(&self) -> Vec<&Desc> {
            vec![&self.0]
        }
        fn collect(&self) -> Vec<MetricFamily> {
            let _ = self.1.register(Box::new(IntCounter::new("late_total", "help").unwrap()));
            Vec::new()
        }
    }
    let registry = Registry::new();
    let desc = Desc::new("registers".into(), "help".into(), vec![], HashMap::new()).unwrap();
    registry.register(Box::new(Registers(desc, registry.clone()))).unwrap();
    let (guard, addr) =
        start(Server::builder().registry(&registry).scrape_timeout(Duration::from_millis(100)));
    for _ in 0..2 {
        assert_eq!(scrape(addr, "/metrics", "").status, 503);
        assert_eq!(get(addr, "/-/healthy").status, 200);
    }
    guard.shutdown_blocking();
}

#[test]
fn panicking_registry_is_skipped_and_has_up_zero() {
    let [good, bad, worse] = [(); 3].map(|()| Registry::new());
    good.register(Box::new(IntCounter::new("good_total", "help").unwrap())).unwrap();
    let bad_panics = Moody::register(&bad, "bad_total");
    let worse_panics = Moody::register(&worse, "worse_total");
    worse_panics.store(false, Ordering::SeqCst);
    let builder = Server::builder().registry(&good).registry_named("db", &bad).registry(&worse);
    let (_guard, addr) = start(builder);

    let up = |answer: &Response, name: &str| {
        answer.sample(&format!("prometheus_exporter_registry_up{{registry=\"{name}\"}}")).unwrap()
    };
    let answer = scrape(addr, "/metrics", "");
    assert_eq!(answer.status, 200);
    assert_eq!(["default", "db", "2"].map(|name| up(&answer, name)), [1.0, 0.0, 1.0]);
    assert_eq!((answer.sample("good_total"), answer.sample("bad_total")), (Some(0.0), None));
    assert_eq!(answer.sample("worse_total"), Some(0.0));
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"panic\"}"), Some(1.0));

    // Selected alone, no registry is left.
    assert_eq!(scrape(addr, "/metrics?registry[]=db", "").status, 500);
    let answer = scrape(addr, "/metrics?registry[]=default&registry%5b%5d=2", "");
    assert_eq!((answer.sample("good_total"), answer.sample("worse_total")), (Some(0.0), Some(0.0)));
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"panic\"}"), Some(2.0));
    assert_eq!(scrape(addr, "/metrics?registry[]=unknown", "").status, 400);

    bad_panics.store(false, Ordering::SeqCst);
    assert_eq!(up(&scrape(addr, "/metrics", ""), "db"), 1.0);
}

#[test]
fn scrape_is_500_if_all_fail_and_single_registry_has_no_up() {
    let [one, two] = [(); 2].map(|()| Registry::new());
    let panics = Moody::register(&one, "one_total");
    Moody::register(&two, "two_total");
    let (_guard, addr) = start(Server::builder().registry(&one).registry(&two));
    assert_eq!(scrape(addr, "/metrics", "").status, 500);

    panics.store(false, Ordering::SeqCst);
    let (_guard, addr) = start(Server::builder().registry(&one));
    assert!(!scrape(addr, "/metrics", "").body.contains("registry_up"));
}

#[test]
fn bind_rejects_duplicate_names() {
    let registry = Registry::new();
    let twice = Server::builder().registry(&registry).registry_named("default", &registry);
    let error = twice.listen("127.0.0.1:0").bind().unwrap_err();
    assert!(error.to_string().starts_with("registry_named"), "{error}");
    let hook = |_| async { Ok(()) };
    let twice = Server::builder().before_scrape("a", hook).before_scrape("a", hook);
    let error = twice.listen("127.0.0.1:0").bind().unwrap_err();
    assert!(error.to_string().starts_with("before_scrape"), "{error}");
}

#[test]
fn filter_matches_names_of_families_and_samples() {
    let registry = Registry::new();
    for name in ["a_total", "b_total", "c d_total"] {
        let name = name.replace(' ', "_");
        registry.register(Box::new(IntCounter::new(name, "help").unwrap())).unwrap();
    }
    let histogram = prometheus_hyper::prometheus::Histogram::with_opts(
        prometheus_hyper::prometheus::HistogramOpts::new("h", "help").buckets(vec![1.0]),
    );
    registry.register(Box::new(histogram.unwrap())).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).self_metrics(false));
    let types = |path: &str| {
        let answer = scrape(addr, path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let names = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        names.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let table = [
        ("/metrics?name[]=a_total", "a_total"),
        ("/metrics?name[]=b_total&name[]=a_total", "a_total b_total"),
        ("/metrics?name%5B%5D=%61_total", "a_total"),
        ("/metrics?name[]=h_bucket", "h"),
        ("/metrics?name[]=h_sum&name[]=h_count", "h"),
        ("/metrics?name[]=a", ""),
        ("/metrics?name[]=unknown", ""),
        ("/metrics?name=a_total&other=%zz", "a_total b_total c_d_total h"),
        ("/metrics", "a_total b_total c_d_total h"),
    ];
    for (path, expected) in table {
        assert_eq!(types(path), expected, "{path}");
    }
    let many = |count: usize| format!("/metrics?{}", "name[]=&".repeat(count));
    for (path, status) in [("/metrics?name[]=%zz".to_owned(), 400), (many(1024), 200), (many(1025), 400)] {
        assert_eq!(scrape(addr, &path, "").status, status, "{path}");
    }
}
