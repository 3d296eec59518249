//! Tests samples that async work produces for each scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_hyper::collector::Samples;
use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{BoxError, Builder, ScrapeContext, Server};

use crate::support::client::{Client, PATIENCE, Response, ask_and_be_heard, get, wait_for};
use crate::support::log::{Log, logged_to};
use crate::support::server::{patient, something, start};

const SKIPPED: &str = "prometheus_exporter_errors_total{cause=\"skipped\"}";

/// Returns the success of a hook and of the registry that it fills.
fn success(answer: &Response, name: &str) -> (Option<f64>, Option<f64>) {
    let of = |metric: &str, label: &str| {
        answer.sample(&format!("prometheus_exporter_{metric}{{{label}=\"{name}\"}}"))
    };
    (of("hook_success", "hook"), of("registry_up", "registry"))
}

/// Serves the number of runs, starting at 1.
fn counting(builder: Builder) -> Builder {
    let runs = AtomicU64::new(0);
    builder.collect("counting", move |_, mut samples: Samples| {
        let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            tokio::task::yield_now().await;
            samples.counter("runs_total", "help", &[("of", "all")], run as f64);
            Ok(samples)
        }
    })
}

#[test]
fn each_scrape_collects_new_samples() {
    let (_guard, addr) = start(patient(counting(Server::builder().registry(&something()))));
    for run in 1..=3 {
        let answer = get(addr, "/metrics");
        assert_eq!(answer.sample("runs_total{of=\"all\"}"), Some(f64::from(run)), "{}", answer.body);
        assert_eq!(answer.sample("something_total"), Some(0.0));
        assert_eq!(success(&answer, "counting"), (Some(1.0), Some(1.0)));
        assert_eq!(answer.sample("prometheus_exporter_series{registry=\"counting\"}"), Some(1.0));
    }
    let selected = get(addr, "/metrics?registry[]=counting");
    assert_eq!(selected.sample("runs_total{of=\"all\"}"), Some(4.0));
    assert_eq!(selected.sample("something_total"), None);
    assert_eq!(get(addr, "/metrics?registry[]=default").sample("runs_total{of=\"all\"}"), None);
}

#[test]
fn coalesced_scrapes_get_the_same_samples() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let runs = AtomicU64::new(0);
    let builder = Server::builder().registry(&Registry::new()).collect("slow", move |_, mut samples| {
        let (gate, run) = (Arc::clone(&opened), runs.fetch_add(1, Ordering::SeqCst));
        async move {
            let _permit = gate.acquire().await?;
            samples.gauge("run", "help", &[], run as f64);
            Ok(samples)
        }
    });
    let (_guard, addr) = start(patient(builder));
    let mut clients: Vec<Client> = (0..20).map(|_| ask_and_be_heard(addr, "/metrics", "")).collect();
    gate.add_permits(1);
    let mut values: Vec<f64> =
        clients.iter_mut().map(|client| client.answer(false).sample("run").unwrap()).collect();
    values.dedup();
    assert!(values == [0.0] || values == [0.0, 1.0], "{values:?}");
}

/// Serves the number of runs, starting at 0. Fails as `mood` says for each run.
fn moody(
    builder: Builder,
    mood: impl Fn(usize) -> Result<(), BoxError> + Send + Sync + Copy + 'static,
) -> Builder {
    let runs = AtomicUsize::new(0);
    builder.collect_with_up("moody", move |_, mut samples| {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        async move {
            samples.gauge("mood", "help", &[], run as f64);
            mood(run)?;
            Ok(samples)
        }
    })
}

#[test]
fn failed_collection_costs_one_scrape_and_sets_up_to_zero() {
    type Mood = fn(usize) -> Result<(), BoxError>;
    let table: [(&str, Mood); 2] = [
        ("fails", |run| if run == 1 { Err("no such table".into()) } else { Ok(()) }),
        ("panics", |run| {
            assert_ne!(run, 1, "expected panic of this test");
            Ok(())
        }),
    ];
    for (what, mood) in table {
        let (_guard, addr) = start(patient(moody(Server::builder().registry(&something()), mood)));
        let expected = [(1.0, Some(0.0)), (0.0, None), (1.0, Some(2.0))];
        for (run, (up, mood)) in expected.into_iter().enumerate() {
            let answer = get(addr, "/metrics");
            assert_eq!((answer.status, answer.sample("something_total")), (200, Some(0.0)), "{what}, {run}");
            assert_eq!(answer.sample("moody_up"), Some(up), "{what}, {run}: {}", answer.body);
            assert_eq!(answer.sample("mood"), mood, "{what}, {run}: {}", answer.body);
            assert_eq!(success(&answer, "moody"), (Some(up), Some(up)), "{what}, {run}");
        }
    }
}

