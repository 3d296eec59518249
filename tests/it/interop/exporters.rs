//! Tests the examples that are exporters, with their targets: a Redis server, and the kernel's disk
//! statistics.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::prometheus::Prometheus;
use super::{Example, http_get};
use crate::support::Scratch;
use testing::process::{PATIENCE, Process, poll, tool};

/// Runs Debian's `redis-server` on a free port, without persistence.
struct Redis {
    addr: SocketAddr,
    _process: Process,
    _scratch: Scratch,
}

impl Redis {
    fn start() -> Self {
        let scratch = Scratch::new("redis");
        // Redis does not report a port chosen by port 0. Another process may take the free port first, so
        // several are tried.
        for _ in 0..5 {
            let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = Command::new(tool("REDIS_SERVER", "redis-server"));
            let port = addr.port().to_string();
            command
                .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"])
                .arg(scratch.path(""));
            let mut process = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()));
            let begun = std::time::Instant::now();
            while process.0.try_wait().unwrap().is_none() {
                assert!(begun.elapsed() < PATIENCE, "redis-server does not listen");
                if is_run_by(addr, process.0.id()) {
                    return Redis { addr, _process: process, _scratch: scratch };
                }
                std::thread::yield_now();
            }
        }
        panic!("redis-server found no free port");
    }

    /// Sends commands that have a reply of one line.
    fn command(&self, commands: &[&str]) {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
        for command in commands {
            stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
            let reply = replies.next().unwrap().unwrap();
            assert!(!reply.starts_with('-'), "{command}: {reply}");
        }
    }
}

/// Returns whether this process listens there. Regression: two tests got the same free port, and both used
/// the same server.
fn is_run_by(redis: SocketAddr, process: u32) -> bool {
    let Ok(mut stream) = TcpStream::connect(redis) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = String::new();
    stream.write_all(b"INFO server\r\nQUIT\r\n").is_ok()
        && stream.read_to_string(&mut told).is_ok()
        && told.contains(&format!("\nprocess_id:{process}\r"))
}

