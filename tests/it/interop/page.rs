//! What a real Chromium makes of the page at `/`: a server of ours, and a script that drives the browser.

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

/// A little more than the script gives itself, which takes its browser along.
const PATIENCE: Duration = Duration::from_secs(150);

/// Values that move, until it is dropped.
struct Moving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Moving {
    fn start(registry: &Registry) -> Self {
        let depth = Gauge::new("interop_depth", "Jobs that wait").unwrap();
        let jobs = IntCounterVec::new(Opts::new("interop_jobs_total", "Jobs done"), &["kind"]).unwrap();
        let bounds = vec![0.1, 0.2, 0.4];
        let durations =
            Histogram::with_opts(HistogramOpts::new("interop_seconds", "How long").buckets(bounds)).unwrap();
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

/// Repeats what it is asked about.
async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let (registry, target) =
        (Registry::new(), IntGaugeVec::new(Opts::new("interop_target", "help"), &["target"])?);
    target.with_label_values(&[probe.target()?]).set(1);
    registry.register(Box::new(target))?;
    Ok(registry)
}

/// Serves, and lets the script play this scenario.
fn play(scenario: &str, page: Page, fill: impl FnOnce(&Registry)) {
    let registry = Registry::new();
    let _moving = Moving::start(&registry);
    fill(&registry);
    let server =
        Server::builder().registry(&registry).openmetrics(true).landing_page(page).probe("/probe", probe);
    let guard = server.listen("127.0.0.1:0").start().unwrap();
    play_at(scenario, &format!("http://{}/", guard.local_addr().unwrap()));
}

/// Lets the script play this scenario.
fn play_at(scenario: &str, url: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop/page.mjs");
    let mut command = Command::new(tool("NODE", "node"));
    command.args([script, scenario, url]).env("CHROMIUM", tool("CHROMIUM", "/usr/bin/chromium"));
    // What it says goes where the test's output goes.
    let mut script = Process::spawn(&mut command);
    let status =
        poll_for(PATIENCE, scenario, || script.0.try_wait().unwrap().ok_or_else(|| format!("{command:?}")));
    assert!(
        status.success(),
        "{scenario}: {status}; it needs Chromium, Node and NODE_PATH: .ci/run programs"
    );
}

fn plain() -> Page {
    Page::new("Interop").description("What a browser looks at.")
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn values_appear_and_move() {
    play("values", plain(), |_| ());
    play("numbers", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_values_of_the_time_it_names() {
    play("windows", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_ignores_lines_that_are_no_sample_and_keeps_types() {
    play("lines", plain(), |_| ());
    play("types", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn rows_have_their_places() {
    play("order", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn a_target_is_probed_from_the_page() {
    play("probe", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn without_a_script_it_tells_what_it_knows() {
    play("bare", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn metrics_are_found_by_word_label_and_group() {
    play("search", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_requests_one_thing_at_a_time_and_nothing_while_paused() {
    play("pause", plain(), |_| ());
    play("honest", plain(), |_| ());
    play("patience", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn keys_are_enough() {
    play("keyboard", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn text_stays_text() {
    let page = Page::new(format!("Evil {EVIL}")).version(EVIL).description(EVIL);
    play("text", page.link(EVIL, format!("/{}", EVIL.replace(' ', "+"))), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn axe_finds_nothing_serious() {
    play("accessible", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_shows_own_families_first_and_what_they_sum_to() {
    for scenario in ["first", "labels", "large", "totals", "words"] {
        play(scenario, plain(), |_| ());
    }
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn page_draws_graphs_from_zero_or_with_a_minimum_span() {
    play("graphs", plain(), |_| ());
}

#[test]
#[ignore = "needs Chromium and Node: .ci/run programs"]
fn panel_shows_all_that_is_known() {
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
fn mounted_page_scrapes_the_path_that_it_is_told() {
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
fn ten_thousand_series_are_few_nodes() {
    play("many", plain(), |registry| {
        let many = IntGaugeVec::new(Opts::new("zz_many", "Of which there are many"), &["number"]).unwrap();
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
