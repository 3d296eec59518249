//! Faults and their expected effects. `cargo run --manifest-path faults/Cargo.toml -- help` lists them.
//!
//! One program in several roles, so that one build has all of them. The host program is a process of its own.
//! The driver reads its memory, threads and descriptors from outside.

mod client;
mod driver;
mod flood;
mod host;
mod rows;
mod soak;

use std::process::ExitCode;

const HELP: &str = "\
faults list:
    Lists the rows.
faults [ROW...]:
    Runs all rows, or those whose names contain one of the words.
faults --unprotected [ROW...]:
    Runs them without their protection. Each must fail.
faults suites [--unprotected] [ROW...]:
    Runs external suites. SCRAPERS_SECONDS=600 takes ten minutes.
faults soak SECONDS REPORT:
    Runs the soak test and writes its report.
faults host [OPTION...]:
    Runs a host program with the server in it. It reads orders on stdin.";

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
