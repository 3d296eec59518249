//! 1, 10 and 100 scrapers that ask at once, on connections they have.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::client::Client;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;
use crate::stats::{median, quantile};

pub(crate) const KEY: &str = "crowd";
pub(crate) const TITLE: &str = "Scrapers that ask at once: until the last has its answer, the p99 of an answer, CPU and gathers per wave";

pub(crate) const GATHERS: &str = "gathers";

/// How many ask at once.
const CROWDS: [usize; 3] = [1, 10, 100];

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let load = bench.mix_of(10_000);
    for crowd in CROWDS {
        let case = case(&load.to_string(), crowd);
        eprintln!("crowd: {case}");
        let waves = bench.rounds(if crowd > 10 { 7 } else { 21 });
        let (fleet, results) = bench.parts();
        let wanted = |peer: &Peer| peer.is_server() && peer.key != "roomy";
        let mut members = fleet.spawn(KEY, load, None, results, wanted)?;
        // Missing ones are in the table of the load; here, too.
        results.rename(KEY, &load.to_string(), &case);
        let mut crowds: Vec<Vec<Client>> = members
            .iter()
            .map(|member| (0..crowd).map(|_| Client::new(member.process.address)).collect())
            .collect();
        let mut seen: Vec<Seen> = members.iter().map(|_| Seen::default()).collect();
        fleet.rounds(&mut members, waves, |at, member| {
            member.work(false)?;
            let (cpu, gathers) = (member.process.cpu()?, member.gathers()?);
            let (wall, waits) = wave(&mut crowds[at])?;
            let seen = &mut seen[at];
            seen.cpu.push((member.process.cpu()? - cpu).as_secs_f64());
            seen.wall.push(wall.as_secs_f64());
            seen.waits.extend(waits);
            if let (Some(before), Some(after)) = (gathers, member.gathers()?) {
                seen.gathers.push(after - before);
            }
            Ok(())
        })?;
        for (member, seen) in members.iter().zip(seen) {
            let Seen { wall, waits, cpu, gathers } = seen;
            results.add(KEY, &case, &member.name, "all answered", Value::Seconds(median(&wall)));
            results.add(KEY, &case, &member.name, "p99", Value::Seconds(quantile(&waits, 0.99)));
            results.add(KEY, &case, &member.name, "CPU", Value::Seconds(median(&cpu)));
            let gathers = match gathers[..] {
                [] => Value::None("has no collectors".to_owned()),
                _ => Value::Count(median(&gathers)),
            };
            results.add(KEY, &case, &member.name, GATHERS, gathers);
        }
    }
    Ok(())
}

pub(crate) fn case(load: &str, crowd: usize) -> String {
    format!("{load}, {crowd} at once")
}

#[derive(Default)]
struct Seen {
    wall: Vec<f64>,
    waits: Vec<f64>,
    cpu: Vec<f64>,
    gathers: Vec<f64>,
}

/// All at once; how long until the last has its answer, and how long each has waited.
fn wave(clients: &mut [Client]) -> Outcome<(Duration, Vec<f64>)> {
    let barrier = Barrier::new(clients.len() + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(|| {
                    let connected = client.connect();
                    barrier.wait();
                    connected?;
                    client.scrape(false).map(|answer| answer.took.as_secs_f64())
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let waits: Outcome<Vec<f64>> =
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a scraper has panicked")?).collect();
        Ok((start.elapsed(), waits?))
    })
}
