//! Async work before a gather: the answer to collectors being synchronous.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::util::error::BoxError;

/// The scrape that a hook of [`Builder::before_scrape`](crate::Builder::before_scrape) runs before.
#[derive(Clone, Debug)]
pub struct ScrapeContext {
    deadline: Instant,
}

impl ScrapeContext {
    /// Returns when the hook is cancelled at the latest. It has half of the
    /// [default scrape timeout](crate::Builder::scrape_timeout), from which the
    /// [margin](crate::Builder::scrape_timeout_margin) is taken first.
    ///
    /// No client moves this time. The hook is cancelled earlier if all clients that wait for the scrape have less time, or if
    /// no client waits any more.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A hook by its name.
pub(crate) struct Hook {
    name: String,
    run: Box<dyn Fn(ScrapeContext) -> HookFuture + Send + Sync>,
}

type HookFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

impl Hook {
    pub(crate) fn new<F, Fut>(name: String, hook: F) -> Self
    where
        F: Fn(ScrapeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Hook { name, run: Box::new(move |scrape| Box::pin(hook(scrape))) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a hook ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) duration: Duration,
    pub(super) result: Result<(), Failure>,
}

/// Why a hook has not done its work.
#[derive(Debug)]
pub(super) enum Failure {
    Error(BoxError),
    Panic,
    /// It was not done in all the time that a hook has.
    Late,
    /// It was cancelled before that, because nobody waited so long: no fault of the hook's.
    CutShort,
    /// An earlier run of it goes on, beyond the time that a hook has: it, or its runtime, is blocked.
    StillRunning,
    /// Its runtime is gone.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => error.fmt(f),
            Failure::Panic => f.write_str("it panicked"),
            Failure::Late => f.write_str("it was not done in time"),
            Failure::CutShort => f.write_str("no waiting client had enough time left"),
            Failure::StillRunning => f.write_str("it is still running from an earlier scrape"),
            Failure::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

/// Starts hook number `index` on a runtime. `report` is called exactly once, on whatever thread, when the hook has
/// ended: also when it panics, when its task is aborted, and when there is no such runtime any more.
pub(super) fn start(
    hooks: &Arc<[Hook]>,
    index: usize,
    deadline: Instant,
    runtime: &Handle,
    report: impl FnOnce(Ended) + Send + 'static,
) -> JoinHandle<()> {
    let hooks = Arc::clone(hooks);
    let reporting =
        Reporting { started: Instant::now(), result: Err(Failure::Cancelled), report: Some(report) };
    runtime.spawn(async move {
        let result = (hooks[index].run)(ScrapeContext { deadline }).await;
        reporting.end(result.map_err(Failure::Error));
    })
}

/// Reports when it is dropped, which a task can not avoid.
struct Reporting<R: FnOnce(Ended)> {
    started: Instant,
    result: Result<(), Failure>,
    report: Option<R>,
}

impl<R: FnOnce(Ended)> Reporting<R> {
    fn end(mut self, result: Result<(), Failure>) {
        self.result = result;
    }
}

impl<R: FnOnce(Ended)> Drop for Reporting<R> {
    fn drop(&mut self) {
        let result = if thread::panicking() {
            Err(Failure::Panic)
        } else {
            std::mem::replace(&mut self.result, Ok(()))
        };
        if let Some(report) = self.report.take() {
            report(Ended { duration: self.started.elapsed(), result });
        }
    }
}
