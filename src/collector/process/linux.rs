//! Reads the process on Linux, from the files of `/proc` (proc(5)).

use std::fs;
use std::path::Path;

use parking_lot::Mutex;

use super::reading::{Kept, Reading};
use crate::util::limits::soft_limit;

/// The ticks per second in `/proc/self/stat`.
///
/// It is `USER_HZ`, which does not depend on the kernel's own ticks (time(7)). It is 100 in
/// include/asm-generic/param.h. Only Alpha has another value, and Rust does not support Alpha.
const USER_HZ: f64 = 100.0;

/// The bytes of a `kB` in `/proc/self/status`.
const KB: f64 = 1024.0;

/// Reads the process.
///
/// The start time is kept. It is relative to the boot time, which changes whenever the clock is set.
pub(super) fn read(kept: &Kept) -> Reading {
    let stat = text("/proc/self/stat").and_then(|stat| parse_stat(&stat));
    let status = text("/proc/self/status").unwrap_or_default();
    let limits = limits(text("/proc/self/limits"), &kept.limits);
    let start_time = kept.start_time.get_or_try_init(|| {
        let Stat { start_ticks, .. } = *stat.as_ref().ok_or(())?;
        // The file has a line for each processor and a number for each interrupt, too long for each scrape.
        let boot = text("/proc/stat").and_then(|stat| parse_boot_time(&stat)).ok_or(())?;
        Ok::<_, ()>(boot as f64 + start_ticks / USER_HZ)
    });
    Reading {
        cpu_seconds: stat.as_ref().map(|stat| stat.cpu_ticks / USER_HZ),
        resident_bytes: status_row(&status, "VmRSS:").map(|size| size * KB),
        virtual_bytes: status_row(&status, "VmSize:").map(|size| size * KB),
        virtual_max_bytes: soft_limit(&limits, "Max address space").map(|limit| limit as f64),
        open_fds: open_fds(Path::new("/proc/self/fd")),
        max_fds: soft_limit(&limits, "Max open files").map(|limit| limit as f64),
        start_time_seconds: start_time.ok().copied(),
        threads: status_row(&status, "Threads:"),
    }
}

/// Returns the limits that were just read, or else the last ones.
fn limits(read: Option<String>, last: &Mutex<String>) -> String {
    let mut last = last.lock();
    if let Some(read) = read {
        *last = read;
    }
    last.clone()
}

/// Returns the text of a file. Lossy, because two of the files have the program's name, cut after 15 bytes.
fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the number of descriptors of the process.
fn open_fds(folder: &Path) -> Option<f64> {
    // Since Linux 6.2 the size of the folder is their number, which takes one call. Before, the size is zero. Go's
    // procfs does the same (`FileDescriptorsLen`).
    let size = fs::metadata(folder).ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    // Without the descriptor of the listing.
    Some(count(folder)?.checked_sub(1)? as f64)
}

fn count(folder: &Path) -> Option<u64> {
    fs::read_dir(folder).ok()?.try_fold(0, |count, entry| entry.ok().map(|_| count + 1))
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    /// The CPU time of all threads in user and kernel mode.
    cpu_ticks: f64,
    /// The time from the boot to the start of the process.
    start_ticks: f64,
}

/// Reads the fields utime (14), stime (15) and starttime (22) of proc_pid_stat(5).
fn parse_stat(stat: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses. It may contain spaces and parentheses.
    let (_, from_third) = stat.rsplit_once(')')?;
    let mut fields = from_third.split_ascii_whitespace();
    let utime = ticks(fields.nth(14 - 3)?)?;
    let stime = ticks(fields.next()?)?;
    let starttime = ticks(fields.nth(22 - 15 - 1)?)?;
    Some(Stat { cpu_ticks: utime + stime, start_ticks: starttime })
}

fn ticks(field: &str) -> Option<f64> {
    field.parse::<u64>().ok().map(|ticks| ticks as f64)
}

/// Returns the number in a row of proc_pid_status(5).
fn status_row(status: &str, name: &str) -> Option<f64> {
    let row = status.lines().find_map(|line| line.strip_prefix(name))?;
    row.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|number| number as f64)
}

