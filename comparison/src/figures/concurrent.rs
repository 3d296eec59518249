//! Measures 1, 10 and 100 concurrent scrapers on kept connections.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::client::{Ask, Client};
use crate::outcome::{Failure, Outcome};
use crate::peers::Peer;
use crate::results::Value;
use crate::stats::median;

pub(crate) const KEY: &str = "concurrent";
pub(crate) const TITLE: &str =
    "Concurrent scrapers: time until all have a response, p99 of a response, CPU and gathers per wave";

pub(crate) const GATHERS: &str = "gathers";

/// Least timeout of a response. A server that has received the request takes far less.
const PATIENCE: Duration = Duration::from_secs(3);

/// Numbers of concurrent scrapers.
const SCRAPERS: [usize; 3] = [1, 10, 100];

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let load = bench.mix_of(10_000);
    for scrapers in SCRAPERS {
        let case = case(&load.to_string(), scrapers);
        eprintln!("{KEY}: {case}");
        let patience = bench.patience.max(PATIENCE);
        let waves = bench.rounds(if scrapers > 10 { 7 } else { 21 });
        let (fleet, results) = bench.parts();
        let mut members = fleet.spawn(KEY, load, None, results, Peer::is_server)?;
        // A peer that is missing with this load is missing here, too.
        results.rename(KEY, &load.to_string(), &case);
        let mut clients: Vec<Vec<Client>> =
            members.iter().map(|member| self::clients(scrapers, member.process.address, patience)).collect();
        let mut seen: Vec<Seen> = members.iter().map(|_| Seen::default()).collect();
        fleet.rounds(&mut members, waves, |at, member| {
            let seen = &mut seen[at];
            if seen.lost > 0 {
                return Ok(());
            }
            member.work(Ask::Identity)?;
            let (cpu, gathers) = (member.process.cpu()?, member.gathers()?);
            let wave = wave(&mut clients[at])?;
            seen.cpu.push((member.process.cpu()? - cpu).as_secs_f64());
            seen.wall.push(wave.wall.as_secs_f64());
            seen.lost = scrapers - wave.waits.len();
            seen.failure = wave.failure;
            seen.waits.extend(wave.waits);
            if let (Some(before), Some(after)) = (gathers, member.gathers()?) {
                seen.gathers.push(after - before);
            }
            Ok(())
        })?;
        for (member, seen) in members.iter().zip(seen) {
            for (quantity, value) in seen.values(patience) {
                results.add(KEY, &case, &member.name, quantity, value);
            }
        }
    }
    Ok(())
}

pub(crate) fn case(load: &str, scrapers: usize) -> String {
    format!("{load}, {scrapers} concurrent")
}

fn clients(scrapers: usize, address: SocketAddr, patience: Duration) -> Vec<Client> {
    (0..scrapers).map(|_| Client::new(address).with_patience(patience)).collect()
}

#[derive(Default)]
struct Seen {
    wall: Vec<f64>,
    waits: Vec<f64>,
    cpu: Vec<f64>,
    gathers: Vec<f64>,
    /// Scrapers of the last wave without a response. A server with a short backlog loses connections.
    lost: usize,
    /// The failure of one of them.
    failure: Option<Failure>,
}

impl Seen {
    fn values(&self, patience: Duration) -> Vec<(&'static str, Value)> {
        if self.lost > 0 {
            let why = self.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            let lost = format!("{} without a response within {} s: {why}", self.lost, patience.as_secs());
            return vec![("", Value::None(lost))];
        }
        let gathers = match self.gathers[..] {
            [] => Value::None("no collectors".to_owned()),
            _ => Value::Count(median(&self.gathers)),
        };
        vec![
            ("all responses", Value::Seconds(median(&self.wall))),
            ("p99", Value::quantile(&self.waits, 0.99)),
            ("CPU", Value::Seconds(median(&self.cpu))),
            (GATHERS, gathers),
        ]
    }
}

struct Wave {
    /// From the first request to the last response.
    wall: Duration,
    /// Times of the scrapers with a response.
    waits: Vec<f64>,
    failure: Option<Failure>,
}

fn wave(clients: &mut [Client]) -> Outcome<Wave> {
    let barrier = Barrier::new(clients.len());
    let ask = |client: &mut Client| -> Outcome<(Instant, Duration)> {
        let connected = client.connect();
        barrier.wait();
        connected?;
        let start = Instant::now();
        client.scrape(Ask::Identity).map(|answer| (start, answer.took))
    };
    let ask = &ask;
    thread::scope(|scope| {
        let threads: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || ask(client))).collect();
        let (mut answers, mut failure) = (Vec::with_capacity(threads.len()), None);
        for thread in threads {
            match thread.join().map_err(|_| "a scraper panicked")? {
                Ok(answer) => answers.push(answer),
                Err(other) => failure = Some(other),
            }
        }
        let first = answers.iter().map(|(start, _)| *start).min();
        let last = answers.iter().map(|(start, took)| *start + *took).max();
        let wall = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        let waits = answers.iter().map(|(_, took)| took.as_secs_f64()).collect();
        Ok(Wave { wall, waits, failure })
    })
}
