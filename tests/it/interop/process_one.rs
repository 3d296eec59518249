//! Runs the examples as the first process of a PID namespace, as in a container. The kernel drops a signal to
//! it that has no handler (pid_namespaces(7)), including SIGTERM, which stops containers.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::examples::EXAMPLES;
use super::{example, tool};
use testing::client::http_get;
use testing::process::{Process, poll};

#[test]
#[ignore = "needs root to make a PID namespace, and the examples: .ci/run programs"]
fn each_example_ends_at_sigterm_as_process_one() {
    for (name, flag) in EXAMPLES {
        let mut command = Command::new(tool("UNSHARE", "unshare"));
        let address = format!("{flag}127.0.0.1:0");
        command.args(["--pid", "--fork", "--kill-child"]).arg(example(name)).arg(&address);
        if *name == "kubernetes" {
            // The address of the app's own server.
            command.arg(&address);
        }
        let mut unshare = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let mut lines = BufReader::new(unshare.0.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap_or_else(|| panic!("{name} exits at once")).unwrap();
        assert!(line.starts_with("http://"), "{name} does not print its URL: {line}");

        let pid = child_of(unshare.0.id()).unwrap_or_else(|| panic!("unshare has no child: {name}"));
        let ends_by_itself = *name == "cron";
        if !ends_by_itself {
            let kill = format!("kill -s TERM {pid}");
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{name}");
        }
        // unshare returns its child's exit code, or 128 plus the number of the signal that killed it.
        let addr = line.trim_start_matches("http://").trim_end_matches("/metrics");
        let status = poll(&format!("the end of {name}"), || {
            if ends_by_itself {
                // The job ends once it is scraped after its work. It may have ended already.
                let _ = http_get(addr.parse().unwrap(), "/metrics");
            }
            unshare.0.try_wait().unwrap().ok_or_else(|| "it still runs".to_owned())
        });
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

/// Returns the child of this process.
fn child_of(parent: u32) -> Option<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        // The name is in parentheses and may contain any character. State and parent follow
        // (proc_pid_stat(5)).
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent)
    })
}
