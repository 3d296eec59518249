//! Tests of the page at `/` in Chromium, which a script drives.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prometheus_hyper::prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use prometheus_hyper::{Page, ProbeError, ProbeRequest, Server};

use testing::process::{Process, poll_for, tool};

const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>";

/// The time for a scenario. It is longer than the script's own limit, which also ends the browser.
const PATIENCE: Duration = Duration::from_secs(150);

/// A thread that changes values until this is dropped.
struct Moving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Moving {
    fn start(registry: &Registry) -> Self {
        let depth = Gauge::new("interop_depth", "Number of waiting jobs.").unwrap();
        let jobs = IntCounterVec::new(Opts::new("interop_jobs_total", "Jobs done."), &["kind"]).unwrap();
        let bounds = vec![0.1, 0.2, 0.4];
        let durations =
            Histogram::with_opts(HistogramOpts::new("interop_seconds", "Time of a job.").buckets(bounds))
                .unwrap();
        let evil = IntGaugeVec::new(Opts::new("interop_evil", EVIL), &["label"]).unwrap();
        evil.with_label_values(&[EVIL]).set(1);
        registry.register(Box::new(depth.clone())).unwrap();
        registry.register(Box::new(jobs.clone())).unwrap();
        registry.register(Box::new(durations.clone())).unwrap();
        registry.register(Box::new(evil)).unwrap();

        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                depth.inc();
                jobs.with_label_values(&["a"]).inc();
                jobs.with_label_values(&["b"]).inc_by(3);
                durations.observe(0.15);
                thread::sleep(Duration::from_millis(20));
            }
        });
        Moving { stop, thread: Some(thread) }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Returns a metric with the target as a label.
async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let (registry, target) =
        (Registry::new(), IntGaugeVec::new(Opts::new("interop_target", "help"), &["target"])?);
    target.with_label_values(&[probe.target()?]).set(1);
    registry.register(Box::new(target))?;
    Ok(registry)
}

/// Starts a server and runs a scenario of the script.
fn play(scenario: &str, page: Page, fill: impl FnOnce(&Registry)) {
    let registry = Registry::new();
    let _moving = Moving::start(&registry);
    fill(&registry);
    let server =
        Server::builder().registry(&registry).openmetrics(true).landing_page(page).probe("/probe", probe);
    let guard = server.listen("127.0.0.1:0").start().unwrap();
    play_at(scenario, &format!("http://{}/", guard.local_addr().unwrap()));
}

/// Runs a scenario of the script at a URL.
fn play_at(scenario: &str, url: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/page.mjs");
    run_node(scenario, &[script, scenario, url]);
}

/// Runs Node to its end.
fn run_node(scenario: &str, arguments: &[&str]) {
    let mut command = Command::new(tool("NODE", "node"));
    command.args(arguments).env("CHROMIUM", tool("CHROMIUM", "/usr/bin/chromium"));
    // The script inherits the test's output.
    let mut script = Process::spawn(&mut command);
    let status =
        poll_for(PATIENCE, scenario, || script.0.try_wait().unwrap().ok_or_else(|| format!("{command:?}")));
    assert!(
        status.success(),
        "{scenario}: {status}; it needs Chromium, Node and NODE_PATH: .ci/run programs"
    );
}

fn plain() -> Page {
    Page::new("Interop").description("The page of a browser test.")
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_changing_values() {
    play("values", plain(), |_| ());
    play("numbers", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_computes_values_over_the_stated_time() {
    play("windows", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_ignores_invalid_lines_and_follows_types() {
    play("lines", plain(), |_| ());
    play("types", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_keeps_the_order_and_positions_of_rows() {
    play("order", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_has_a_form_for_probes() {
    play("probe", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_without_script_shows_its_static_parts() {
    play("bare", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_searches_by_word_and_label_and_groups() {
    play("search", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_sends_one_request_at_a_time_and_none_while_paused() {
    play("pause", plain(), |_| ());
    play("honest", plain(), |_| ());
    play("patience", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_can_be_used_with_the_keyboard() {
    play("keyboard", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_texts_as_text() {
    let page = Page::new(format!("Evil {EVIL}")).version(EVIL).description(EVIL);
    play("text", page.link(EVIL, format!("/{}", EVIL.replace(' ', "+"))), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn axe_finds_no_serious_violation() {
    play("accessible", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_own_families_first_and_their_totals() {
    for scenario in ["first", "labels", "large", "totals", "words"] {
        play(scenario, plain(), |_| ());
    }
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_draws_graphs_from_zero_or_with_a_minimum_range() {
    play("graphs", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn panel_shows_details_of_series_and_families() {
    play("panel", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_sorts_hides_and_keeps_its_state_in_the_address() {
    play("sorted", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_explains_faults_warnings_and_emptiness() {
    for scenario in ["stale", "warned", "empty"] {
        play(scenario, plain(), |_| ());
    }
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_has_large_targets_and_low_rows_on_a_phone() {
    play("phone", plain(), |_| ());
}

#[cfg(feature = "tower")]
#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn mounted_page_scrapes_the_given_path() {
    let registry = Registry::new();
    let _moving = Moving::start(&registry);
    let metrics = Server::builder().registry(&registry).into_handler().unwrap();
    let page = metrics.page(Page::new("Mounted"), "/internal/metrics").unwrap();
    let app = axum::Router::new()
        .route_service("/ui/page", page)
        .route_service("/internal/metrics", metrics)
        .route("/-/healthy", axum::routing::get(|| async {}));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, app).await });
    play_at("mounted", &url);
    runtime.shutdown_background();
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_10_000_series_with_few_nodes() {
    play("many", plain(), |registry| {
        let many = IntGaugeVec::new(Opts::new("zz_many", "One of many series."), &["number"]).unwrap();
        for number in 0..10_000 {
            many.with_label_values(&[&format!("{number:05}")]).set(number);
        }
        registry.register(Box::new(many)).unwrap();
    });
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_reports_a_fault_and_recovers() {
    play("faults", plain(), |_| ());
    play("fault", plain(), |_| ());
    play("login", plain(), |_| ());
}

#[test]
#[ignore = "needs Node: .ci/run programs"]
fn page_keeps_no_text_of_old_scrapes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/page_memory.mjs");
    run_node("memory", &["--expose-gc", script]);
}
