//! Measures the work of a scrape on one thread, without a server: encoders, and the cost of a scrape on top
//! of its gather.

use std::env;
use std::process::Command;

use crate::bench::Bench;
use crate::inside::{self, Group};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::results::Value;

pub(crate) const KEY: &str = "thread";
pub(crate) const TITLE: &str = "CPU time on one long-lived thread, without a server";

pub(crate) const CPU: &str = "CPU";

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    for load in bench.loads().into_iter().filter(|load| load.series <= 100_000) {
        eprintln!("thread: {load}");
        let rounds = bench.rounds(rounds(load));
        for group in &inside::GROUPS {
            for (work, seconds) in medians(group, load, rounds)? {
                bench.results.add(KEY, load, work, CPU, Value::Seconds(seconds));
            }
        }
    }
    Ok(())
}

/// Runs in a process of its own.
fn medians(group: &Group, load: Load, rounds: usize) -> Outcome<Vec<(&'static str, f64)>> {
    let (shape, series, rounds) = (load.shape.to_string(), load.series.to_string(), rounds.to_string());
    let child =
        Command::new(env::current_exe()?).args(["inside", group.name, &shape, &series, &rounds]).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into());
    }
    inside::read(group, &String::from_utf8(child.stdout)?)
}

fn rounds(load: Load) -> usize {
    (1_000_000 / load.series).clamp(15, 401)
}
