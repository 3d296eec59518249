//! Hours of everything at once: honest scrapers in every format and coding, slow clients, resets, hostile
//! heads, a stop and a start each minute. The usage of the host program must not grow, and no honest scrape
//! may fail.

mod clients;
mod report;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crate::driver::{HostProgram, number};
use testing::usage::Usage;

use report::Sample;

/// The approximate size of an exposition.
const BODY_MIB: f64 = 0.5;

/// State that all clients share.
#[derive(Default)]
pub struct Soak {
    over: AtomicBool,
    /// Locked for reading while a client needs the server, and for writing during a stop and a start.
    server: RwLock<()>,
    /// The number of the server's start, so that no client takes a stop for a fault.
    generation: AtomicU64,
    counts: Counts,
    /// The first faults.
    faults: Mutex<Vec<String>>,
}

#[derive(Default)]
pub struct Counts {
    scrapes: AtomicU64,
    failed: AtomicU64,
    /// Requests repeated on another connection, because an idle one had closed. Go's client does the same.
    again: AtomicU64,
    slowest_us: AtomicU64,
    bytes: AtomicU64,
    slow_reads: AtomicU64,
    drips_closed: AtomicU64,
    stalled_closed: AtomicU64,
    resets: AtomicU64,
    hostile: AtomicU64,
    hostile_answered: AtomicU64,
    restarts: AtomicU64,
    slowest_stop_us: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Soak {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn fault(&self, fault: String) {
        count(&self.counts.failed);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < 20 {
            eprintln!("{fault}");
            faults.push(fault);
        }
    }

    /// Sleeps until then, or until the end of the test.
    fn pause(&self, time: Duration) {
        let start = Instant::now();
        while !self.is_over() && start.elapsed() < time {
            thread::sleep(time.saturating_sub(start.elapsed()).min(Duration::from_millis(100)));
        }
    }
}

pub fn main(seconds: u64, path: &str) -> ExitCode {
    match soak(Duration::from_secs(seconds)) {
        Ok(report) => {
            let (text, passed) = report;
            println!("{text}");
            if let Err(error) = std::fs::write(path, text) {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
            if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn soak(time: Duration) -> Result<(String, bool), String> {
    let mut host = HostProgram::start(&["multi"])?;
    host.tell(&format!("body {BODY_MIB}"))?;
    let soak = Soak::default();
    let (addr, pid) = (host.addr, host.pid);
    // A host program without a server, because other work of the machine also delays beats.
    let mut control = HostProgram::start(&["alone"])?;
    host.tell("reset")?;
    control.tell("reset")?;
    let start = Instant::now();
    let mut samples = Vec::new();
    let ended = thread::scope(|scope| {
        let soak = &soak;
        for n in 0..clients::SCRAPERS.len() {
            scope.spawn(move || clients::scrapes(soak, addr, n));
        }
        come_and_go(scope, soak, addr);
        let ended = watch(soak, &mut host, time, start, &mut samples);
        soak.over.store(true, Ordering::Relaxed);
        ended
    });
    ended?;
    let after = Sample { at: time, usage: wait_for_calm(pid)?, allocated: allocated(&mut host)? };
    let (report, control) = (host.report()?, control.report()?);
    let faults = soak.faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report::of(time, &samples, after, (report, control), &soak.counts, &faults))
}

/// Runs the clients that do not scrape while `what` runs.
pub fn while_clients_come_and_go(addr: SocketAddr, what: impl FnOnce()) {
    let soak = Soak::default();
    thread::scope(|scope| {
        come_and_go(scope, &soak, addr);
        what();
        soak.over.store(true, Ordering::Relaxed);
    });
}

fn come_and_go<'scope>(scope: &'scope Scope<'scope, '_>, soak: &'scope Soak, addr: SocketAddr) {
    scope.spawn(move || clients::drips(soak, addr));
    for n in 0..4 {
        scope.spawn(move || clients::reads_slowly(soak, addr, n));
        scope.spawn(move || clients::reads_nothing(soak, addr, n));
        scope.spawn(move || clients::is_hostile(soak, addr, n));
    }
    scope.spawn(move || clients::resets(soak, addr));
}

/// Takes a sample each second. Stops and starts the server each minute.
fn watch(
    soak: &Soak,
    host: &mut HostProgram,
    time: Duration,
    start: Instant,
    samples: &mut Vec<Sample>,
) -> Result<(), String> {
    let mut minutes = 0;
    while start.elapsed() < time {
        thread::sleep(Duration::from_secs(1));
        samples.push(Sample { at: start.elapsed(), usage: host.usage()?, allocated: allocated(host)? });
        if start.elapsed().as_secs() / 60 == minutes {
            continue;
        }
        minutes = start.elapsed().as_secs() / 60;
        let alone = soak.server.write().unwrap_or_else(PoisonError::into_inner);
        let stop = host.tell("stop")?;
        host.tell("start")?;
        soak.generation.fetch_add(1, Ordering::Relaxed);
        drop(alone);
        count(&soak.counts.restarts);
        let took = number(&stop, "us");
        soak.counts.slowest_stop_us.fetch_max(took, Ordering::Relaxed);
        if let Some(sample) = samples.last() {
            let (usage, failed) = (sample.usage, soak.counts.failed.load(Ordering::Relaxed));
            eprintln!("{minutes} min: {failed} failed, {usage:?}");
        }
    }
    Ok(())
}

/// Returns the live bytes of the host program.
fn allocated(host: &mut HostProgram) -> Result<u64, String> {
    Ok(number(&host.tell("allocated")?, "bytes"))
}

/// Waits until all clients have disconnected, including the write timeout of the last one that reads nothing.
fn wait_for_calm(pid: u32) -> Result<Usage, String> {
    let mut last = None;
    for _ in 0..45 {
        thread::sleep(Duration::from_secs(1));
        let usage = Usage::of(pid).ok_or("the host program has exited")?;
        if last.is_some_and(|last: Usage| last.descriptors <= 20 && last.descriptors == usage.descriptors) {
            return Ok(usage);
        }
        last = Some(usage);
    }
    last.ok_or_else(|| "no time".to_owned())
}
