//! Tests the metrics that a program serves without code of its own.

use std::net::SocketAddr;

use prometheus_hyper::prometheus::{Gauge, IntCounter, Registry, default_registry};
use prometheus_hyper::{Builder, Server, build_info};

use crate::support::client::get;
use crate::support::log::Log;
use crate::support::runtime::current_thread;
use crate::support::server::start;
use crate::support::{CHILD, run_alone};

fn families(addr: SocketAddr) -> Vec<String> {
    let body = get(addr, "/metrics").body;
    body.lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect()
}

/// Returns whether the collectors of the process and of a runtime are enabled.
fn default_collectors(addr: SocketAddr) -> (bool, bool) {
    let families = families(addr);
    let has = |name: &str| families.iter().any(|family| family == name);
    // The collector of `prometheus/process` does not have the first.
    (has("process_virtual_memory_max_bytes"), has("tokio_workers"))
}

#[test]
fn default_collectors_need_default_registry_or_option() {
    type Options = fn(Builder) -> Builder;
    let explicit = Registry::new();
    let table: [(&str, bool, Options, bool); 4] = [
        ("the default registry", false, |builder| builder, true),
        ("the default registry, without", false, |builder| builder.default_collectors(false), false),
        ("an explicit registry", true, |builder| builder, false),
        ("an explicit registry, with", true, |builder| builder.default_collectors(true), true),
    ];
    for (what, is_explicit, options, served) in table {
        let builder = || {
            let builder = if is_explicit { Server::builder().registry(&explicit) } else { Server::builder() };
            options(builder)
        };
        let (process, tokio) = (cfg!(feature = "process"), cfg!(feature = "runtime"));
        let (guard, addr) = start(builder());
        assert_eq!(default_collectors(addr), (served && process, false), "{what}, without a runtime");
        drop(guard);
        // Bind and start within the runtime, or only one of them.
        let runtime = current_thread();
        let bind = || builder().listen("127.0.0.1:0").bind().unwrap();
        let bound_inside = runtime.block_on(async { bind() }).start().unwrap();
        let bound_outside = bind();
        let started_inside = runtime.block_on(async { bound_outside.start().unwrap() });
        for guard in [bound_inside, started_inside] {
            let found = default_collectors(guard.local_addr().unwrap());
            assert_eq!(found, (served && process, served && tokio), "{what}, within a runtime");
        }
    }
}

#[test]
fn serve_collects_metrics_of_its_runtime() {
    let server = Server::builder().listen("127.0.0.1:0").bind().unwrap();
    let addr = server.local_addr().unwrap();
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let client = std::thread::spawn(move || {
        let found = default_collectors(addr);
        drop(stop);
        found
    });
    current_thread().block_on(server.serve(async { drop(stopping.await) })).unwrap();
    assert_eq!(client.join().unwrap(), (cfg!(feature = "process"), cfg!(feature = "runtime")));
}

#[test]
fn default_collectors_replace_families_of_another_type() {
    let registry = Registry::new();
    registry.register(Box::new(Gauge::new("process_cpu_seconds_total", "theirs").unwrap())).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).default_collectors(true));
    get(addr, "/metrics");
    let answer = get(addr, "/metrics");
    let kind = if cfg!(feature = "process") { "counter" } else { "gauge" };
    assert!(answer.body.contains(&format!("# TYPE process_cpu_seconds_total {kind}")), "{}", answer.body);
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"type_conflict\"}"), Some(0.0));
}

#[test]
fn default_collectors_replace_series_of_explicit_registries() {
    let registry = Registry::new();
    let theirs = Gauge::new("process_threads", "theirs").unwrap();
    theirs.set(-7.0);
    registry.register(Box::new(theirs)).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).default_collectors(true));
    let answer = get(addr, "/metrics");
    let series: Vec<&str> = answer.body.lines().filter(|line| line.starts_with("process_threads")).collect();
    assert_eq!(series.len(), 1, "{series:?}");
    assert_eq!(series[0] == "process_threads -7", !cfg!(feature = "process"), "{series:?}");
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"skipped\"}"), Some(0.0));
    assert_eq!(answer.sample("prometheus_exporter_errors_total{cause=\"type_conflict\"}"), Some(0.0));
}

