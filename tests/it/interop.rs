//! Tests that other programs read our expositions and connect with TLS: Prometheus, promtool, vmagent, the
//! Python client's parsers, curl, OpenSSL, sslscan, Chromium.
//!
//! These tests are ignored, because they need the programs. `.ci/run programs` installs them, builds the
//! examples and runs the tests. To run them by hand, put the programs in the PATH or set these variables: `PROMETHEUS`,
//! `PROMTOOL`, `VMAGENT`, `PYTHON`, `CURL`, `OPENSSL`, `SSLSCAN`, `REDIS_SERVER`,
//! `NODE_EXPORTER`, `BLACKBOX_EXPORTER`, `PUSHGATEWAY`, `CADDY`, `NODE` and `CHROMIUM`.
//! `NODE_PATH` is the folder of playwright-core and axe-core.
//!
//! Tests whose names begin with `prometheus_`, `promtool_` and `vmagent_` run twice, with two versions of
//! these programs.

#[cfg(target_os = "linux")]
mod bridges;
#[cfg(target_os = "linux")]
mod examples;
#[cfg(target_os = "linux")]
mod exporters;
mod known_values;
#[cfg(target_os = "linux")]
mod others;
#[cfg(feature = "page")]
mod page;
#[cfg(target_os = "linux")]
mod process_one;
mod prometheus;
mod sample;
mod scrape_configs;
#[cfg(all(unix, feature = "auth", feature = "tls"))]
mod secured;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use known_values::KnownValues;
use prometheus::Prometheus;
use sample::{Key, Sample, Samples, differences};
use testing::client::http_get;
use testing::process::{PATIENCE, Process, poll, tool};
use testing::scratch::Scratch;

