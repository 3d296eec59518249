//! Runs programs as children of a test, and waits for them.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::http_get;
use crate::scratch::Scratch;

/// Longer than any wait here. Each takes a few seconds at most on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A child that ends with its test, even if the test panics.
pub struct Process(pub Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Process(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub fn end(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The output of a program that has exited.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr)
    }
}

impl Scratch {
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| format!("cannot read {name}: {error}"))
    }

    /// Runs a program to its end. Input and output are files, because a pipe can fill up.
    pub fn run(&self, command: &mut Command, stdin: &str) -> Ended {
        self.write("stdin", stdin);
        command
            .stdin(File::open(self.path("stdin")).unwrap())
            .stdout(File::create(self.path("stdout")).unwrap())
            .stderr(File::create(self.path("stderr")).unwrap());
        let mut process = Process::spawn(command);
        let status = poll("the exit of a tool", || {
            process.0.try_wait().unwrap().ok_or_else(|| format!("{command:?}"))
        });
        Ended { status, stdout: self.read("stdout"), stderr: self.read("stderr") }
    }

    /// Starts a server program, and waits until it answers. The program does not support port 0, and another
    /// process may take the free port first. If the program exits, the function tries another port.
    pub fn serve(&self, ready: &str, command: impl Fn(SocketAddr) -> Command) -> (Process, SocketAddr) {
        for _ in 0..5 {
            let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut command = command(addr);
            command
                .stdin(Stdio::null())
                .stdout(File::create(self.path("stdout")).unwrap())
                .stderr(File::create(self.path("stderr")).unwrap());
            let mut process = Process::spawn(&mut command);
            let is_ready = poll("a program that is ready or has exited", || {
                if process.0.try_wait().unwrap().is_some() {
                    return Ok(false);
                }
                let ready = http_get(addr, ready).map(|_| true);
                ready.map_err(|error| format!("{command:?}: {error}\n{}", self.read("stderr")))
            });
            if is_ready {
                return (process, addr);
            }
        }
        panic!("the program does not start:\n{}", self.read("stderr"));
    }
}

/// Returns the path of a tool: from the environment variable, or its name in the PATH.
pub fn tool(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Polls until the attempt succeeds. Panics with its last error.
pub fn poll<T>(what: &str, attempt: impl FnMut() -> Result<T, String>) -> T {
    poll_for(PATIENCE, what, attempt)
}

/// As [`poll`], with a longer limit.
pub fn poll_for<T>(patience: Duration, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(last) => assert!(Instant::now() < deadline, "waited {patience:?} for {what}: {last}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}
