//! Measurements during a fault: the host program's heartbeat, a scraper that must not be harmed, the usage of
//! the process.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{LATE, check, ms};
use crate::client::scrape;
use crate::driver::{HostProgram, Report};
use testing::usage::{Usage, mib};

/// A host program without a server. Its heartbeat shows how late one is on this machine now, because of other
/// work.
pub struct Control(HostProgram);

impl Control {
    pub fn start() -> Result<Self, String> {
        HostProgram::start(&["alone"]).map(Control)
    }
}

/// Measurements since its start.
pub struct Watch {
    control: Control,
    start: Instant,
    pub before: Usage,
}

pub struct Seen {
    pub time: Duration,
    pub host: Report,
    control: Duration,
    /// Share of one core, between 0 and 1.
    pub cpu: f64,
    pub before: Usage,
    pub after: Usage,
}

impl Watch {
    pub fn begin(host: &mut HostProgram) -> Result<Self, String> {
        let mut control = Control::start()?;
        host.tell("reset")?;
        control.0.tell("reset")?;
        Ok(Watch { control, start: Instant::now(), before: host.usage()? })
    }

    pub fn end(mut self, host: &mut HostProgram) -> Result<Seen, String> {
        let (time, after) = (self.start.elapsed(), host.usage()?);
        let host = host.report()?;
        let control = self.control.0.report()?.lag;
        let cpu = (after.cpu - self.before.cpu).as_secs_f64() / time.as_secs_f64();
        Ok(Seen { time, host, control, cpu, before: self.before, after })
    }
}

impl Seen {
    /// Checks that the host program beats on time, that its opens succeed, and that its log stays short.
    pub fn host_is_well(&self, lag: Duration) -> Result<(), String> {
        let Report { beats, failed_opens, .. } = self.host;
        check(self.host.lag < lag + self.control, || {
            format!("{LATE}{} late; without a server {}", ms(self.host.lag), ms(self.control))
        })?;
        // Each beat within its 10 ms and the allowed delay.
        let expected = self.time.as_millis() / (10 + (lag + self.control).as_millis());
        check(u128::from(beats) >= expected, || format!("{beats} beats, expected at least {expected}"))?;
        check(failed_opens == 0, || format!("{failed_opens} opens of the host program failed"))?;
        self.log_is_short()
    }

    pub fn log_is_short(&self) -> Result<(), String> {
        let lines = self.host.log_lines;
        check(lines <= 1 + self.time.as_secs(), || format!("{lines} log lines in {:?}", self.time))
    }

    pub fn does_not_spin(&self, limit: f64) -> Result<(), String> {
        check(self.cpu < limit, || format!("{:.0} % of a core", 100.0 * self.cpu))
    }

    pub fn figures(&self) -> String {
        format!(
            "beats at most {} late ({} without a server), CPU {:.1} %, {} log lines",
            ms(self.host.lag),
            ms(self.control),
            100.0 * self.cpu,
            self.host.log_lines
        )
    }
}

/// Scrapes on new connections until it is stopped.
#[derive(Debug, Default)]
pub struct Steady {
    pub answered: u32,
    pub slowest: Duration,
    pub failed: Vec<String>,
}

impl Steady {
    pub fn scrape_until(over: &AtomicBool, addr: SocketAddr, limit: Duration) -> Steady {
        let mut steady = Steady::default();
        while !over.load(Ordering::Relaxed) {
            match scrape(addr, limit) {
                Ok(answer) if answer.status == 200 => {
                    steady.answered += 1;
                    steady.slowest = steady.slowest.max(answer.took);
                }
                Ok(answer) => steady.failed.push(format!("status {}", answer.status)),
                Err(error) => steady.failed.push(error.to_string()),
            }
            thread::sleep(Duration::from_millis(100));
        }
        steady
    }

    pub fn is_well(&self) -> Result<(), String> {
        check(self.failed.is_empty() && self.answered > 0, || {
            format!("{} of {} scrapes failed: {:?}", self.failed.len(), self.answered, self.failed.first())
        })
    }

    pub fn figures(&self) -> String {
        format!("{} scrapes, the slowest in {}", self.answered, ms(self.slowest))
    }
}

/// Returns the maximum memory until `over`.
pub fn most_memory(over: &AtomicBool, pid: u32) -> u64 {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        most = most.max(Usage::of(pid).map_or(0, |usage| usage.memory));
        thread::sleep(Duration::from_millis(5));
    }
    most
}

/// An allocator keeps some free memory. One body of it is no leak.
pub fn memory_is_back(before: u64, after: u64) -> Result<(), String> {
    let allowed = before + 2 * 1024 * 1024;
    check(after <= allowed, || format!("memory {:.1} MiB, before {:.1}", mib(after), mib(before)))
}

/// Ends the other threads when the waiting one is done, also after an error.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
