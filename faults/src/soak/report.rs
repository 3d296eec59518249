//! Writes the report of the soak test in Markdown.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counts;
use crate::driver::Report;
use testing::usage::{MIB, Usage};

type Figure = fn(&Sample) -> f64;

pub struct Sample {
    pub at: Duration,
    pub usage: Usage,
    /// Live bytes.
    pub allocated: u64,
}

/// Maximum resident memory in MiB. It is far above the live bytes: glibc keeps freed memory in several heaps, and after
/// each start the server's threads may get other heaps (`malloc(3)`, `M_ARENA_MAX`).
const MOST_MEMORY: f64 = 40.0;

/// Growth allowed from the second quarter to the last. A short run varies by more than 2 % by chance.
fn allowed(time: Duration) -> f64 {
    if time >= Duration::from_secs(1800) { 0.02 } else { 0.10 }
}

/// Returns the report, and whether the run has passed.
pub fn of(
    time: Duration,
    samples: &[Sample],
    Sample { at: _, usage: after, allocated }: Sample,
    (report, control): (Report, Report),
    counts: &Counts,
    faults: &[String],
) -> (String, bool) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let ms = |counter: &AtomicU64| count(counter) as f64 / 1000.0;
    let mut text = String::new();
    let mut passed = count(&counts.failed) == 0 && count(&counts.scrapes) > 0;
    let _ = writeln!(
        text,
        "# Soak\n\n`.ci/run soak`, {} s, a multi-thread host program on two shared cores, with this load:\n\n\
         * Ten scrapers, each once a second, in every format and coding.\n\
         * Twenty connections that send slowly or nothing.\n\
         * Four connections that read slowly, and four that read nothing.\n\
         * Resets and hostile heads.\n\
         * A stop and a start each minute.\n",
        time.as_secs()
    );
    let _ = writeln!(
        text,
        "| usage | mean of quarter 1 | 2 | 3 | 4 | growth from 2 to 4 |\n| --- | --- | --- | --- | --- | --- |"
    );
    let rows: [(&str, Figure, Option<f64>); 4] = [
        ("live bytes, MiB", |sample| sample.allocated as f64 / MIB, None),
        ("threads", |sample| sample.usage.threads as f64, None),
        ("descriptors", |sample| sample.usage.descriptors as f64, None),
        ("resident memory, MiB", |sample| sample.usage.memory as f64 / MIB, Some(MOST_MEMORY)),
    ];
    for (name, figure, most) in rows {
        let quarters = [0, 1, 2, 3].map(|quarter| mean(samples, time, quarter, figure));
        let growth = quarters[3] / quarters[1] - 1.0;
        passed &= most.map_or(growth <= allowed(time), |most| quarters[3] <= most);
        let [first, second, third, fourth] = quarters;
        let _ = writeln!(
            text,
            "| {name} | {first:.2} | {second:.2} | {third:.2} | {fourth:.2} | {:+.2} % |",
            100.0 * growth
        );
    }
    let cpu = samples.last().map_or(0.0, |sample| sample.usage.cpu.as_secs_f64() / sample.at.as_secs_f64());
    let _ = writeln!(
        text,
        "\nAllowed growth: {:.0} %. Allowed resident memory: {MOST_MEMORY} MiB, because glibc keeps freed memory.\n\n\
         | event or figure | value |\n| --- | --- |",
        100.0 * allowed(time)
    );
    let rows = [
        ("honest scrapes", count(&counts.scrapes).to_string()),
        (
            "failed honest scrapes, including slow readers whose connection was closed",
            count(&counts.failed).to_string(),
        ),
        ("requests repeated because the kept connection had closed", count(&counts.again).to_string()),
        ("slowest honest scrape, ms", format!("{:.1}", ms(&counts.slowest_us))),
        ("response bodies of honest scrapes, MiB", format!("{:.0}", count(&counts.bytes) as f64 / MIB)),
        ("complete bodies to readers of at most 40 KiB/s", count(&counts.slow_reads).to_string()),
        ("closed connections that sent slowly or nothing", count(&counts.drips_closed).to_string()),
        ("closed connections that read nothing", count(&counts.stalled_closed).to_string()),
        ("resets", count(&counts.resets).to_string()),
        ("hostile heads", count(&counts.hostile).to_string()),
        ("hostile heads that were answered and closed", count(&counts.hostile_answered).to_string()),
        ("stops and starts", count(&counts.restarts).to_string()),
        ("slowest stop, ms (drain limit 5,000)", format!("{:.1}", ms(&counts.slowest_stop_us))),
        ("gathers", report.gathers.to_string()),
        ("CPU time of the host program, % of one core", format!("{:.1}", 100.0 * cpu)),
        ("heartbeats of the host program", report.beats.to_string()),
        ("latest heartbeat, ms", format!("{:.1}", report.lag.as_secs_f64() * 1000.0)),
        (
            "latest heartbeat of a host program without a server, ms",
            format!("{:.1}", control.lag.as_secs_f64() * 1000.0),
        ),
        ("failed opens in the host program", report.failed_opens.to_string()),
        ("log lines of the host program", report.log_lines.to_string()),
        ("descriptors after all clients had disconnected", after.descriptors.to_string()),
        ("threads after that", after.threads.to_string()),
        ("live bytes after that, MiB", format!("{:.2}", allocated as f64 / MIB)),
        ("resident memory after that, MiB", format!("{:.2}", after.memory as f64 / MIB)),
    ];
    for (what, how_many) in rows {
        let _ = writeln!(text, "| {what} | {how_many} |");
    }
    passed &= report.failed_opens == 0 && after.descriptors <= 20 && report.log_lines <= time.as_secs();
    for fault in faults {
        let _ = writeln!(text, "\n* {fault}");
    }
    let _ = writeln!(text, "\n{}", if passed { "Passed." } else { "FAILED." });
    (text, passed)
}

fn mean(samples: &[Sample], time: Duration, quarter: u32, figure: Figure) -> f64 {
    let (from, to) = (time / 4 * quarter, time / 4 * (quarter + 1));
    let within: Vec<f64> =
        samples.iter().filter(|sample| sample.at >= from && sample.at < to).map(figure).collect();
    within.iter().sum::<f64>() / within.len().max(1) as f64
}
