//! Measures 500 kept connections after one scrape each.

use std::thread;
use std::time::Duration;

use crate::bench::Bench;
use crate::client::{Ask, Client};
use crate::fleet::Member;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;

pub(crate) const KEY: &str = "idle";
pub(crate) const TITLE: &str = "500 kept connections after one scrape each";

const CONNECTIONS: usize = 500;

const QUANTITIES: [&str; 3] = ["memory growth", "growth per connection", "kept connections"];

/// Time in which threads become idle.
const REST: Duration = Duration::from_millis(100);

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let load = bench.mix_of(200);
    eprintln!("idle: {load}");
    let processes = bench.processes(3);
    let (fleet, results) = bench.parts();
    for (peer, name) in fleet.present(KEY, load, results, Peer::is_server) {
        let [more, each, kept] = fleet.medians(peer, load, processes, once)?;
        let none = || Value::None("closes each".to_owned());
        let values =
            [Value::Bytes(more), if kept > 0.0 { Value::Bytes(each) } else { none() }, Value::Count(kept)];
        for (quantity, value) in QUANTITIES.into_iter().zip(values) {
            results.add(KEY, load, &name, quantity, value);
        }
    }
    Ok(())
}

fn once(mut member: Member) -> Outcome<[f64; 3]> {
    // The first scrapes allocate memory that does not belong to the connections.
    for _ in 0..20 {
        member.work(Ask::Identity)?;
    }
    member.client.disconnect();
    thread::sleep(REST);
    let before = member.process.resident()?;
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::new(member.process.address)).collect();
    for client in &mut clients {
        client.scrape(Ask::Identity)?;
    }
    thread::sleep(REST);
    let more = member.process.resident()? - before;
    let kept = clients.iter().filter(|client| client.is_kept()).count() as f64;
    Ok([more, more / kept.max(1.0), kept])
}