#[test]
#[ignore = "needs a Prometheus, promtool and PyPI's prometheus-client: .ci/run programs"]
fn prometheus_scrapes_hello() {
    let hello = Hello::start();
    let prometheus = Prometheus::start(&[("hello", hello.addr)]);

    prometheus.wait_for("hello is up", || match prometheus.query(r#"up{job="hello"}"#)?[..] {
        [ref up] if up.value == 1.0 => Ok(()),
        ref other => Err(Samples(other).to_string()),
    });

    let samples = samples_in(&hello.metrics()) as f64;
    prometheus.wait_for("the number of samples in the exposition", || {
        match prometheus.query(r#"scrape_samples_scraped{job="hello"}"#)?[..] {
            [ref scraped] if scraped.value == samples => Ok(()),
            ref other => Err(format!("ours: {samples}; Prometheus: {}", Samples(other))),
        }
    });

    // The values only increase. Prometheus' values are between those before its scrape and those after it.
    let families = ["hello_greetings_total", "hello_greeting_seconds_bucket", "hello_greeting_seconds_count"];
    let before = hello.samples(&families);
    let query = r#"{__name__=~"hello_.*(_total|_bucket|_count)",job="hello"}"#;
    let scraped = prometheus.wait_for("a scrape after ours", || {
        let scraped = prometheus.query(query)?;
        let not_below =
            before.iter().all(|(key, &value)| scraped.iter().any(|s| s.key() == *key && s.value >= value));
        if not_below {
            Ok(scraped)
        } else {
            Err(format!("ours: {before:?}; Prometheus: {}", Samples(&scraped)))
        }
    });
    let after = hello.samples(&families);
    assert_eq!(scraped.len(), after.len(), "ours: {after:?}; Prometheus: {}", Samples(&scraped));
    for sample in &scraped {
        let (low, high) = (before[&sample.key()], after[&sample.key()]);
        assert!((low..=high).contains(&sample.value), "{sample}: not within {low}..={high}");
    }

    // The default collectors. By now the histogram has a sample of the first second.
    let query = r#"{__name__=~"(process|tokio)_.*",job="hello"}"#;
    let scraped = prometheus.query(query).unwrap();
    let names: BTreeSet<&str> = scraped.iter().map(|sample| sample.name.as_str()).collect();
    let expected = BTreeSet::from([
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
        "process_virtual_memory_max_bytes",
        "tokio_alive_tasks",
        "tokio_global_queue_depth",
        "tokio_scheduling_delay_distribution_seconds_bucket",
        "tokio_scheduling_delay_distribution_seconds_count",
        "tokio_scheduling_delay_distribution_seconds_sum",
        "tokio_scheduling_delay_seconds",
        "tokio_worker_busy_seconds_total",
        "tokio_worker_parked",
        "tokio_worker_parks_total",
        "tokio_workers",
    ]);
    assert_eq!(names, expected, "{}", Samples(&scraped));
    let age = prometheus.query(r#"time() - process_start_time_seconds{job="hello"}"#).unwrap();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&age[0].value), "{}", Samples(&age));
    // The main thread, the server's thread, and the gathering thread.
    let threads = scraped.iter().find(|sample| sample.name == "process_threads").unwrap();
    assert_eq!(threads.value, 3.0, "{threads}");
}

/// The job exits once its final values are scraped. Prometheus has them.
#[test]
#[ignore = "needs a Prometheus, promtool and PyPI's prometheus-client: .ci/run programs"]
fn prometheus_gets_the_final_values_of_a_batch_job() {
    let mut job = Example::start("batch_job");
    let prometheus = Prometheus::start(&[("batch", job.addr)]);
    assert_eq!(job.line(), format!("http://{}/", job.addr), "the URL of the page");
    assert_eq!(job.line(), "scraped", "no scrape within the time limit");
    // The job has exited, so Prometheus marks its series as stale. The last values are still stored.
    let query = r#"last_over_time({__name__=~"batch_job_rows_total|prometheus_hyper_build_info"}[5m])"#;
    prometheus.wait_for("the final values", || {
        let scraped = prometheus.query(query)?;
        let has = |name: &str, value: f64| scraped.iter().any(|s| s.name == name && s.value == value);
        if has("batch_job_rows_total", 100.0) && has("prometheus_hyper_build_info", 1.0) {
            Ok(())
        } else {
            Err(Samples(&scraped).to_string())
        }
    });
}

#[test]
#[ignore = "needs a Prometheus, promtool and PyPI's prometheus-client: .ci/run programs"]
fn prometheus_reads_the_known_values() {
    let set = KnownValues::serve();
    let prometheus = Prometheus::start(&[("known", set.addr())]);

    prometheus.wait_for("the known values", || {
        let scraped = prometheus.query(r#"{__name__=~"interop_.*",job="known"}"#)?;
        if scraped.is_empty() {
            return Err("no samples yet".to_owned());
        }
        // Prometheus drops labels with an empty value.
        let without_empty_labels = set.samples.iter().cloned().map(|mut sample| {
            sample.labels.retain(|_, value| !value.is_empty());
            sample
        });
        differences(without_empty_labels, scraped)
    });

    let samples = samples_in(&http_get(set.addr(), "/metrics").unwrap()) as f64;
    prometheus.wait_for("the number of samples in the exposition", || {
        match prometheus.query(r#"scrape_samples_scraped{job="known"}"#)?[..] {
            [ref scraped] if scraped.value == samples => Ok(()),
            ref other => Err(format!("ours: {samples}; Prometheus: {}", Samples(other))),
        }
    });

    // Prometheus returns seconds.
    let at = prometheus.query(r#"timestamp(interop_copied_level{job="known"})"#).unwrap();
    assert_eq!(at[0].value, set.copied_at as f64 / 1000.0, "{}", Samples(&at));

    let metadata =
        prometheus.get("/api/v1/targets/metadata", &[("match_target", r#"{job="known"}"#)]).unwrap();
    for family in &set.families {
        let found = metadata.as_array().unwrap().iter().find(|entry| entry["metric"] == family.name);
        let found = found.unwrap_or_else(|| panic!("{family:?}: no metadata in {metadata}"));
        assert_eq!(found["type"], family.kind, "{family:?}: {found}");
        assert_eq!(found["help"], family.help, "{family:?}: {found}");
    }
}

#[test]
#[ignore = "needs a Prometheus, promtool and PyPI's prometheus-client: .ci/run programs"]
fn promtool_reports_no_problem() {
    let hello = Hello::start();
    let set = KnownValues::serve();
    for (what, body) in
        [("hello", hello.metrics()), ("known values", http_get(set.addr(), "/metrics").unwrap())]
    {
        assert!(body.contains("\nprometheus_exporter_"), "{what}: no metrics of the server: {body}");
        let scratch = Scratch::new("interop");
        let mut promtool = Command::new(tool("PROMTOOL", "promtool"));
        let verdict = scratch.run(promtool.args(["check", "metrics"]), &body);
        // Exit code 1: promtool cannot parse the exposition. Exit code 3: it recommends a change.
        assert!(verdict.status.success(), "{what}: {verdict}\n{body}");
        assert_eq!(verdict.stdout + &verdict.stderr, "", "{what}");
    }
}

#[test]
#[ignore = "needs a Prometheus, promtool and PyPI's prometheus-client: .ci/run programs"]
fn python_reads_the_known_values() {
    let set = KnownValues::serve();
    let body = http_get(set.addr(), "/metrics").unwrap();

    let scratch = Scratch::new("interop");
    let mut python = Command::new(tool("PYTHON", "python3"));
    let read = scratch.run(python.args(["-X", "utf8", "-c", include_str!("interop/read_back.py")]), &body);
    assert!(read.status.success(), "{read}\n{body}");
    let families: Value = serde_json::from_str(&read.stdout).unwrap();
    let families = families.as_array().unwrap();

    for family in &set.families {
        // The parser uses OpenMetrics' name of a counter's family.
        let name = family.name.strip_suffix("_total").unwrap_or(&family.name);
        let found = families.iter().find(|entry| entry["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{family:?}: not in {families:?}"));
        assert_eq!(found["type"], family.kind, "{family:?}");
        assert_eq!(found["help"], family.help, "{family:?}");
    }

    let samples = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
    let read = samples.map(|sample| Sample {
        name: sample["name"].as_str().unwrap().to_owned(),
        labels: strings(&sample["labels"]),
        value: f64::from_bits(u64::from_str_radix(sample["bits"].as_str().unwrap(), 16).unwrap()),
    });
    let named = read.filter(|sample| sample.name.starts_with("interop_")).collect();
    // This parser reads "-0" as an integer, which has no sign. Prometheus keeps the sign.
    let unsigned_zeros = set.samples.iter().cloned().map(|mut sample| {
        sample.value += 0.0;
        sample
    });
    if let Err(differences) = differences(unsigned_zeros, named) {
        panic!("{differences}\n{body}");
    }
}

/// Returns the path of an example.
fn example(name: &str) -> PathBuf {
    // The test is target/PROFILE/deps/it-HASH, the example target/PROFILE/examples/NAME.
    let test = env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        example.exists(),
        "no {}: build it with `cargo build --all-features --examples`",
        example.display()
    );
    example
}

/// An example that runs as a user starts it.
struct Example {
    addr: SocketAddr,
    lines: mpsc::Receiver<String>,
    process: Process,
}

impl Example {
    fn start(name: &str) -> Self {
        Self::start_with(name, &["127.0.0.1:0"])
    }

    fn start_with(name: &str, arguments: &[&str]) -> Self {
        Self::start_by(name, Command::new(example(name)).args(arguments))
    }

    fn start_by(name: &str, command: &mut Command) -> Self {
        let mut process = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let stdout = BufReader::new(process.0.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let line = lines.recv_timeout(PATIENCE).expect("the example prints its URL");
        let addr = line.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics"));
        let addr = addr.unwrap_or_else(|| panic!("{name} prints its URL: {line:?}")).parse().unwrap();
        Example { addr, lines, process }
    }

    /// Returns the next line on standard output.
    fn line(&mut self) -> String {
        self.lines.recv_timeout(2 * PATIENCE).expect("another line")
    }
}

struct Hello {
    addr: SocketAddr,
    _example: Example,
}

impl Hello {
    fn start() -> Self {
        let example = Example::start("hello");
        let addr = example.addr;
        let hello = Hello { addr, _example: example };
        // The example serves before it counts.
        poll("the metrics of hello", || {
            let body = http_get(addr, "/metrics").map_err(|error| error.to_string())?;
            if body.contains("\nhello_greeting_seconds_count ") && body.contains("\nhello_greetings_total ") {
                Ok(())
            } else {
                Err(body)
            }
        });
        hello
    }

    fn metrics(&self) -> String {
        http_get(self.addr, "/metrics").unwrap()
    }

    /// Returns the samples with these names. They have no labels except `le`.
    fn samples(&self, names: &[&str]) -> BTreeMap<Key, f64> {
        let body = self.metrics();
        let samples = body.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, le) = match series.split_once("{le=\"") {
                Some((name, le)) => (name, Some(le.strip_suffix("\"}")?)),
                None => (series, None),
            };
            let labels = le.map(|le| ("le".to_owned(), le.to_owned())).into_iter().collect();
            names.contains(&name).then(|| ((name.to_owned(), labels), value.parse().unwrap()))
        });
        let samples: BTreeMap<Key, f64> = samples.collect();
        assert!(samples.len() > names.len(), "{names:?} in {body}");
        samples
    }
}

fn samples_in(body: &str) -> usize {
    body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

/// Returns the entries of a JSON object of strings.
fn strings(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().unwrap().iter();
    entries.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}
