//! A scrape: hooks, gather, encode and compress, off the runtime, shared by the scrapes that ask meanwhile, each under a
//! deadline of its own. Knows neither HTTP nor sockets.

mod coalescer;
mod delivery;
mod exposition;
pub(crate) mod gather;
mod gathered;
mod gatherer;
mod groups;
mod hook_tasks;
mod hooks;
mod host;
pub(crate) mod probe;
mod progress;
mod selection;
#[cfg(test)]
mod tests;
mod unsent;
mod work;
mod writer;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use crate::util::error::BoxError;
pub use hooks::ScrapeContext;

pub(crate) use coalescer::Epoch;
pub(crate) use delivery::{Deliveries, Delivery};
pub(crate) use exposition::{Exposition, Representation, ScrapeError};
pub(crate) use hooks::Hook;
pub(crate) use host::Host;
pub(crate) use selection::Selection;
pub(crate) use unsent::UnsentBudget;
pub(crate) use work::{Contents, Origin, Source, Work};
pub(crate) use writer::{Unwritten, Writer, Written};

use coalescer::{Request, WaiterId};
use exposition::{Outcome, Recipient};
use gatherer::Gatherer;

use crate::engine::{self, Running};

/// How long a scrape waits for room in the budget of unsent bytes.
const PATIENCE_FOR_ROOM: Duration = Duration::from_secs(2);

/// Takes scrapes, and gathers for them on an engine.
#[derive(Debug)]
pub(crate) struct Scraper {
    gatherer: Arc<Gatherer>,
    /// What a scraper has that waits for the server's default scrape timeout.
    standard_timeout: Duration,
}

impl Scraper {
    /// The standard timeout is what a scraper has that waits for the server's default scrape timeout: hooks have half of it at
    /// most, and a registry that is gathered for as long is stuck.
    pub(crate) fn new(work: Work, standard_timeout: Duration) -> Self {
        Scraper { gatherer: Arc::new(Gatherer::new(work, standard_timeout)), standard_timeout }
    }

    /// Starts the engine that gathers, whose threads have this name, and which ends with this future. Hooks run on its runtime,
    /// unless they have one.
    ///
    /// # Errors
    ///
    /// Those of [`engine::start`].
    pub(crate) fn start<F>(
        &self,
        threads: String,
        main: impl FnOnce() -> io::Result<F>,
    ) -> io::Result<Running>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        engine::start(threads, Arc::clone(&self.gatherer), || {
            self.gatherer.work().host().run_hooks_here();
            main()
        })
    }

    /// Whoever asks from now on gets nothing that was begun before. What is gathered from now on belongs to the epoch
    /// that this returns, or to a later one.
    pub(crate) fn seal(&self) -> Epoch {
        self.gatherer.seal()
    }

    /// What is kept for clients that have not taken it yet.
    pub(crate) fn unsent(&self) -> &UnsentBudget {
        self.gatherer.work().unsent()
    }

    /// What has been written to clients.
    pub(crate) fn deliveries(&self) -> &Deliveries {
        self.gatherer.deliveries()
    }

    /// Returns the names of the registries.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &str> {
        self.gatherer.work().sources().iter().map(|source| source.name.as_str())
    }

    /// Returns the registries of these names, all if there is none. None if a name is unknown.
    pub(crate) fn select(&self, names: &[String]) -> Option<Selection> {
        if names.is_empty() {
            return Some(Selection::All);
        }
        let sources = self.gatherer.work().sources();
        let index = |name: &String| sources.iter().position(|source| source.name == *name);
        let indexes = names.iter().map(index).collect::<Option<Vec<_>>>()?;
        Some(Selection::of(indexes, sources.len()))
    }

    /// Returns the exposition in this representation, gathered after now or in a gather that is under way and not older than
    /// `timeout`; at the deadline an error.
    ///
    /// A wait that is dropped leaves no trace: a flight for which nobody waits any more is not begun, and its hooks are
    /// cancelled.
    pub(crate) async fn scrape(
        &self,
        representation: Representation,
        registries: Selection,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Exposition, ScrapeError> {
        // Slow clients are evicted meanwhile.
        if self.unsent().is_exceeded() && representation.is_of_a_part(&registries) {
            let until = deadline.min(Instant::now() + PATIENCE_FOR_ROOM);
            let _ = tokio::time::timeout_at(until.into(), self.unsent().until_exceeded(false)).await;
        }
        let (reply, outcome) = oneshot::channel();
        let request = Request { registries, timeout, deadline };
        let id = self.gatherer.join(request, Recipient { representation, reply });
        let waiting = Waiting { gatherer: &self.gatherer, id };
        let outcome: Result<Result<Outcome, _>, _> = tokio::time::timeout_at(deadline.into(), outcome).await;
        drop(waiting);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ScrapeError::Gatherer),
            Err(_) => {
                // Said here, because a collector that hangs hangs the thread that would say it.
                self.gatherer.work().report_if_stuck(self.standard_timeout - self.standard_timeout / 10);
                Err(ScrapeError::Timeout)
            }
        }
    }
}

/// A place among those who wait.
struct Waiting<'g> {
    gatherer: &'g Gatherer,
    id: WaiterId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gatherer.leave(self.id);
    }
}
