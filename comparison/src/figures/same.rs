//! Checks values, and measures response sizes. Every server must return the workload in each representation
//! before anything else is measured.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::bench::Bench;
use crate::check::Exposition;
use crate::client::Ask;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::peers::Peer;
use crate::results::Value;

pub(crate) const KEY: &str = "same";
pub(crate) const TITLE: &str = "Response size; all servers return the same values";

/// The representations that are compared.
const ASKS: [(Ask, &str); 3] =
    [(Ask::Identity, "identity"), (Ask::Gzip, "gzip"), (Ask::Prometheus, "Prometheus' headers")];

/// Above this size Prometheus' timeout of ten seconds is too short on a busy machine.
const MOST_FOR_PROMETHEUS: usize = 100_000;

pub(crate) fn measure(bench: &mut Bench) -> Outcome<()> {
    for load in bench.loads() {
        let expected = load.expected();
        eprintln!("{load}: {} samples", expected.len());
        let (fleet, results) = bench.parts();
        // One at a time, because the largest take a gigabyte each.
        for (peer, name) in fleet.present(KEY, load, results, Peer::is_server) {
            let mut member = fleet.member(peer, load, None)?;
            for (ask, quantity) in ASKS {
                if ask == Ask::Prometheus && load.series > MOST_FOR_PROMETHEUS {
                    continue;
                }
                let answer = member.scrape(ask)?;
                let bytes = member.client.body();
                let value = if ask == Ask::Gzip && !answer.gzip {
                    Value::None("no gzip".to_owned())
                } else {
                    compare(peer, load, &expected, bytes, answer.gzip)?;
                    Value::Bytes(bytes.len() as f64)
                };
                results.add(KEY, load, &name, quantity, value);
            }
        }
    }
    Ok(())
}

fn compare(peer: &Peer, load: Load, expected: &Exposition, bytes: &[u8], gzip: bool) -> Outcome<()> {
    let mut decoded = Vec::new();
    let bytes = if gzip {
        GzDecoder::new(bytes).read_to_end(&mut decoded)?;
        &decoded
    } else {
        bytes
    };
    let found = Exposition::parse(std::str::from_utf8(bytes)?)?;
    expected.compare(&found).map_err(|failure| format!("{} with {load}: {failure}", peer.key).into())
}
