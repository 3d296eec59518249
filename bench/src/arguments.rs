//! What is asked for.

use std::time::Duration;

use crate::bench::Bench;
use crate::figures::FIGURES;
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
Measures this prometheus-hyper beside other servers; prints tables, and targets.

  --quick             small loads, few rounds, no builds: does it work?
  --build             the builds, too, where --quick leaves them out
  --json              for machines
  --figures LIST      those alone, parted by commas
  --sizes LIST        numbers of series
  --shapes LIST       mix, counters, histograms
  --peers LIST        those alone; ours is always among them
  --effort FACTOR     so many times the usual rounds
  --patience SECONDS  how long one peer may take in one part of a table";

impl Arguments {
    /// None if help was asked for, and printed.
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
        if arguments.iter().any(|argument| argument == "--quick") {
            let build = arguments.iter().any(|argument| argument == "--build");
            read.figures.retain(|figure| *figure != "build" || build);
            read.shapes = vec![Shape::Mix];
            read.sizes = vec![200, 2_000];
            read.effort = 0.1;
            read.patience = Duration::from_millis(300);
        }
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--quick" | "--build" => (),
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
                other => return Err(format!("{other} is unknown\n\n{HELP}").into()),
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
    if size == 0 { Err("no series are no load".into()) } else { Ok(size) }
}

fn figure(key: &str) -> Outcome<&'static str> {
    let found = FIGURES.iter().find(|figure| figure.key == key);
    found.map(|figure| figure.key).ok_or_else(|| format!("no figure {key}").into())
}