#[test]
fn failed_collection_alone_is_500_unless_up_is_served() {
    async fn fail(_: ScrapeContext, _: Samples) -> Result<Samples, BoxError> {
        Err("no such table".into())
    }
    let builder =
        Server::builder().registry(&something()).collect("silent", fail).collect_with_up("shown", fail);
    let (_guard, addr) = start(patient(builder));
    let answer = get(addr, "/metrics");
    assert_eq!(
        (answer.status, answer.sample("shown_up"), answer.sample("silent_up")),
        (200, Some(0.0), None)
    );
    assert_eq!(answer.sample("prometheus_exporter_series{registry=\"silent\"}"), Some(0.0));
    assert_eq!(get(addr, "/metrics?registry[]=silent").status, 500);
    let answer = get(addr, "/metrics?registry[]=shown");
    assert_eq!((answer.status, answer.sample("shown_up")), (200, Some(0.0)));
}

/// A separate test, because here the timeout must expire. See `late_hook_costs_only_its_own_values`.
#[test]
fn late_collection_is_skipped_and_logged() {
    let log = Log::default();
    let builder = Server::builder().registry(&something()).scrape_timeout(Duration::from_secs(2));
    let builder = builder.collect_with_up("late", |scrape: ScrapeContext, samples| async move {
        tokio::time::sleep_until((scrape.deadline() + 2 * PATIENCE).into()).await;
        Ok(samples)
    });
    logged_to(&log, builder, |addr| {
        wait_for("a response before the timeout", || {
            let answer = get(addr, "/metrics");
            if answer.status == 503 {
                return false;
            }
            assert_eq!((answer.sample("late_up"), answer.sample("something_total")), (Some(0.0), Some(0.0)));
            true
        });
        wait_for("a warning", || {
            get(addr, "/metrics");
            log.lines_with("its series are missing").iter().any(|line| line.contains("WARN"))
        });
    });
}

#[test]
fn bad_samples_are_counted_and_shared_names_are_merged() {
    let registry = Registry::new();
    registry.register(Box::new(IntCounter::new("twice_total", "help").unwrap())).unwrap();
    let builder = Server::builder().registry(&registry).collect("bad", |_, mut samples| async move {
        samples.gauge("not a name", "help", &[], 1.0);
        samples.counter("twice_total", "help", &[("of", "async")], 7.0);
        Ok(samples)
    });
    let (_guard, addr) = start(patient(builder));
    let answer = get(addr, "/metrics");
    assert_eq!(answer.sample(SKIPPED), Some(1.0));
    assert_eq!(
        (answer.sample("twice_total"), answer.sample("twice_total{of=\"async\"}")),
        (Some(0.0), Some(7.0)),
        "{}",
        answer.body
    );
}

/// The server serves the default registry as it does without `collect`.
#[test]
fn collected_samples_do_not_replace_the_default_registry() {
    let (_guard, addr) = start(patient(counting(Server::builder())));
    let answer = get(addr, "/metrics");
    assert_eq!(answer.sample("runs_total{of=\"all\"}"), Some(1.0));
    assert_eq!(answer.sample("prometheus_exporter_registry_up{registry=\"default\"}"), Some(1.0));
}

#[test]
fn mounted_handler_collects_on_the_callers_runtime() {
    let runtime = crate::support::runtime::current_thread();
    let body = runtime.block_on(async {
        let handler = patient(counting(Server::builder().registry(&Registry::new()))).into_handler().unwrap();
        let request = http::Request::new(());
        let response = hyper::service::Service::call(&handler, request).await.unwrap();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx)).await
        {
            bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
        String::from_utf8(bytes).unwrap()
    });
    assert!(body.contains("\nruns_total{of=\"all\"} 1\n"), "{body}");
}

#[test]
fn bind_rejects_duplicate_and_invalid_names() {
    async fn collect(_: ScrapeContext, samples: Samples) -> Result<Samples, BoxError> {
        Ok(samples)
    }
    let sound = || Server::builder().listen("127.0.0.1:0");
    let table = [
        (sound().collect("default", collect), "collect: \"default\" is the name of a registry"),
        (
            sound().registry_named("db", &Registry::new()).collect("db", collect),
            "collect: \"db\" is the name of a registry",
        ),
        (
            sound().collect("a", collect).collect_with_up("a", collect),
            "collect: \"a\" is the name of two hooks",
        ),
        (
            sound().collect("a", collect).before_scrape("a", |_| async { Ok(()) }),
            "before_scrape: \"a\" is the name of two hooks",
        ),
        (sound().collect_with_up("a b", collect), "collect_with_up: \"a b\" must match [a-zA-Z_:]"),
        (sound().collect_with_up("1", collect), "collect_with_up: \"1\" must match [a-zA-Z_:]"),
        (sound().collect_with_up("", collect), "collect_with_up: \"\" must match [a-zA-Z_:]"),
    ];
    for (builder, sentence) in table {
        let error = builder.bind().unwrap_err().to_string();
        assert!(error.starts_with(sentence), "{error} is not {sentence}");
    }
    sound().registry(&Registry::new()).collect("any name at all", collect).bind().unwrap();
    let builder = sound().registry_named("db", &Registry::new()).collect_with_up("default", collect);
    builder.bind().unwrap();
}