/// Returns `btime` of proc_stat(5), in seconds since the epoch.
fn parse_boot_time(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alone::{CHILD, run_alone};
    use crate::scratch::Scratch;

    const REST: &str =
        "S 7179 7179 6402 0 -1 4194304 98 0 0 0 120 34 5 6 20 0 1 0 1120707 3133440 382 18446744073709551615";

    #[test]
    fn reads_the_times_after_any_program_name() {
        let names =
            ["cat", "", " ", "a) R 1 (b", ")", "((", ") ) )", "tokio: 1 2 3", "gr\u{fffd}", "a\nb) S 9 (c\n"];
        for name in names {
            let stat = parse_stat(&format!("7295 ({name}) {REST} 0 0 17 0\n"));
            assert_eq!(stat, Some(Stat { cpu_ticks: 154.0, start_ticks: 1120707.0 }), "{name:?}");
        }
        let short = format!("1 (a) {}", REST.split(" 3133440").next().unwrap());
        assert!(parse_stat(&short).is_some(), "fields after the start are optional");
    }

    #[test]
    fn rejects_incomplete_stat() {
        let start = REST.find("1120707").unwrap();
        let whole = format!("1 (a) {}", &REST[..start]);
        for end in 0..=whole.len() {
            assert_eq!(parse_stat(&whole[..end]), None, "{:?}", &whole[..end]);
        }
        for stat in
            ["1 (a)", "1 (a", ")", &REST.replace("120", "-1"), &format!("1 (a) {}", REST.replace("34", "x"))]
        {
            assert_eq!(parse_stat(stat), None, "{stat:?}");
        }
    }

    #[test]
    fn finds_a_row_of_the_status_by_name() {
        let status = "Name:\tVmRSS: 1\nVmPeak:\t    2928 kB\nVmSize:\t    2920 kB\nVmRSS:\t 1796 kB\nThreads:\t3\nVmSwap:\nVmLib:\t- kB\n";
        let table = [
            ("VmSize:", Some(2920.0)),
            ("VmRSS:", Some(1796.0)),
            ("Threads:", Some(3.0)),
            ("VmSwap:", None),
            ("VmLib:", None),
            ("VmPTE:", None),
        ];
        for (name, expected) in table {
            assert_eq!(status_row(status, name), expected, "{name}");
            assert_eq!(status_row("", name), None);
        }
    }

    #[test]
    fn finds_the_row_of_the_boot_time() {
        let table = [
            ("cpu  1 2 3\nintr 4 0 0\nctxt 5\nbtime 1700000000\nprocesses 6\n", Some(1_700_000_000)),
            ("btime 1700000000", Some(1_700_000_000)),
            ("btime \n", None),
            ("btime", None),
            ("processes 6\n", None),
            ("", None),
        ];
        for (stat, expected) in table {
            assert_eq!(parse_boot_time(stat), expected, "{stat:?}");
        }
    }

    #[test]
    fn tolerates_invalid_utf8_and_missing_files() {
        let scratch = Scratch::new("process");
        let folder = scratch.0.clone();
        assert_eq!(count(&folder), Some(0));
        for name in ["a", "b", "c"] {
            fs::write(folder.join(name), [&b"1 (gr\xc3) "[..], REST.as_bytes()].concat()).unwrap();
        }
        let (files, stat) = (count(&folder), text(folder.join("a")));
        drop(scratch);
        assert_eq!(files, Some(3));
        assert!(parse_stat(&stat.unwrap()).is_some());
        assert_eq!((count(&folder), open_fds(&folder), text(folder)), (None, None, None));
    }

    /// Runs in its own process because other tests open and close files.
    #[test]
    fn both_counts_of_descriptors_include_each_open_file() {
        run_alone("collector::process::linux::tests::child_that_counts_descriptors", "", &[]);
    }

    #[test]
    #[ignore = "run by another test"]
    fn child_that_counts_descriptors() {
        if std::env::var(CHILD).is_err() {
            return;
        }
        let folder = Path::new("/proc/self/fd");
        let listed = || count(folder).unwrap() as f64 - 1.0;
        let before = (open_fds(folder).unwrap(), listed());
        let _files = [(); 3].map(|()| fs::File::open("/proc/self/stat").unwrap());
        let during = (open_fds(folder).unwrap(), listed());
        assert_eq!((before.0, during), (before.1, (before.0 + 3.0, before.1 + 3.0)));
    }

    #[test]
    fn keeps_the_start_time_but_no_failure() {
        let kept = Kept::default();
        let read_first = read(&kept).start_time_seconds;
        assert_eq!(kept.start_time.get().copied(), read_first);
        let kept = Kept { start_time: 12.5.into(), ..Kept::default() };
        assert_eq!(read(&kept).start_time_seconds, Some(12.5));
    }

    #[test]
    fn keeps_the_last_limits_if_they_cannot_be_read() {
        let last = Mutex::default();
        for (now, known) in [(None, ""), (Some("a"), "a"), (None, "a"), (Some("b"), "b"), (None, "b")] {
            assert_eq!(limits(now.map(str::to_owned), &last), known, "{now:?}");
        }
    }
}
