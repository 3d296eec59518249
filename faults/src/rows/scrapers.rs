//! Real scrapers with an interval of a second, while clients connect and disconnect.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testing::process::Process;
use testing::scratch::Scratch;

use super::watch::Watch;
use super::{Bench, Outcome, Row, check, wait_for};
use crate::client::Connection;
use crate::soak;

pub const ROWS: &[Row] = &[Row {
    name: "prometheus-and-vmagent",
    proves: "no scrape fails while clients connect and disconnect, as the scraper itself reports; SCRAPERS_SECONDS=600 takes ten minutes",
    unprotected: None,
    run: scraped,
}];

const SECOND: Duration = Duration::from_secs(1);

/// Ends the scraper and removes its folder when it is dropped.
struct Scraper {
    _process: Process,
    _folder: Scratch,
    addr: SocketAddr,
}

impl Scraper {
    /// `arguments` gets the folder with `config`, and the address.
    fn start(
        program: &str,
        config: &str,
        arguments: impl FnOnce(&str, SocketAddr) -> Vec<String>,
    ) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let addr = free.map_err(|error| error.to_string())?;
        let folder = Scratch::new(program);
        folder.write("config", config);
        let mut command = Command::new(program);
        command.args(arguments(&folder.0.to_string_lossy(), addr)).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let scraper = Scraper { _process: Process(child), _folder: folder, addr };
        wait_for(20 * SECOND, "the scraper to listen", || Connection::open(addr, SECOND).is_ok())
            .map_err(|error| format!("{program}: {error}"))?;
        Ok(scraper)
    }
}

/// Returns one number from Prometheus.
fn query(prometheus: SocketAddr, query: &str) -> Result<f64, String> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let request = format!("GET /api/v1/query?query={encoded} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer =
        Connection::open(prometheus, SECOND).and_then(|mut it| it.ask(request.as_bytes(), 5 * SECOND));
    let answer = answer.map_err(|error| format!("{query}: {error}"))?;
    let json: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let value = json["data"]["result"][0]["value"][1].as_str();
    value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("{query}: {json}"))
}

fn config(job: &str, addr: SocketAddr) -> String {
    format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  - job_name: {job}\n    static_configs:\n      - \
         targets: [\"{addr}\"]\n"
    )
}

fn scraped(bench: &Bench) -> Outcome {
    let seconds =
        std::env::var("SCRAPERS_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(20);
    let mut host = bench.host(&["multi"])?;
    host.tell("body 0.5")?;
    let prometheus = Scraper::start("prometheus", &config("prometheus", host.addr), |folder, addr| {
        vec![
            format!("--config.file={folder}/config"),
            format!("--storage.tsdb.path={folder}/data"),
            format!("--web.listen-address={addr}"),
            "--web.enable-remote-write-receiver".to_owned(),
        ]
    })?;
    let receiver = prometheus.addr;
    let vmagent = Scraper::start("vmagent", &config("vmagent", host.addr), |folder, addr| {
        vec![
            format!("-promscrape.config={folder}/config"),
            format!("-remoteWrite.url=http://{receiver}/api/v1/write"),
            format!("-remoteWrite.tmpDataPath={folder}/data"),
            format!("-httpListenAddr={addr}"),
        ]
    })?;
    let watch = Watch::begin(&mut host)?;
    soak::while_clients_come_and_go(host.addr, || thread::sleep(Duration::from_secs(seconds)));
    let seen = watch.end(&mut host)?;
    // vmagent is still sending its last scrape.
    thread::sleep(2 * SECOND);
    let mut figures = Vec::new();
    for job in ["prometheus", "vmagent"] {
        let of = |function: &str, metric: &str| {
            query(prometheus.addr, &format!("{function}({metric}{{job=\"{job}\"}}[2h])"))
        };
        let (scrapes, good) = (of("count_over_time", "up")?, of("sum_over_time", "up")?);
        check(scrapes >= seconds as f64 / 2.0, || format!("{job}: {scrapes} scrapes in {seconds} s"))?;
        check(scrapes == good, || format!("{job}: {} of {scrapes} scrapes failed", scrapes - good))?;
        let samples = of("min_over_time", "scrape_samples_scraped")?;
        check(samples > 5000.0, || format!("{job}: {samples} samples"))?;
        let stored = query(prometheus.addr, &format!("count(unruly_total{{job=\"{job}\"}})"))?;
        check(stored > 5000.0, || format!("{job}: {stored} series are stored"))?;
        figures.push(format!("{job}: {good} of {scrapes} scrapes, {stored} series stored"));
    }
    // Odd label values, in addition to families that are skipped.
    host.tell("rubbish")?;
    thread::sleep(6 * SECOND);
    for job in ["prometheus", "vmagent"] {
        let good = query(prometheus.addr, &format!("min_over_time(up{{job=\"{job}\"}}[3s])"))?;
        check(good == 1.0, || format!("{job}: a scrape of invalid families failed"))?;
        // OpenMetrics, which Prometheus asks for, does not allow NaN as a counter. It allows NaN as a gauge.
        for (name, odd, series) in
            [("unruly_values", "nan|inf|-inf", 3.0), ("unruly_total", "same[^x]+", 1.0)]
        {
            let odd = format!("count({name}{{job=\"{job}\",series=~\"{odd}\"}})");
            let stored = query(prometheus.addr, &odd)?;
            check(stored == series, || format!("{odd}: {stored}"))?;
        }
    }
    drop(vmagent);
    seen.host_is_well(Duration::from_millis(50))?;
    Ok(format!("{}; {}", figures.join("; "), seen.figures()))
}
