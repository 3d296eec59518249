//! Scrapes: hooks, gather, encoding and compression, outside the runtime. Concurrent scrapes share a gather, each
//! with its own deadline. No HTTP, no sockets.

mod body_writer;
mod coalescer;
mod delivery;
mod exposition;
pub(crate) mod gather;
mod gathered;
mod gatherer;
mod groups;
mod hook_tasks;
mod hooks;
mod host_runtimes;
pub(crate) mod probe;
mod progress;
mod selection;
#[cfg(test)]
mod tests;
mod unsent;
mod work;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use crate::util::error::BoxError;
pub use hooks::ScrapeContext;

pub(crate) use body_writer::{BodyWriter, Unwritten, Written};
pub(crate) use coalescer::Epoch;
pub(crate) use delivery::{Deliveries, Delivery};
pub(crate) use exposition::{Exposition, Representation, ScrapeError};
pub(crate) use hooks::Hook;
pub(crate) use host_runtimes::HostRuntimes;
pub(crate) use selection::Selection;
pub(crate) use unsent::UnsentBudget;
pub(crate) use work::{Contents, Source, SourceOrigin, Work};

use coalescer::{Request, WaiterId};
use exposition::{Recipient, ScrapeResult};
use gatherer::Gatherer;

use crate::engine::{self, EngineHandle};

/// How long a scrape waits until the budget of unsent bytes is no longer exceeded.
const MAX_BUDGET_WAIT: Duration = Duration::from_secs(2);

/// Accepts scrapes, and gathers for them on an engine.
#[derive(Debug)]
pub(crate) struct Scraper {
    gatherer: Arc<Gatherer>,
    /// The time of a scraper that uses the server's default scrape timeout.
    standard_timeout: Duration,
}

impl Scraper {
    /// Creates a scraper. The standard timeout is the time of a scraper that uses the server's default scrape
    /// timeout. Hooks get at most half of it. A registry whose gather takes that long counts as stuck.
    pub(crate) fn new(work: Work, standard_timeout: Duration) -> Self {
        Scraper { gatherer: Arc::new(Gatherer::new(work, standard_timeout)), standard_timeout }
    }

    /// Starts the engine that gathers, with threads of this name. It ends with the future that `main` returns. Hooks
    /// run on the engine's runtime, unless they have another one.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`engine::start`].
    pub(crate) fn start<F>(
        &self,
        threads: String,
        main: impl FnOnce() -> io::Result<F>,
    ) -> io::Result<EngineHandle>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        engine::start(threads, Arc::clone(&self.gatherer), || {
            self.host().run_hooks_on_engine();
            main()
        })
    }

    /// Excludes all later scrapes from gathers that have already begun. Returns the epoch of the gathers that begin
    /// from now on.
    pub(crate) fn seal(&self) -> Epoch {
        self.gatherer.seal()
    }

    /// Returns the runtimes of the host program.
    pub(crate) fn host(&self) -> &HostRuntimes {
        self.gatherer.work().host()
    }

    /// Returns the budget of unsent bytes.
    pub(crate) fn unsent(&self) -> &UnsentBudget {
        self.gatherer.work().unsent()
    }

    /// Returns the record of expositions written to clients.
    pub(crate) fn deliveries(&self) -> &Deliveries {
        self.gatherer.deliveries()
    }

    /// Returns the names of the registries.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &str> {
        self.gatherer.work().sources().iter().map(|source| source.name.as_str())
    }

    /// Returns the registries with these names, or all if there are no names. Returns `None` if a name is unknown.
    pub(crate) fn select(&self, names: &[String]) -> Option<Selection> {
        if names.is_empty() {
            return Some(Selection::All);
        }
        let sources = self.gatherer.work().sources();
        let index = |name: &String| sources.iter().position(|source| source.name == *name);
        let indexes = names.iter().map(index).collect::<Option<Vec<_>>>()?;
        Some(Selection::of(indexes, sources.len()))
    }

    /// Returns the exposition in this representation. It comes from a gather that begins after this call, or from a
    /// running one that is not older than `timeout`. Samples of hooks may be older than the gather, by at most half of
    /// the default scrape timeout. Fails at the deadline.
    ///
    /// Cancel-safe: a flight without waiters does not begin, and its hooks are cancelled.
    pub(crate) async fn scrape(
        &self,
        representation: Representation,
        registries: Selection,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Exposition, ScrapeError> {
        // Meanwhile the connection limit evicts slow clients.
        if self.unsent().is_exceeded() && representation.is_of_a_part(&registries) {
            let until = deadline.min(Instant::now() + MAX_BUDGET_WAIT);
            let _ = tokio::time::timeout_at(until.into(), self.unsent().until_exceeded(false)).await;
        }
        let (reply, outcome) = oneshot::channel();
        let request = Request { registries, timeout, deadline };
        let id = self.gatherer.join(request, Recipient { representation, reply });
        let waiting = Waiting { gatherer: &self.gatherer, id };
        let outcome: Result<Result<ScrapeResult, _>, _> =
            tokio::time::timeout_at(deadline.into(), outcome).await;
        drop(waiting);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ScrapeError::Gatherer),
            Err(_) => {
                // Reported here, because a hanging collector blocks the thread that would report it.
                self.gatherer.work().report_if_stuck(self.standard_timeout - self.standard_timeout / 10);
                Err(ScrapeError::Timeout)
            }
        }
    }
}

/// The membership of a waiter in a flight, which its drop ends.
struct Waiting<'g> {
    gatherer: &'g Gatherer,
    id: WaiterId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gatherer.leave(self.id);
    }
}
