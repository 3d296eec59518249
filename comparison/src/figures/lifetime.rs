//! Measures the time from start to the first connection, and of a stop while a scraper keeps its connection.

use crate::bench::Bench;
use crate::client::Ask;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;
use crate::stats::median;

pub(crate) const KEY: &str = "lifetime";
pub(crate) const TITLE: &str =
    "Time from start to the first connection, and of a stop with a kept connection";

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    let load = bench.mix_of(200);
    eprintln!("lifetime: {load}");
    let processes = bench.processes(15);
    let (fleet, results) = bench.parts();
    let present = fleet.present(KEY, load, results, Peer::is_server).into_iter();
    let mut lives: Vec<_> = present.map(|(peer, name)| (peer, name, Vec::new(), Vec::new())).collect();
    for _ in 0..processes {
        for (peer, _, starts, stops) in &mut lives {
            let mut member = fleet.member(peer, load, None)?;
            member.work(Ask::Identity)?;
            starts.push(member.process.start.as_secs_f64());
            let stop = member.process.ask("stop")?;
            if stop != "-" {
                stops.push(stop.parse::<f64>()? / 1e9);
            }
        }
    }
    for (_, name, starts, stops) in lives {
        results.add(KEY, load, &name, "start", Value::Seconds(median(&starts)));
        let stop = match stops[..] {
            [] => Value::None("no stop".to_owned()),
            _ => Value::Seconds(median(&stops)),
        };
        results.add(KEY, load, &name, "stop", stop);
    }
    Ok(())
}
