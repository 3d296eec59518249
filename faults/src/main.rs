//! Faults, and what must be seen. `cargo run --manifest-path faults/Cargo.toml -- help` tells.
//!
//! One program in several roles, so that whoever has built one has built all: the host program is a process of its own, and its
//! memory, threads and descriptors are read from outside.

mod client;
mod driver;
mod flood;
mod host;
mod rows;
mod soak;

use std::process::ExitCode;

const HELP: &str = "\
faults [ROW...]          all rows, or those whose names contain one of the words; `list` names them
faults --unprotected [ROW...]  with the protection switched off that a row is about: it has to fail
faults suites [--unprotected] [ROW...]  those of others; SCRAPERS_SECONDS=600 for ten minutes of scrapes
faults soak SECONDS REPORT
faults host [OPTION...]  a host application with the server in it, told by lines on stdin";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["host", options @ ..] => host::main(options),
        ["soak", seconds, report] => soak::main(seconds.parse().expect("seconds"), report),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        words => rows::main(words),
    }
}
