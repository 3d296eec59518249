//! The table. Each row is a fault, its expected effect, and the protection that it proves.

mod clients;
mod collectors;
mod connections;
mod lifecycle;
mod proxies;
mod scrapers;
mod suites;
mod system;
mod unauthenticated;
mod watch;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::client::scrape;
use crate::driver::HostProgram;

/// The figures of a row, or the failure.
type Outcome = Result<String, String>;

#[derive(Clone, Copy)]
pub struct Row {
    name: &'static str,
    /// The protection without which the row fails.
    proves: &'static str,
    /// The host program without that protection, with which the row must fail. None if there is no such
    /// program; `proves` then says why.
    unprotected: Option<&'static str>,
    run: fn(&Bench) -> Outcome,
}

/// The environment of a row.
pub struct Bench {
    unprotected: Option<&'static str>,
}

impl Bench {
    fn host(&self, options: &[&str]) -> Result<HostProgram, String> {
        self.host_in(&[], options)
    }

    fn host_in(&self, wrapper: &[&str], options: &[&str]) -> Result<HostProgram, String> {
        let options: Vec<&str> = options.iter().copied().chain(self.unprotected).collect();
        HostProgram::start_in(wrapper, &options)
    }
}

/// The rows of external programs. `SCRAPERS_SECONDS` sets the duration.
fn suites() -> Vec<Row> {
    [suites::ROWS, scrapers::ROWS].concat()
}

fn rows() -> Vec<Row> {
    [
        connections::ROWS,
        unauthenticated::ROWS,
        system::ROWS,
        collectors::ROWS,
        clients::ROWS,
        lifecycle::ROWS,
        proxies::ROWS,
    ]
    .concat()
}

pub fn main(words: &[&str]) -> ExitCode {
    let (rows, words) = match words {
        ["suites", words @ ..] => (suites(), words),
        words => (rows(), words),
    };
    if words == ["list"] {
        for row in &rows {
            println!("{:24} {}", row.name, row.proves);
        }
        return ExitCode::SUCCESS;
    }
    let unprotected = words.first() == Some(&"--unprotected");
    let words = if unprotected { &words[1..] } else { words };
    let chosen: Vec<&Row> = rows
        .iter()
        .filter(|row| words.is_empty() || words.iter().any(|word| row.name.contains(word)))
        .filter(|row| !unprotected || row.unprotected.is_some())
        .collect();
    if chosen.is_empty() {
        eprintln!("unknown row: {words:?} (`list` prints the names)");
        return ExitCode::FAILURE;
    }
    come_first();
    let (mut failed, start) = (Vec::new(), Instant::now());
    println!("| row | proves | figures | s | verdict |\n| --- | --- | --- | --- | --- |");
    for row in &chosen {
        let bench = Bench { unprotected: row.unprotected.filter(|_| unprotected) };
        let start = Instant::now();
        let mut outcome = (row.run)(&bench);
        // Other work of the machine makes a beat late sometimes. Harm does so each time.
        for _ in 0..2 {
            if !unprotected && outcome.as_ref().is_err_and(|what| what.starts_with(LATE)) {
                eprintln!("{}: {outcome:?}: trying again", row.name);
                outcome = (row.run)(&bench);
            }
        }
        // Without its protection the row must fail for that reason, and not for the lack of a tool or of a
        // host program.
        let passed = outcome.is_ok() != unprotected && !lacks(&bench, &outcome);
        let (Ok(seen) | Err(seen)) = &outcome;
        let verdict = match (&outcome, unprotected) {
            (Ok(_), false) => "passes",
            (Err(_), false) => "FAILS",
            (Err(_), true) if passed => "fails as expected",
            (Err(_), true) => "PROVES NOTHING",
            (Ok(_), true) => "PASSES WITHOUT THE PROTECTION",
        };
        let seen = seen.replace(['\n', '|'], " ");
        let without = bench.unprotected.map(|option| format!(" ({option})")).unwrap_or_default();
        println!(
            "| {}{without} | {} | {seen} | {} | {verdict} |",
            row.name,
            row.proves,
            start.elapsed().as_secs()
        );
        if !passed {
            failed.push(row.name);
        }
    }
    println!("\n{} rows in {} s", chosen.len(), start.elapsed().as_secs());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("FAILED: {}", failed.join(" "));
    ExitCode::FAILURE
}

/// Returns whether a tool is missing, or a host program that serves without its protection.
fn lacks(bench: &Bench, outcome: &Outcome) -> bool {
    let missing = std::io::Error::from_raw_os_error(2).to_string();
    let Some(option) = bench.unprotected else { return false };
    let serves =
        || HostProgram::start(&["current", option]).is_ok_and(|host| scrape(host.addr, SERVES).is_ok());
    outcome.as_ref().is_err_and(|what| what.contains(&missing)) || !serves()
}

/// Limit of the first scrape of a host program before the fault.
const SERVES: Duration = Duration::from_secs(5);

/// The beginning of an error about a late beat.
const LATE: &str = "a beat ";

/// Raises the priority of client, server and the host program without a server over other work of this
/// machine. Without the permission the rows run as well.
fn come_first() {
    let pid = std::process::id().to_string();
    let done = Command::new("renice").args(["-n", "-15", "-p", &pid]).output();
    if !done.is_ok_and(|done| done.status.success()) {
        eprintln!("no permission to change the priority: other work may delay beats");
    }
}

/// Returns an error with this text unless it holds.
fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A missing program fails the row.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let both = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&both).into_owned())
}

/// Returns the time until the condition holds, or an error at the limit.
fn wait_for(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<Duration, String> {
    let start = Instant::now();
    while !holds() {
        check(start.elapsed() < limit, || format!("waited {limit:?} for: {what}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(start.elapsed())
}
