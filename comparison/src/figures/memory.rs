//! Measures resident memory with the workload: before the first scrape, after some scrapes, and at their
//! peak.

use std::thread;
use std::time::Duration;

use crate::bench::Bench;
use crate::client::Ask;
use crate::fleet::Member;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;

pub(crate) const KEY: &str = "memory";
pub(crate) const TITLE: &str =
    "Resident memory with the workload: idle, after scrapes, at their peak, growth from idle to peak";

pub(crate) const IDLE: &str = "idle";
pub(crate) const AFTER: &str = "after";
pub(crate) const GROWTH: &str = "growth";

const QUANTITIES: [&str; 4] = [IDLE, AFTER, "peak", GROWTH];

/// One scrape leaves its memory behind. Several raise the peak.
const SCRAPES: usize = 5;

/// Time in which threads become idle.
const REST: Duration = Duration::from_millis(100);

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    for load in bench.mixes() {
        eprintln!("memory: {load}");
        // Each measurement has new processes.
        let processes = bench.processes(if load.series > 100_000 { 1 } else { 5 });
        let (fleet, results) = bench.parts();
        for (peer, name) in fleet.present(KEY, load, results, measured) {
            for (quantity, bytes) in QUANTITIES.into_iter().zip(fleet.medians(peer, load, processes, once)?) {
                results.add(KEY, load, &name, quantity, Value::Bytes(bytes));
            }
        }
    }
    Ok(())
}

/// `memcpy` holds a body all the time, so it is no floor of memory.
fn measured(peer: &Peer) -> bool {
    peer.key != "memcpy"
}

fn once(mut member: Member) -> Outcome<[f64; 4]> {
    thread::sleep(REST);
    let idle = member.process.resident()?;
    member.process.forget_peak()?;
    for _ in 0..SCRAPES {
        member.work(Ask::Identity)?;
    }
    let peak = member.process.peak()?;
    thread::sleep(REST);
    Ok([idle, member.process.resident()?, peak, peak - idle])
}