/// With `prometheus/process`, the default registry has such series already. Without it, the test checks the
/// same.
#[test]
fn each_process_series_is_served_once() {
    let (_guard, addr) = start(Server::builder());
    for series in ["process_cpu_seconds_total", "process_open_fds", "process_threads"] {
        let body = get(addr, "/metrics").body;
        let count =
            body.lines().filter(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        assert_eq!(count.count(), usize::from(cfg!(feature = "process")), "{series}: {body}");
    }
    let errors = get(addr, "/metrics").sample("prometheus_exporter_errors_total{cause=\"skipped\"}");
    assert_eq!(errors, Some(0.0));
}

#[test]
fn builder_adds_build_info() {
    let registry = Registry::new();
    let build = build_info!().revision("0f27d57").rustversion("1.95.0");
    let (_guard, addr) = start(Server::builder().registry(&registry).build_info(build));
    let version = env!("CARGO_PKG_VERSION");
    let series = format!(
        "prometheus_hyper_build_info{{revision=\"0f27d57\",rustversion=\"1.95.0\",version=\"{version}\"}}"
    );
    assert_eq!(get(addr, "/metrics").sample(&series), Some(1.0));
    assert_eq!(registry.gather().len(), 0, "the host's registry stays unchanged");
}

#[test]
fn guard_sets_readiness() {
    let (guard, addr) = start(Server::builder().registry(&Registry::new()));
    for (ready, status) in [(true, 200), (false, 503), (false, 503), (true, 200)] {
        guard.set_ready(ready);
        assert_eq!(get(addr, "/-/ready").status, status, "{ready}");
        assert_eq!(get(addr, "/-/healthy").status, 200, "{ready}");
        let metrics = get(addr, "/metrics");
        assert_eq!(metrics.sample("prometheus_exporter_ready"), Some(f64::from(u8::from(ready))));
    }
}

const COMMENT: &str = "# The default registry of prometheus_hyper::prometheus has no samples";
const EXPLICIT_COMMENT: &str = "# The registries of this server have no samples";

#[test]
fn empty_exposition_is_explained_and_logged_once() {
    run_alone("default_collectors::child_without_metrics", "alone", &[]);
}

/// Runs in a child process of the test above, because other tests fill the default registry.
#[test]
#[ignore = "run by another test"]
fn child_without_metrics() {
    if std::env::var("PROMETHEUS_HYPER_TEST_CHILD").is_err() {
        return;
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (_guard, addr) = start(Server::builder().openmetrics(true));
    for path in ["/metrics", "/metrics?name[]=other", "/metrics"] {
        let body = get(addr, path).body;
        assert!(body.starts_with(COMMENT), "{path}: {body}");
    }
    assert!(!get(addr, "/metrics?format=openmetrics").body.contains(COMMENT), "OpenMetrics has no comments");
    assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());

    let counter = IntCounter::new("something_total", "help").unwrap();
    default_registry().register(Box::new(counter)).unwrap();
    assert!(!get(addr, "/metrics").body.contains(COMMENT));
    assert!(!get(addr, "/metrics?name[]=other").body.contains(COMMENT));
    assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());
}

/// Regression: an empty exposition of explicit registries had no comment.
#[test]
fn empty_explicit_registries_are_explained_in_a_comment() {
    run_alone("default_collectors::child_with_explicit_registries", "alone", &[]);
}

/// Runs in a child process of the test above, because it reads the log of the gathering thread.
#[test]
#[ignore = "run by another test"]
fn child_with_explicit_registries() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (one, two) = (Registry::new(), Registry::new());
    let builder = Server::builder().registry(&one).registry_named("two", &two).default_collectors(true);
    let (_guard, addr) = start(builder.openmetrics(true));
    for _ in 0..2 {
        let body = get(addr, "/metrics").body;
        assert!(body.starts_with(EXPLICIT_COMMENT) && body.contains("default_registry()"), "{body}");
        assert!(!body.contains("cargo tree"), "an explicit registry has the right version: {body}");
    }
    assert!(
        !get(addr, "/metrics?format=openmetrics").body.contains(EXPLICIT_COMMENT),
        "OpenMetrics has no comments"
    );
    // An empty registry among several is no error.
    assert!(!get(addr, "/metrics?registry[]=two").body.contains(EXPLICIT_COMMENT));
    let warnings = || log.text().matches("WARN").count();
    assert_eq!(warnings(), 1, "{}", log.text());
    assert!(log.text().contains("the registries of this server have no samples"), "{}", log.text());

    let counter = IntCounter::new("something_total", "help").unwrap();
    one.register(Box::new(counter)).unwrap();
    assert!(!get(addr, "/metrics").body.contains(EXPLICIT_COMMENT));
    assert_eq!(warnings(), 1, "{}", log.text());
}
