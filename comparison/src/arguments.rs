//! Reads the command line.

use std::time::Duration;

use crate::bench::Bench;
use crate::figures::{FIGURES, cpu, latency, memory, same, stall, typical};
use crate::load::{SHAPES, Shape};
use crate::outcome::Outcome;
use crate::peers::{PEERS, Peer, Programs, peer};
use crate::results::Results;

pub(crate) struct Arguments {
    pub(crate) figures: Vec<&'static str>,
    pub(crate) json: bool,
    shapes: Vec<Shape>,
    sizes: Vec<usize>,
    peers: Vec<&'static Peer>,
    effort: f64,
    patience: Duration,
}

const HELP: &str = "\
Compares this prometheus-hyper with other servers. Prints tables and targets.

  --quick             Checks that it works: small loads, few rounds, no builds.
  --goals             Measures only this version and 0.2.1, in the figures of the goals.
  --build             Includes the builds in --quick.
  --json              Prints JSON.
  --figures LIST      Measures only these figures, separated by commas.
  --sizes LIST        Sets the numbers of series.
  --shapes LIST       Sets the shapes: mix, counters, histograms.
  --peers LIST        Measures only these peers, and ours.
  --effort FACTOR     Multiplies the rounds.
  --patience SECONDS  Limits the time of a peer in one part of a table, except ours and 0.2.1.";

/// The goals are ratios to the published version, with `start`, `run` and `serve`.
const GOALS_FIGURES: [&str; 6] = [typical::KEY, same::KEY, latency::KEY, cpu::KEY, memory::KEY, stall::KEY];
const GOALS_PEERS: [&str; 4] = ["ours", "published", "run", "serve"];
const GOALS_SIZES: [usize; 4] = [200, 1_000, 10_000, 100_000];

impl Arguments {
    /// Returns None after `--help`, once it has printed the help.
    pub(crate) fn read(arguments: &[String]) -> Outcome<Option<Self>> {
        let mut read = Self {
            figures: FIGURES.iter().map(|figure| figure.key).collect(),
            json: false,
            shapes: SHAPES.iter().map(|(shape, _)| *shape).collect(),
            sizes: vec![200, 1_000, 2_000, 10_000, 100_000, 1_000_000],
            peers: PEERS.iter().collect(),
            effort: 1.0,
            patience: Duration::from_secs(20),
        };
        let has = |wanted| arguments.iter().any(|argument| argument == wanted);
        if has("--goals") {
            read.figures.retain(|figure| GOALS_FIGURES.contains(figure));
            read.shapes = vec![Shape::Mix];
            read.sizes = GOALS_SIZES.to_vec();
            read.peers.retain(|peer| GOALS_PEERS.contains(&peer.key));
        }
        if has("--quick") {
            let build = has("--build");
            read.figures.retain(|figure| *figure != "build" || build);
            read.shapes = vec![Shape::Mix];
            read.sizes = vec![200, 2_000];
            read.effort = 0.02;
            read.patience = Duration::from_millis(300);
        }
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" | "--goals" | "--build" => (),
                "--json" => read.json = true,
                "--figures" => read.figures = list(value()?, figure)?,
                "--sizes" => read.sizes = list(value()?, size)?,
                "--shapes" => read.shapes = list(value()?, str::parse)?,
                "--peers" => {
                    read.peers = list(value()?, peer)?;
                    read.peers.retain(|peer| peer.key != PEERS[0].key);
                    read.peers.insert(0, &PEERS[0]);
                }
                "--effort" => read.effort = value()?.parse()?,
                "--patience" => read.patience = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--help" | "-h" => {
                    println!("{HELP}\n\nfigures:");
                    for figure in &FIGURES {
                        println!("  {:10} {}", figure.key, figure.title);
                    }
                    println!("peers: {}", PEERS.map(|peer| peer.key).join(", "));
                    return Ok(None);
                }
                other => return Err(format!("unknown argument {other}\n\n{HELP}").into()),
            }
        }
        Ok(Some(read))
    }

    pub(crate) fn bench(&self) -> Bench {
        Bench {
            programs: Programs::find(),
            peers: self.peers.clone(),
            shapes: self.shapes.clone(),
            sizes: self.sizes.clone(),
            effort: self.effort,
            patience: self.patience,
            results: Results::default(),
        }
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Outcome<T>) -> Outcome<Vec<T>> {
    text.split(',').map(|part| read(part.trim())).collect()
}

fn size(text: &str) -> Outcome<usize> {
    let size = text.replace('_', "").parse()?;
    if size == 0 {
        Err("--sizes: 0 is not a number of series (expected at least 1)".into())
    } else {
        Ok(size)
    }
}

fn figure(key: &str) -> Outcome<&'static str> {
    let found = FIGURES.iter().find(|figure| figure.key == key);
    found.map(|figure| figure.key).ok_or_else(|| format!("unknown figure {key}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_ours_name_a_figure() {
        for only in PEERS.iter().filter_map(|peer| peer.only).flatten() {
            assert!(FIGURES.iter().any(|figure| figure.key == *only), "{only}");
        }
    }

    #[test]
    fn named_figures_and_sizes_override_the_goals_preset() {
        let read = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            Arguments::read(&arguments).unwrap().unwrap()
        };
        let goals = read(&["--goals"]);
        assert_eq!(goals.peers.iter().map(|peer| peer.key).collect::<Vec<_>>(), GOALS_PEERS);
        assert_eq!(goals.figures.len(), GOALS_FIGURES.len());
        let named = read(&["--figures", "cpu", "--goals", "--sizes", "200"]);
        assert_eq!((&named.figures[..], &named.sizes[..]), (&["cpu"][..], &[200][..]));
        assert!(read(&["--goals", "--quick"]).sizes.iter().all(|series| *series <= 2_000));
    }
}