fn sample(body: &str, series: &str) -> Option<f64> {
    body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
#[ignore = "needs redis-server and a Prometheus: .ci/run programs"]
fn redis_exporter_serves_the_values_of_redis() {
    let redis = Redis::start();
    // Database 0 has three keys. Database 5 has one, which expires.
    redis.command(&["SET a 1", "SET b 2", "SET c 3", "SELECT 5", "SET d 4", "EXPIRE d 1000", "SELECT 0"]);
    let exporter = Example::start_with("redis_exporter", &["--web.listen-address=127.0.0.1:0"]);
    let probe = |target: &str| http_get(exporter.addr, &format!("/probe?target={target}")).unwrap();

    let body = probe(&redis.addr.to_string());
    let table = [
        ("probe_success", 1.0),
        ("redis_db_keys{db=\"db0\"}", 3.0),
        ("redis_db_keys_expiring{db=\"db0\"}", 0.0),
        ("redis_db_keys{db=\"db5\"}", 1.0),
        ("redis_db_keys_expiring{db=\"db5\"}", 1.0),
        ("redis_connected_clients", 1.0),
    ];
    for (series, value) in table {
        assert_eq!(sample(&body, series), Some(value), "{series} in {body}");
    }
    assert!(body.contains("redis_instance_info{role=\"master\",version=\""), "{body}");
    // One more INFO is one more command.
    let commands = |body: &str| sample(body, "redis_commands_processed_total").unwrap();
    assert_eq!(commands(&probe(&redis.addr.to_string())), commands(&body) + 1.0);

    // A server of another protocol, one that requires a password, and a closed port.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    redis.command(&["CONFIG SET requirepass secret"]);
    for target in [exporter.addr, redis.addr, gone] {
        let body = probe(&target.to_string());
        assert_eq!(sample(&body, "probe_success"), Some(0.0), "{target}: {body}");
    }
    let error = http_get(exporter.addr, "/probe").unwrap_err().to_string();
    assert!(error.contains("400") && error.contains("parameter target is missing"), "{error}");
}

#[test]
#[ignore = "needs redis-server and a Prometheus: .ci/run programs"]
fn prometheus_scrapes_redis_through_its_exporter() {
    let redis = Redis::start();
    redis.command(&["SET a 1"]);
    let exporter = Example::start_with("redis_exporter", &["--web.listen-address=127.0.0.1:0"]);
    // The deployed configuration, with the addresses of this test.
    let config = include_str!("../../../examples/deploy/prometheus.yml")
        .replace("localhost:6379", &redis.addr.to_string())
        .replace("localhost:9121", &exporter.addr.to_string());
    let secondly = "global: {scrape_interval: 1s, scrape_timeout: 1s}";
    let prometheus = Prometheus::start_config(&[], &format!("{secondly}\n{config}"));
    let of_redis = format!(r#"job="redis",instance="{}""#, redis.addr);
    let of_exporter = format!(r#"job="redis_exporter",instance="{}""#, exporter.addr);
    for (query, value) in [
        (format!("up{{{of_redis}}}"), 1.0),
        (format!("probe_success{{{of_redis}}}"), 1.0),
        (format!(r#"redis_db_keys{{{of_redis},db="db0"}}"#), 1.0),
        (
            format!(r#"prometheus_exporter_probes_total{{{of_exporter},outcome="failure",path="/probe"}}"#),
            0.0,
        ),
    ] {
        let query = query.as_str();
        prometheus.wait_for(query, || match prometheus.query(query)?[..] {
            [ref sample] if sample.value == value => Ok(()),
            ref other => Err(format!("{other:?}")),
        });
    }
}

#[test]
#[ignore = "needs the examples of feature cli: .ci/run programs"]
fn disk_exporter_serves_the_counts_of_the_kernel() {
    let scratch = Scratch::new("disks");
    let stats = scratch.path("diskstats");
    // The first line is from a kernel before 4.18, the second from 5.5 or later.
    fs::write(
        &stats,
        "   8       0 sda 100 1 2000 300 40 5 600 700 3 800 900\n \
         259       0 nvme0n1 1 0 8 2 3 0 16 4 0 5 6 7 8 9 10 11 12\n",
    )
    .unwrap();
    let argument = format!("--diskstats={}", stats.display());
    let exporter = Example::start_with("disk_exporter", &["--web.listen-address=127.0.0.1:0", &argument]);
    let body = http_get(exporter.addr, "/metrics").unwrap();
    let table = [
        ("disk_up", 1.0),
        ("disk_reads_completed_total{device=\"sda\"}", 100.0),
        ("disk_read_bytes_total{device=\"sda\"}", 1_024_000.0),
        ("disk_read_time_seconds_total{device=\"sda\"}", 0.3),
        ("disk_writes_completed_total{device=\"sda\"}", 40.0),
        ("disk_written_bytes_total{device=\"sda\"}", 307_200.0),
        ("disk_write_time_seconds_total{device=\"sda\"}", 0.7),
        ("disk_io_time_seconds_total{device=\"sda\"}", 0.8),
        ("disk_io_in_progress{device=\"sda\"}", 3.0),
        ("disk_written_bytes_total{device=\"nvme0n1\"}", 8192.0),
    ];
    for (series, value) in table {
        let sampled = sample(&body, series).unwrap_or_else(|| panic!("no {series} in {body}"));
        assert!((sampled - value).abs() < 1e-9, "{series}: {sampled} instead of {value}");
    }
    assert!(sample(&body, "disk_scrape_duration_seconds") > Some(0.0), "{body}");
    assert!(http_get(exporter.addr, "/").unwrap().contains("Disk exporter"));

    // A removed disk is no longer served. If the file is unreadable, `disk_up` is 0.
    fs::write(&stats, "259 0 nvme0n1 1 0 8 2 3 0 16 4 0 5 6\n").unwrap();
    let body = http_get(exporter.addr, "/metrics").unwrap();
    assert!(!body.contains("sda") && sample(&body, "disk_up") == Some(1.0), "{body}");
    fs::write(&stats, "no disk\n").unwrap();
    let body = http_get(exporter.addr, "/metrics").unwrap();
    assert!(!body.contains("nvme0n1") && sample(&body, "disk_up") == Some(0.0), "{body}");
}

/// Compares with the disks of this machine. The file is read before and after the scrape.
#[test]
#[ignore = "needs the examples of feature cli: .ci/run programs"]
fn disk_exporter_reads_the_disks_of_this_machine() {
    let completed = || -> Vec<(String, f64)> {
        let stats = fs::read_to_string("/proc/diskstats").unwrap();
        let columns = stats.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        columns.map(|columns| (columns[2].to_owned(), columns[3].parse().unwrap())).collect()
    };
    let exporter = Example::start_with("disk_exporter", &["--web.listen-address=127.0.0.1:0"]);
    let before = completed();
    assert!(!before.is_empty(), "this machine has no disks");
    let body = poll("the disks", || http_get(exporter.addr, "/metrics").map_err(|error| error.to_string()));
    for ((device, before), (_, after)) in before.iter().zip(completed()) {
        let reads = sample(&body, &format!("disk_reads_completed_total{{device=\"{device}\"}}")).unwrap();
        assert!((*before..=after).contains(&reads), "{device}: {reads} is not within {before}..={after}");
    }
}
