//! Measures how late the host program's own work runs during scrapes. A task, goroutine or thread of it ticks
//! each millisecond. tokio's runtimes have one thread. With several threads, chance decides which one is
//! blocked.

use std::thread;
use std::time::Instant;

use crate::bench::Bench;
use crate::client::Ask;
use crate::launch::Threads;
use crate::outcome::Outcome;
use crate::peers::{PEERS, Peer};
use crate::results::Value;

pub(crate) const KEY: &str = "stall";
pub(crate) const TITLE: &str =
    "Delay of a 1 ms ticker in the host program during scrapes (tokio: current-thread runtime)";

const P999: &str = "p99.9";
pub(crate) const WORST: &str = "worst";

/// The floor: our ticker on this machine during the same time without scrapes.
const IDLE: &str = "a ticker without scrapes";

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let mut loads = vec![bench.mix_of(2_000), bench.mix_of(100_000)];
    loads.dedup();
    for load in loads {
        eprintln!("stall: {load}");
        let rounds = bench.rounds(if load.series > 10_000 { 21 } else { 101 });
        let (fleet, results) = bench.parts();
        let mut members = fleet.spawn(KEY, load, Some(Threads::One), results, Peer::is_server)?;
        let mut idle = fleet.member(&PEERS[0], load, Some(Threads::One))?;
        idle.name = IDLE.to_owned();
        fleet.rounds(&mut members, rounds, |at, member| {
            member.work(Ask::Identity)?;
            let began = Instant::now();
            member.process.ask("tick")?;
            member.work(Ask::Identity)?;
            member.work(Ask::Identity)?;
            member.process.ask("tock")?;
            if at == 0 {
                idle.process.ask("tick")?;
                thread::sleep(began.elapsed());
                idle.process.ask("tock")?;
            }
            Ok(())
        })?;
        members.push(idle);
        for member in &mut members {
            let ticks = member.process.ask("ticks")?;
            let fields: Vec<f64> = ticks.split(' ').map_while(|field| field.parse().ok()).collect();
            let [p999, worst, count] = fields[..] else {
                return Err(format!("{} has no ticks", member.name).into());
            };
            // A blocked ticker has few ticks.
            let p999 = if count < 1000.0 {
                Value::None(format!("only {count} ticks"))
            } else {
                Value::Seconds(p999 / 1e9)
            };
            results.add(KEY, load, &member.name, P999, p999);
            results.add(KEY, load, &member.name, WORST, Value::Seconds(worst / 1e9));
        }
    }
    Ok(())
}
