//! Runs tests in a process of their own, also the library's. They count the process's threads or descriptors,
//! change its environment or directory, or set a global subscriber.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Set in a child, to its mode.
pub const CHILD: &str = "PROMETHEUS_HYPER_TEST_CHILD";

/// Longer than any child takes on a busy machine. A child that is still running then hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs an ignored test in a process of its own, after a prefix (`prlimit …`). Returns its output.
pub fn run_alone(test: &str, mode: &str, prefix: &[&str]) -> String {
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    let command: Vec<&str> =
        prefix.iter().copied().chain([this, "--exact", test, "--ignored", "--nocapture"]).collect();
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .env(CHILD, mode)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read while the child runs, because a pipe holds 64 KiB and then blocks its writer.
    let outputs = [reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap())];
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let output: String = outputs.into_iter().map(|output| output.join().unwrap()).collect();
    let Some(status) = status else { panic!("{test} {mode}: the process does not exit: {output}") };
    assert!(status.success() && output.contains("1 passed"), "{test} {mode}: {status}: {output}");
    output
}

/// A prefix of [`run_alone`]. Each thread's stack reserves 200 MB and touches none of it, so [`limit_memory`] can refuse
/// threads. A limit on threads does not apply to root.
pub const LARGE_STACKS: [&str; 2] = ["env", "RUST_MIN_STACK=200000000"];

/// Limits the address space of this process to its current size and this many bytes more. `None` removes the limit.
pub fn limit_memory(more: Option<u64>) {
    let limit = more.map_or("unlimited".to_owned(), |more| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let size = 1024 * size.split_ascii_whitespace().next().unwrap().parse::<u64>().unwrap();
        (size + more).to_string()
    });
    // The soft limit only, so that it can be lifted.
    let arguments = [format!("--pid={}", std::process::id()), format!("--as={limit}:")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut output = Vec::new();
        pipe.read_to_end(&mut output).unwrap();
        String::from_utf8_lossy(&output).into_owned()
    })
}
