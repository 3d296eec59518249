//! Reads the resource usage of a process from outside, because a host program without free descriptors
//! cannot.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// proc_pid_stat(5): clock ticks are a hundredth of a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Anonymous resident memory, in bytes.
    pub memory: u64,
    pub threads: u64,
    pub descriptors: u64,
    /// CPU time since the process began.
    pub cpu: Duration,
}

impl Usage {
    /// Returns None once the process has ended.
    pub fn of(pid: u32) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let row = |name: &str| -> Option<u64> {
            let row = status.lines().find_map(|line| line.strip_prefix(name))?;
            row.split_ascii_whitespace().next()?.parse().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may contain spaces.
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

/// Returns the target of each open descriptor: `socket:[1234]`, `/dev/null`.
pub fn descriptors(pid: u32) -> Option<Vec<String>> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let target = |path: &Path| fs::read_link(path).ok().map(|target| target.to_string_lossy().into_owned());
    Some(folder.filter_map(|entry| target(&entry.ok()?.path())).collect())
}

pub const MIB: f64 = 1024.0 * 1024.0;

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
