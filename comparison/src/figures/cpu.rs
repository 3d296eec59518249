//! Measures CPU time of the whole process per scrape, user and kernel: the cost to the host program.

use crate::bench::Bench;
use crate::client::Ask;
use crate::fleet::Member;
use crate::load::{Load, Shape};
use crate::one_core::OneCore;
use crate::outcome::Outcome;
use crate::results::Value;
use crate::stats::median;

pub(crate) const KEY: &str = "cpu";
pub(crate) const TITLE: &str = "CPU time of the server's process per scrape on a kept connection";

pub(crate) const IDENTITY: &str = "identity";
pub(crate) const GZIP: &str = "gzip";

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let _one_core = OneCore::keep()?;
    for load in bench.loads() {
        eprintln!("cpu: {load}");
        let (rounds, times) = rounds(load);
        let rounds = bench.rounds(rounds);
        let (fleet, results) = bench.parts();
        let mut members = fleet.spawn(KEY, load, None, results, |_| true)?;
        // Per member and coding. Both are in one round, so that they are comparable.
        let mut spent = vec![[const { Vec::new() }; 2]; members.len()];
        fleet.rounds(&mut members, rounds, |at, member| {
            for (ask, spent) in [Ask::Identity, Ask::Gzip].into_iter().zip(&mut spent[at]) {
                if ask == Ask::Gzip && !compresses(member)? {
                    continue;
                }
                member.work(ask)?;
                let before = member.cpu()?;
                for _ in 0..times {
                    member.work(ask)?;
                }
                let after = member.cpu()?;
                spent.push((after - before).as_secs_f64() / times as f64);
            }
            Ok(())
        })?;
        for (member, spent) in members.iter().zip(spent) {
            for (quantity, spent) in [IDENTITY, GZIP].into_iter().zip(spent) {
                let value = if spent.is_empty() {
                    Value::None("no gzip".to_owned())
                } else {
                    Value::Seconds(median(&spent))
                };
                let scrapes = spent.len() * times;
                results.add_of(KEY, load, &member.name, quantity, value, scrapes);
            }
        }
    }
    Ok(())
}

fn compresses(member: &mut Member) -> Outcome<bool> {
    Ok(member.peer.is_server() && member.scrape(Ask::Gzip)?.gzip)
}

/// Rounds, and scrapes per round.
fn rounds(load: Load) -> (usize, usize) {
    match load.series {
        ..=200 => (31, 40),
        201..=2_000 => (31, 10),
        2_001..=10_000 => (75, 4),
        // The other shapes have no target.
        10_001..=100_000 if load.shape == Shape::Mix => (100, 3),
        10_001..=100_000 => (11, 1),
        _ => (3, 1),
    }
}
