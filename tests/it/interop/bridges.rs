//! Tests the examples that serve the metrics of other libraries, other processes and files at one address.

use std::fs;
use std::process::Command;

use super::{Example, http_get};
use crate::support::Scratch;
use testing::process::poll;

/// Waits until each of these samples is served, and returns the exposition.
fn assert_served(example: &Example, samples: &[(&str, f64)]) -> String {
    poll("the samples", || {
        let body = http_get(example.addr, "/metrics").map_err(|error| error.to_string())?;
        for (series, value) in samples {
            if sample(&body, series) != Some(*value) {
                return Err(format!("no {series} {value} in {body}"));
            }
        }
        Ok(body)
    })
}

fn sample(body: &str, series: &str) -> Option<f64> {
    body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn examples_serve_other_libraries_at_one_address() {
    type Row =
        (&'static str, &'static [&'static str], &'static [(&'static str, f64)], &'static [&'static str]);
    let table: &[Row] = &[
        (
            "prometheus_client",
            &[],
            &[
                ("gossip_messages_total{topic=\"blocks\"}", 3.0),
                ("gossip_latency_seconds_bucket{le=\"0.064\"}", 1.0),
                ("gossip_latency_seconds_count", 1.0),
            ],
            &["gossip_messages_total counter", "gossip_latency_seconds histogram"],
        ),
        (
            "metrics_facade",
            &[],
            &[
                ("http_requests_total{method=\"GET\"}", 2.0),
                ("http_connections", 7.0),
                ("http_request_seconds_bucket{le=\"1\"}", 1.0),
                ("http_request_seconds_sum", 0.25),
            ],
            &["http_requests_total counter", "http_connections gauge", "http_request_seconds histogram"],
        ),
        (
            "metrics_facade",
            &["registry"],
            &[
                ("http_requests_total{method=\"GET\"}", 2.0),
                ("http_connections", 7.0),
                ("http_request_seconds_sum", 0.25),
            ],
            &["http_requests_total counter", "http_connections gauge", "http_request_seconds histogram"],
        ),
        (
            "opentelemetry",
            &[],
            &[
                ("shop_orders_total{country=\"pt\",otel_scope_name=\"shop\"}", 3.0),
                ("shop_checkout_seconds_sum{otel_scope_name=\"shop\"}", 0.25),
            ],
            &["shop_orders_total counter", "shop_checkout_seconds histogram"],
        ),
        ("two_versions", &[], &[("old_jobs_total", 7.0)], &["old_jobs_total counter"]),
    ];
    for (name, arguments, samples, types) in table {
        println!("{name} {arguments:?}");
        let arguments: Vec<&str> = ["127.0.0.1:0"].into_iter().chain(arguments.iter().copied()).collect();
        let example = Example::start_with(name, &arguments);
        let own =
            [("own_greetings_total", 1.0), ("prometheus_exporter_errors_total{cause=\"skipped\"}", 0.0)];
        let body = assert_served(&example, &[samples, &own[..]].concat());
        for kind in *types {
            assert!(body.contains(&format!("# TYPE {kind}\n")), "{name}: {kind} in {body}");
        }
    }
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn killed_child_has_up_zero_and_the_others_are_served() {
    let mut example = Example::start("child_processes");
    let body = assert_served(
        &example,
        &[
            ("child_up{child=\"0\"}", 1.0),
            ("child_up{child=\"1\"}", 1.0),
            ("child_up{child=\"2\"}", 1.0),
            ("worker_jobs_total{child=\"0\"}", 1.0),
            ("worker_jobs_total{child=\"2\"}", 1.0),
        ],
    );
    assert_eq!(body.matches("# TYPE worker_jobs_total counter\n").count(), 1, "{body}");
    let line = (0..3).map(|_| example.line()).last().unwrap();
    let process = line.strip_prefix("child 1 is process ").unwrap_or_else(|| panic!("{line:?}"));
    assert!(Command::new("kill").args(["-KILL", process]).status().unwrap().success());
    let body = assert_served(
        &example,
        &[
            ("child_up{child=\"0\"}", 1.0),
            ("child_up{child=\"1\"}", 0.0),
            ("worker_jobs_total{child=\"2\"}", 1.0),
        ],
    );
    assert_eq!(sample(&body, "worker_jobs_total{child=\"1\"}"), None, "{body}");
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn textfile_serves_the_files_as_node_exporter_does() {
    let scratch = Scratch::new("textfile");
    let backup =
        "# HELP backup_bytes Size of the last backup.\n# TYPE backup_bytes gauge\nbackup_bytes 123\n";
    fs::write(scratch.path("backup.prom"), backup).unwrap();
    fs::write(scratch.path("cron.prom"), "cron_runs{job=\"a\"} 7").unwrap();
    fs::write(scratch.path("cron.tmp"), "half_of_it").unwrap();
    let directory = scratch.path("");
    let example = Example::start_with("textfile", &["127.0.0.1:0", directory.to_str().unwrap()]);
    let samples = [("backup_bytes", 123.0), ("cron_runs{job=\"a\"}", 7.0), ("textfile_scrape_error", 0.0)];
    let body = assert_served(&example, &samples);
    assert!(body.contains("# TYPE backup_bytes gauge\n"), "{body}");
    assert_eq!(body.matches("\ntextfile_mtime_seconds{file=").count(), 2, "{body}");
    assert!(!body.contains("half_of_it"), "{body}");

    // An invalid file does not affect the samples of the others.
    fs::remove_file(scratch.path("cron.prom")).unwrap();
    fs::create_dir(scratch.path("broken.prom")).unwrap();
    // This file is OpenMetrics. It must not make OpenMetrics of the others, whose counters lack `_total`.
    fs::write(scratch.path("info.prom"), "# TYPE build info\nbuild_info{version=\"1\"} 1\n").unwrap();
    fs::write(scratch.path("jobs.prom"), "# TYPE jobs counter\njobs 5\n").unwrap();
    let samples = [("backup_bytes", 123.0), ("jobs", 5.0), ("textfile_scrape_error", 1.0)];
    let body = assert_served(&example, &samples);
    assert!(!body.contains("cron_runs"), "{body}");
    assert!(!body.contains("build_info"), "{body}");
}
