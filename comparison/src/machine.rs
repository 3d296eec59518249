//! Describes the machine, without host names, because the text goes into documents.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;

use crate::peers::Programs;

pub(crate) fn header(programs: &Programs) -> String {
    let mut text = format!("{} cores of {}, {}\n\n", cores(), cpu_model(), rustc());
    let others = [&programs.go, &programs.python].map(|program| match program.missing() {
        None => program.name(),
        Some(reason) => format!("{}: {reason}", program.name()),
    });
    text += &format!("{}\n\n", others.join(", "));
    text += &format!("`{}`\n", command());
    if cfg!(debug_assertions) {
        text += "This is a debug build. The figures mean nothing.\n";
    }
    text
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(0, usize::from)
}

pub(crate) fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("an unknown CPU", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

pub(crate) fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown rustc".to_owned())
}

/// Returns the command line that repeats this run.
pub(crate) fn command() -> String {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let separator = if arguments.is_empty() { "" } else { " -- " };
    format!("cargo run{release} --manifest-path comparison/Cargo.toml{separator}{}", arguments.join(" "))
}
