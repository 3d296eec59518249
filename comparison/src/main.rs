//! Compares servers with one workload in one run: see README.md.
//!
//! Each server is a process of its own, which is this program again. `serve` is the child, all other commands
//! are the parent.

mod arguments;
mod bench;
mod check;
mod client;
mod figures;
mod fleet;
mod inside;
mod json;
mod launch;
mod load;
mod locked;
mod machine;
mod one_core;
mod outcome;
mod process;
mod results;
mod serve;
mod stats;
mod table;
mod targets;
#[macro_use]
#[path = "../../benches/workload/mod.rs"]
mod workload;
#[path = "../../benches/contenders/mod.rs"]
mod contenders;
mod peers;

use std::env;
use std::process::ExitCode;

use arguments::Arguments;
use figures::{FIGURES, Figure};
use outcome::Outcome;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("serve", rest)) => return peers::child(rest),
        Some(("inside", rest)) => return inside::child(rest),
        _ => (),
    }
    let Some(arguments) = Arguments::read(&arguments)? else { return Ok(()) };
    let mut bench = arguments.bench();
    let mut figures: Vec<&Figure> =
        FIGURES.iter().filter(|figure| arguments.figures.contains(&figure.key)).collect();
    // A server with wrong values is not worth measuring.
    figures.sort_by_key(|figure| figure.key != figures::same::KEY);
    // The first failure ends the run. The results so far, of up to an hour, are still printed.
    let failed = figures.iter().map(|figure| (figure.measure)(&mut bench)).find_map(Outcome::err);
    let targets = targets::targets(&bench.results, &bench.programs);
    if arguments.json {
        println!("{}", json::json(&bench.results, &targets));
    } else {
        println!(
            "{}{}{}",
            machine::header(&bench.programs),
            table::tables(&bench.results),
            targets::table(&targets)
        );
    }
    failed.map_or(Ok(()), Err)
}
