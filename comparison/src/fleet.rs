//! The peers of one load, each in its process. They take turns, so that other work of the machine affects all
//! of them.

use std::time::{Duration, Instant};

use crate::client::{Ask, Client, Response};
use crate::launch::Threads;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::peers::{How, Peer, Programs};
use crate::process::Process;
use crate::results::{Results, Value};
use crate::stats::median;

pub(crate) struct Member {
    pub(crate) peer: &'static Peer,
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) client: Client,
    spent: Duration,
    /// CPU time of a floor.
    worked: Duration,
}

/// The peers, and the time limit of each.
pub(crate) struct Fleet<'a> {
    pub(crate) peers: &'a [&'static Peer],
    pub(crate) programs: &'a Programs,
    /// A member that has taken this long gets no more turns. The two versions that the goals compare always
    /// do.
    pub(crate) patience: Duration,
}

/// Above this size Python would take most of the run's time.
const MOST_FOR_PYTHON: usize = 100_000;

impl Fleet<'_> {
    /// Returns the peers that can be measured with this load, and their names. Adds the reason of each other
    /// peer to its table.
    pub(crate) fn present(
        &self,
        figure: &'static str,
        load: Load,
        results: &mut Results,
        wanted: impl Fn(&Peer) -> bool,
    ) -> Vec<(&'static Peer, String)> {
        let mut present = Vec::new();
        for &peer in self.peers.iter().filter(|peer| peer.takes_part(figure) && wanted(peer)) {
            let name = peer.name(self.programs);
            match self.missing(peer, load) {
                None => present.push((peer, name)),
                Some(reason) => {
                    results.add(figure, load, &name, "", Value::None(format!("NOT MEASURED: {reason}")));
                }
            }
        }
        present
    }

    /// Starts all peers that can be measured.
    pub(crate) fn spawn(
        &self,
        figure: &'static str,
        load: Load,
        threads: Option<Threads>,
        results: &mut Results,
        wanted: impl Fn(&Peer) -> bool,
    ) -> Outcome<Vec<Member>> {
        let present = self.present(figure, load, results, wanted);
        present.into_iter().map(|(peer, _)| self.member(peer, load, threads)).collect()
    }

    /// Returns the median over that many processes.
    pub(crate) fn medians<const N: usize>(
        &self,
        peer: &'static Peer,
        load: Load,
        processes: usize,
        once: impl Fn(Member) -> Outcome<[f64; N]>,
    ) -> Outcome<[f64; N]> {
        let mut seen = [const { Vec::new() }; N];
        for _ in 0..processes {
            for (seen, value) in seen.iter_mut().zip(once(self.member(peer, load, None)?)?) {
                seen.push(value);
            }
        }
        Ok(seen.map(|seen| median(&seen)))
    }

    pub(crate) fn member(
        &self,
        peer: &'static Peer,
        load: Load,
        threads: Option<Threads>,
    ) -> Outcome<Member> {
        let process = peer.spawn(load, threads, self.programs)?;
        let client = Client::new(process.address);
        let (name, spent, worked) = (peer.name(self.programs), Duration::ZERO, Duration::ZERO);
        Ok(Member { peer, name, process, client, spent, worked })
    }

    fn missing<'b>(&'b self, peer: &Peer, load: Load) -> Option<&'b str> {
        match peer.how {
            How::Go => self.programs.go.missing(),
            How::Python if load.series > MOST_FOR_PYTHON => Some("too slow for so many series"),
            How::Python => self.programs.python.missing(),
            How::Rust { .. } | How::Floor(_) => None,
        }
    }

    /// Runs each member in turn for that many rounds. A slow member gets fewer.
    pub(crate) fn rounds(
        &self,
        members: &mut [Member],
        rounds: usize,
        mut turn: impl FnMut(usize, &mut Member) -> Outcome<()>,
    ) -> Outcome<()> {
        for _ in 0..rounds {
            for (at, member) in members.iter_mut().enumerate() {
                if member.spent > self.patience && !member.peer.is_in_goals() {
                    continue;
                }
                let start = Instant::now();
                turn(at, member)?;
                member.spent += start.elapsed();
            }
        }
        for member in members {
            member.spent = Duration::ZERO;
        }
        Ok(())
    }
}

impl Member {
    pub(crate) fn scrape(&mut self, ask: Ask) -> Outcome<Response> {
        self.client.scrape(ask).map_err(|failure| format!("{}: {failure}", self.name).into())
    }

    /// Works once: a server is scraped, a floor does its work.
    pub(crate) fn work(&mut self, ask: Ask) -> Outcome<()> {
        if self.peer.is_server() {
            self.scrape(ask)?;
        } else {
            self.worked += Duration::from_nanos(self.process.ask("work")?.parse()?);
        }
        Ok(())
    }

    /// Returns the CPU time of the whole process, or of a floor's work alone.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        if self.peer.is_server() { self.process.cpu() } else { Ok(self.worked) }
    }

    /// Returns the count of its collector, if it takes one.
    pub(crate) fn gathers(&mut self) -> Outcome<Option<f64>> {
        let answer = self.process.ask("gathers")?;
        Ok(if answer == "-" { None } else { Some(answer.parse()?) })
    }
}
