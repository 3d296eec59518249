//! A single-target exporter: what Linux counts of this machine's disks.
//!
//! Run `cargo run --example disk_exporter --features cli`, and `curl localhost:9184/metrics` in another terminal, or open
//! <http://localhost:9184/> in a browser. The flags are those of Prometheus' exporters; `-- --help` lists them.
//! `deploy/` has units for systemd.

use std::error::Error;
use std::fs;
use std::io;
use std::time::Instant;

use clap::Parser;
use prometheus_hyper::collector::{Samples, from_fn};
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Page, Server, WebArgs, build_info, shutdown_signal};

/// Exports what Linux counts of the disks.
#[derive(Parser)]
#[command(version, mut_arg("web.listen-address", |arg| arg.default_value(":9184")))]
struct Args {
    /// File with the counts
    #[arg(long, default_value = "/proc/diskstats")]
    diskstats: String,
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

async fn run(Args { diskstats, web }: Args) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal();
    let registry = Registry::new();
    registry.register(Box::new(from_fn(move |s: &mut Samples| {
        let started = Instant::now();
        let disks = fs::read_to_string(&diskstats).and_then(|text| text.lines().map(read).collect());
        let up = disks.map(|disks: Vec<_>| disks.iter().for_each(|disk| expose(disk, s)));
        s.gauge("disk_up", "Whether the disks could be read.", &[], up.is_ok().into());
        let seconds = started.elapsed().as_secs_f64();
        s.gauge("disk_scrape_duration_seconds", "Time that reading them took.", &[], seconds);
    })))?;

    let page = Page::new("Disk exporter")
        .description("What Linux counts of this machine's disks.")
        .link("What the fields mean", "https://docs.kernel.org/admin-guide/iostats.html");
    let guard = Server::builder()
        .registry(&registry)
        .default_collectors(true)
        .build_info(build_info!())
        .landing_page(page)
        .web_args(&web)
        .start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    shutdown.await;
    guard.shutdown().await;
    Ok(())
}

struct Disk {
    device: String,
    /// The fields after the name. The kernel's documentation numbers them from 1.
    fields: Vec<f64>,
}

/// Major and minor number, the device's name, and at least eleven fields.
fn read(line: &str) -> io::Result<Disk> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, line);
    let mut words = line.split_ascii_whitespace().skip(2);
    let device = words.next().ok_or_else(invalid)?.to_owned();
    let fields: Vec<f64> =
        words.map(|word| word.parse().map_err(|_| invalid())).collect::<io::Result<_>>()?;
    if fields.len() < 11 {
        return Err(invalid());
    }
    Ok(Disk { device, fields })
}

/// Field, metric, help, and the factor to base units: a sector has 512 bytes, and times are in milliseconds.
const COUNTERS: &[(usize, &str, &str, f64)] = &[
    (1, "disk_reads_completed_total", "Reads completed.", 1.0),
    (3, "disk_read_bytes_total", "Bytes read.", 512.0),
    (4, "disk_read_time_seconds_total", "Time spent by all reads.", 0.001),
    (5, "disk_writes_completed_total", "Writes completed.", 1.0),
    (7, "disk_written_bytes_total", "Bytes written.", 512.0),
    (8, "disk_write_time_seconds_total", "Time spent by all writes.", 0.001),
    (10, "disk_io_time_seconds_total", "Time during which requests were in flight.", 0.001),
];

fn expose(disk: &Disk, s: &mut Samples) {
    let labels = &[("device", disk.device.as_str())];
    for (field, name, help, unit) in COUNTERS {
        s.counter(name, help, labels, disk.fields[field - 1] * unit);
    }
    s.gauge("disk_io_in_progress", "Reads and writes in flight.", labels, disk.fields[9 - 1]);
}
