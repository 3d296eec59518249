//! What a process uses, read from outside: a host program without a free descriptor could not tell itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// proc_pid_stat(5): clock ticks are a hundredth of a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident memory that is no file's, in bytes.
    pub memory: u64,
    pub threads: u64,
    pub descriptors: u64,
    /// Processor time since the process began.
    pub cpu: Duration,
}

impl Usage {
    /// None once the process is gone.
    pub fn of(pid: u32) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let row = |name: &str| -> Option<u64> {
            let row = status.lines().find_map(|line| line.strip_prefix(name))?;
            row.split_ascii_whitespace().next()?.parse().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold blanks.
        let behind_the_name: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |n: usize| behind_the_name.get(n)?.parse::<u32>().ok();
        Some(Usage {
            memory: row("RssAnon:")? * 1024,
            threads: row("Threads:")?,
            descriptors: descriptors(pid)?.len() as u64,
            cpu: TICK * (ticks(11)? + ticks(12)?),
        })
    }
}

/// What each open descriptor is: `socket:[1234]`, `/dev/null`.
pub fn descriptors(pid: u32) -> Option<Vec<String>> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let target = |path: &Path| fs::read_link(path).ok().map(|target| target.to_string_lossy().into_owned());
    Some(folder.filter_map(|entry| target(&entry.ok()?.path())).collect())
}

pub const MIB: f64 = 1024.0 * 1024.0;

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
