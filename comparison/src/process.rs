//! A server in a process of its own, so that its CPU time and memory are its alone.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use nix::unistd::Pid;

use crate::load::Load;
use crate::outcome::Outcome;

pub(crate) struct Process {
    child: Child,
    /// Closing it ends the child.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// From its start to the first connection, without making the workload.
    pub(crate) start: Duration,
}

/// How long a child may take to exit.
const PATIENCE: Duration = Duration::from_secs(5);

impl Process {
    /// The child answers with its port and its start time in nanoseconds.
    pub(crate) fn spawn(mut command: Command, described: Option<Load>) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut commands = child.stdin.take().ok_or("no stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        if let Some(load) = described {
            load.describe(&mut BufWriter::new(&mut commands))?;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, commands: Some(commands), answers, address, start: Duration::ZERO };
        let ready = process.answer()?;
        let fields: Vec<&str> = ready.split(' ').collect();
        let ["ready", port, start] = fields[..] else { return Err(format!("not ready: {ready}").into()) };
        process.address.set_port(port.parse()?);
        process.start = Duration::from_nanos(start.parse()?);
        Ok(process)
    }

    pub(crate) fn ask(&mut self, command: &str) -> Outcome<String> {
        let commands = self.commands.as_mut().ok_or("the server has exited")?;
        commands.write_all(format!("{command}\n").as_bytes())?;
        commands.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err("the server has exited".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// CPU time of all its threads, ended ones included.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(ClockId::pid_cpu_clock_id(pid)?.now()?.into())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Outcome<f64> {
        self.status("VmRSS:")
    }

    /// Peak resident memory since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> Outcome<f64> {
        self.status("VmHWM:")
    }

    /// proc_pid_clear_refs(5).
    pub(crate) fn forget_peak(&self) -> Outcome<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn status(&self, name: &str) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.commands = None;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
