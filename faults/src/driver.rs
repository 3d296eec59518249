//! Controls a host program from outside: starts it, sends orders, reads its usage, ends it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use testing::usage::Usage;

/// Longer than any response of a running host program takes. A thread of its own obeys the orders.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct HostProgram {
    child: Child,
    /// Closing it ends the host program.
    orders: Option<ChildStdin>,
    answers: Receiver<Value>,
    pub pid: u32,
    pub addr: SocketAddr,
}

impl HostProgram {
    pub fn start(options: &[&str]) -> Result<Self, String> {
        Self::start_in(&[], options)
    }

    /// Starts it within another program that passes on stdin: `strace -f …`, `sh -c 'ulimit …'`.
    pub fn start_in(wrapper: &[&str], options: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("the path of this program is unknown: {error}"))?;
        let program = program.to_string_lossy().into_owned();
        let words: Vec<&str> = wrapper.iter().copied().chain([program.as_str()]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.arg("host").args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        if std::env::var_os("FAULTS_VERBOSE").is_none() {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let orders = child.stdin.take();
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(answer).is_err() {
                    break;
                }
            }
        });
        let hello = answers.recv_timeout(PATIENCE).map_err(|_| format!("{command:?} prints nothing"))?;
        let pid = number(&hello, "pid") as u32;
        let addr = hello["addr"].as_str().and_then(|addr| addr.parse().ok());
        let addr = addr.ok_or_else(|| format!("no address in {hello}"))?;
        Ok(HostProgram { child, orders, answers, pid, addr })
    }

    /// Sends an order and waits for the response.
    pub fn tell(&mut self, order: &str) -> Result<Value, String> {
        let orders = self.orders.as_mut().ok_or("the host program was ordered to exit")?;
        writeln!(orders, "{order}").map_err(|error| format!("{order}: {error}"))?;
        let answer = self.answers.recv_timeout(PATIENCE).map_err(|_| format!("no response to {order}"))?;
        match answer["error"].as_str() {
            Some(error) => Err(format!("{order}: {error}")),
            None => Ok(answer),
        }
    }

    pub fn report(&mut self) -> Result<Report, String> {
        let report = self.tell("report")?;
        // A missing figure is an error, not zero.
        let figure = |name: &str| report[name].as_u64().ok_or_else(|| format!("no {name} in {report}"));
        Ok(Report {
            beats: figure("beats")?,
            lag: Duration::from_micros(figure("lag_us")?),
            failed_opens: figure("failed_opens")?,
            log_lines: figure("log_lines")?,
            gathers: figure("gathers")?,
        })
    }

    pub fn usage(&self) -> Result<Usage, String> {
        Usage::of(self.pid).ok_or_else(|| "the host program has exited".to_owned())
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Lets its `main` return. Returns how long the process took to exit.
    pub fn exit(mut self, limit: Duration) -> Result<Duration, String> {
        self.tell("exit")?;
        self.orders = None;
        let start = Instant::now();
        while start.elapsed() < limit {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(start.elapsed()),
                Ok(Some(status)) => return Err(format!("the host program exited with {status}")),
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(format!("the process has not exited after {limit:?}"))
    }
}

/// The host program's own figures since the order `reset`.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub beats: u64,
    /// The worst delay of a heartbeat.
    pub lag: Duration,
    pub failed_opens: u64,
    /// Lines of level info and above.
    pub log_lines: u64,
    pub gathers: u64,
}

pub fn number(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or_default()
}

impl Drop for HostProgram {
    fn drop(&mut self) {
        self.orders = None;
        // Within a tracer the process is not our child. Another process may have reused a pid, so this checks
        // the name.
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        if self.child.id() != self.pid && name.trim() == "faults" && Path::new("/bin/kill").exists() {
            let _ = Command::new("/bin/kill").args(["-9", &self.pid.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
