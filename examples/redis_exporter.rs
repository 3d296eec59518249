//! A multi-target exporter: what `INFO` says of the Redis server that a scrape names, over plain TCP.
//!
//! Run `cargo run --example redis_exporter --features cli`, and `curl 'localhost:9121/probe?target=localhost:6379'` in another
//! terminal. The flags are those of Prometheus' exporters; `-- --help` lists them. `deploy/prometheus.yml` has the relabelling
//! by which Prometheus names the targets, and `deploy/Dockerfile` makes an image.

use std::collections::BTreeMap;
use std::error::Error;

use clap::Parser;
use prometheus_hyper::collector::{Samples, from_fn};
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{
    BoxError, Page, ProbeError, ProbeRequest, Server, WebArgs, build_info, shutdown_signal,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Exports what Redis servers report.
#[derive(Parser)]
#[command(version, mut_arg("web.listen-address", |arg| arg.default_value(":9121")))]
struct Args {
    #[command(flatten)]
    web: WebArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run(Args::parse()).await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal();
    let guard = Server::builder()
        .build_info(build_info!())
        .landing_page(Page::new("Redis exporter").description("Probes the Redis server that a scrape names."))
        .probe("/probe", probe)
        .web_args(&args.web)
        .start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}

async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let target = probe.target()?;
    let info = ask(target).await?;
    if !info.contains_key("redis_version") {
        Err("not a Redis server")?;
    }
    let registry = Registry::new();
    registry.register(Box::new(from_fn(move |s: &mut Samples| expose(&info, s))))?;
    Ok(registry)
}

/// More than any `INFO` has.
const MAX_BYTES: usize = 1024 * 1024;

/// Returns the lines `key:value` of `INFO`. The reply is a bulk string: `$`, the length in bytes, and the text.
async fn ask(target: &str) -> Result<BTreeMap<String, String>, BoxError> {
    let mut server = BufReader::new(TcpStream::connect(target).await?);
    server.write_all(b"INFO\r\n").await?;
    let mut first = String::new();
    (&mut server).take(256).read_line(&mut first).await?;
    let Some(length) = first.trim_end().strip_prefix('$') else {
        return Err(first.into()); // such as "-NOAUTH Authentication required."
    };
    let length: usize = length.parse()?;
    if length > MAX_BYTES {
        return Err("the reply is too long".into());
    }
    let mut bytes = vec![0; length];
    server.read_exact(&mut bytes).await?;
    let lines = String::from_utf8(bytes)?;
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Key, metric, help.
const GAUGES: &[(&str, &str, &str)] = &[
    ("uptime_in_seconds", "redis_uptime_seconds", "Time since the server started."),
    ("connected_clients", "redis_connected_clients", "Clients connected."),
    ("blocked_clients", "redis_blocked_clients", "Clients that wait in a blocking command."),
    ("used_memory", "redis_memory_used_bytes", "Memory that the server has allocated."),
    ("maxmemory", "redis_memory_max_bytes", "Memory that the server may use; 0 is no limit."),
    ("connected_slaves", "redis_connected_replicas", "Replicas connected."),
];

const COUNTERS: &[(&str, &str, &str)] = &[
    ("total_connections_received", "redis_connections_received_total", "Connections accepted."),
    ("total_commands_processed", "redis_commands_processed_total", "Commands processed."),
    ("total_net_input_bytes", "redis_net_input_bytes_total", "Bytes read from the network."),
    ("total_net_output_bytes", "redis_net_output_bytes_total", "Bytes written to the network."),
    ("keyspace_hits", "redis_keyspace_hits_total", "Lookups of keys that exist."),
    ("keyspace_misses", "redis_keyspace_misses_total", "Lookups of keys that do not exist."),
    ("expired_keys", "redis_expired_keys_total", "Keys that have expired."),
    ("evicted_keys", "redis_evicted_keys_total", "Keys evicted at the memory limit."),
];

fn expose(info: &BTreeMap<String, String>, s: &mut Samples) {
    let number = |key: &str| info.get(key).and_then(|value| value.parse::<f64>().ok());
    let text = |key: &str| info.get(key).map(String::as_str).unwrap_or_default();
    for (key, name, help) in GAUGES {
        number(key).map(|value| s.gauge(name, help, &[], value));
    }
    for (key, name, help) in COUNTERS {
        number(key).map(|value| s.counter(name, help, &[], value));
    }
    let labels = &[("version", text("redis_version")), ("role", text("role"))];
    s.gauge("redis_instance_info", "Version and role of the server, in labels.", labels, 1.0);
    // db0:keys=2,expires=1,avg_ttl=0
    for (database, values) in info.iter().filter(|(key, _)| key.starts_with("db")) {
        let counts = values.split(',').filter_map(|pair| pair.split_once('='));
        for (name, count) in counts.filter_map(|(name, count)| Some((name, count.parse().ok()?))) {
            let labels = &[("db", database.as_str())];
            match name {
                "keys" => drop(s.gauge("redis_db_keys", "Keys in a database.", labels, count)),
                "expires" => drop(s.gauge("redis_db_keys_expiring", "Keys that will expire.", labels, count)),
                _ => {}
            }
        }
    }
}
