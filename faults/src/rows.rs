//! The table: each row a fault, what must be seen, and what it proves.

mod clients;
mod collectors;
mod connections;
mod lifecycle;
mod proxies;
mod scrapers;
mod strangers;
mod suites;
mod system;
mod watch;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::client::scrape;
use crate::driver::HostProgram;

/// What a row has seen, in figures, or what is wrong.
type Outcome = Result<String, String>;

#[derive(Clone, Copy)]
pub struct Row {
    name: &'static str,
    /// Which protection it would miss.
    proves: &'static str,
    /// The host program without it, with which the row has to fail. None where that is not to be had; `proves` says why.
    unprotected: Option<&'static str>,
    run: fn(&Bench) -> Outcome,
}

/// What a row works with.
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

/// What others judge, and how long `SCRAPERS_SECONDS` says.
fn suites() -> Vec<Row> {
    [suites::ROWS, scrapers::ROWS].concat()
}

fn rows() -> Vec<Row> {
    [
        connections::ROWS,
        strangers::ROWS,
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
        eprintln!("no row is named so: {words:?}");
        return ExitCode::FAILURE;
    }
    come_first();
    let (mut failed, start) = (Vec::new(), Instant::now());
    println!("| row | proves | seen | s | verdict |\n| --- | --- | --- | --- | --- |");
    for row in &chosen {
        let bench = Bench { unprotected: row.unprotected.filter(|_| unprotected) };
        let start = Instant::now();
        let mut outcome = (row.run)(&bench);
        // What others compute makes a beat late now and then; harm does so each time.
        for _ in 0..2 {
            if !unprotected && outcome.as_ref().is_err_and(|what| what.starts_with(LATE)) {
                eprintln!("{}: {outcome:?}: once more", row.name);
                outcome = (row.run)(&bench);
            }
        }
        // Without its protection it has to fail, and for want of that, not of a tool or of a host program.
        let passed = outcome.is_ok() != unprotected && !lacks(&bench, &outcome);
        let (Ok(seen) | Err(seen)) = &outcome;
        let verdict = match (&outcome, unprotected) {
            (Ok(_), false) => "holds",
            (Err(_), false) => "FAILS",
            (Err(_), true) if passed => "fails, as it must",
            (Err(_), true) => "SHOWS NOTHING",
            (Ok(_), true) => "HOLDS WITHOUT",
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

/// Whether there is a tool missing, or no host program that serves without its protection.
fn lacks(bench: &Bench, outcome: &Outcome) -> bool {
    let missing = std::io::Error::from_raw_os_error(2).to_string();
    let Some(option) = bench.unprotected else { return false };
    let serves =
        || HostProgram::start(&["current", option]).is_ok_and(|host| scrape(host.addr, SERVES).is_ok());
    outcome.as_ref().is_err_and(|what| what.contains(&missing)) || !serves()
}

/// For the first scrape of a host program that nobody harms.
const SERVES: Duration = Duration::from_secs(5);

/// How a complaint about a late beat begins.
const LATE: &str = "a beat ";

/// Before whatever else computes on this machine: who asks, who answers, and the host without a server. Without the right to
/// do so the rows run all the same.
fn come_first() {
    let pid = std::process::id().to_string();
    let done = Command::new("renice").args(["-n", "-15", "-p", &pid]).output();
    if !done.is_ok_and(|done| done.status.success()) {
        eprintln!("not allowed to renice: beats may be late for others' sake");
    }
}

/// That, or what is wrong in words.
fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A program that is missing fails the row.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let both = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&both).into_owned())
}

/// How long until it holds; an error at the limit.
fn wait_for(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<Duration, String> {
    let start = Instant::now();
    while !holds() {
        check(start.elapsed() < limit, || format!("after {limit:?} not yet: {what}"))?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(start.elapsed())
}
