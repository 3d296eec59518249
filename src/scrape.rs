//! A scrape: gather and encode, off the runtime. Knows neither HTTP nor sockets.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use bytes::Bytes;
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::encode::{self, Choice, Pieces};
use crate::gather;
use crate::query::Names;
use crate::telemetry::{Cause, Telemetry};
use crate::throttle::Throttle;

/// Runs scrapes on a thread of its own: started at the first scrape, one per server, long-lived, detached.
///
/// Not on the host's blocking pool: a collector that hangs there keeps `#[tokio::main]` from ever returning.
/// Not a fresh thread per scrape: its page faults cost half as much again.
#[derive(Debug)]
pub(crate) struct Scraper {
    work: Arc<Work>,
    gatherer: Mutex<Option<mpsc::Sender<Job>>>,
}

/// Why there is no exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeError {
    /// A collector panicked.
    Collector,
    /// There is no thread to gather on.
    Gatherer,
}

type Outcome = Result<Vec<Bytes>, ScrapeError>;

#[derive(Debug)]
struct Job {
    choice: Choice,
    reply: oneshot::Sender<Outcome>,
}

/// What the gathering thread needs.
#[derive(Debug)]
struct Work {
    registries: Vec<Registry>,
    self_metrics: bool,
    telemetry: Arc<Telemetry>,
    complaints: Complaints,
}

/// What is wrong with a collector is wrong at every scrape, and whoever scrapes must not fill the log with it.
#[derive(Debug, Default)]
struct Complaints {
    no_thread: Throttle,
    panic: Throttle,
    type_conflict: Throttle,
    left_out: Throttle,
}

impl Scraper {
    pub(crate) fn new(registries: Vec<Registry>, self_metrics: bool, telemetry: Arc<Telemetry>) -> Self {
        let work = Work { registries, self_metrics, telemetry, complaints: Complaints::default() };
        Scraper { work: Arc::new(work), gatherer: Mutex::new(None) }
    }

    /// The exposition in pieces, complete. Dropping the wait leaves no trace.
    pub(crate) async fn scrape(&self, choice: Choice) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        if let Err(error) = self.submit(Job { choice, reply }) {
            self.work.telemetry.count_error(Cause::Gather);
            if self.work.complaints.no_thread.allows() {
                tracing::error!(%error, "cannot start the thread that gathers the metrics");
            }
            return Err(ScrapeError::Gatherer);
        }
        outcome.await.unwrap_or_else(|_| {
            self.work.telemetry.count_error(Cause::Gather);
            Err(ScrapeError::Gatherer)
        })
    }

    fn submit(&self, mut job: Job) -> io::Result<()> {
        let mut gatherer = self.gatherer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = gatherer.as_ref() {
            match jobs.send(job) {
                Ok(()) => return Ok(()),
                // The thread has died, which nothing but a fault of ours can cause. The next one serves.
                Err(mpsc::SendError(returned)) => job = returned,
            }
        }
        let (jobs, queue) = mpsc::channel();
        let work = Arc::clone(&self.work);
        thread::Builder::new()
            .name("prometheus-hyper-gather".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| work.carry_out(job)))?;
        let _ = jobs.send(job);
        *gatherer = Some(jobs);
        Ok(())
    }
}

impl Work {
    fn carry_out(&self, job: Job) {
        let Job { choice, reply } = job;
        if reply.is_closed() {
            return;
        }
        let _ = reply.send(self.expose(choice));
    }

    fn expose(&self, choice: Choice) -> Outcome {
        let own = self.self_metrics.then(|| self.telemetry.registry());
        let gathered = gather::gather(self.registries.iter().chain(own));
        self.telemetry.count_errors(Cause::Panic, gathered.panics.len() as u64);
        if !gathered.panics.is_empty() && self.complaints.panic.allows() {
            tracing::error!(panics = ?gathered.panics, "collectors panicked");
        }
        self.telemetry.count_errors(Cause::TypeConflict, gathered.conflicts.len() as u64);
        if !gathered.conflicts.is_empty() && self.complaints.type_conflict.allows() {
            tracing::warn!(
                names = ?gathered.conflicts,
                "names under two types, in two registries: only the first one's are served"
            );
        }
        if !gathered.panics.is_empty() {
            return Err(ScrapeError::Collector);
        }
        let mut pieces = Pieces::default();
        let omissions = encode::encode_consuming(choice, &Names::default(), gathered.families, &mut pieces);
        let complain = !omissions.is_empty() && self.complaints.left_out.allows();
        for omission in omissions.iter() {
            self.telemetry.count_errors(Cause::LeftOut, omission.count);
            if complain {
                tracing::warn!("{omission}");
            }
        }
        Ok(pieces.into_inner())
    }
}
