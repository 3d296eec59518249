//! Async work before a gather, because collectors are synchronous.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::collector::{Logged, Samples};
use crate::scrape::gather::Families;
use crate::util::error::{BoxError, chain};
use crate::util::unwind::caught_in_polls;

/// Describes the scrape before which a hook of [`Builder::before_scrape`](crate::Builder::before_scrape) runs.
#[derive(Clone, Debug)]
pub struct ScrapeContext {
    deadline: Instant,
}

impl ScrapeContext {
    /// Returns when the hook is cancelled at the latest.
    ///
    /// The hook has half of the [default scrape timeout](crate::Builder::scrape_timeout) less the
    /// [margin](crate::Builder::scrape_timeout_margin). No client moves this time. The hook is cancelled earlier if all clients that
    /// wait for the scrape have less time, or if no client waits any more.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A hook and its name.
pub(crate) struct Hook {
    name: String,
    run: Box<dyn Fn(ScrapeContext) -> HookFuture + Send + Sync>,
    /// Set if the hook's samples are served.
    collecting: Option<Collecting>,
}

type HookFuture = Pin<Box<dyn Future<Output = HookResult> + Send>>;

/// The hook's samples, if it collects any.
type HookResult<E = BoxError> = Result<Option<Samples>, E>;

/// How the samples of a hook are served.
struct Collecting {
    /// Name of the gauge that shows whether the last collection succeeded.
    up: Option<String>,
    logged: Logged,
}

impl Hook {
    pub(crate) fn new<F, Fut>(name: String, hook: F) -> Self
    where
        F: Fn(ScrapeContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let run = move |scrape| -> HookFuture {
            let done = hook(scrape);
            Box::pin(async move { done.await.map(|()| None) })
        };
        Hook { name, run: Box::new(run), collecting: None }
    }

    /// Creates a hook whose samples are served. `up` names a gauge that shows whether the last collection succeeded.
    pub(crate) fn collecting<F, Fut>(name: String, up: Option<String>, collect: F) -> Self
    where
        F: Fn(ScrapeContext, Samples) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Samples, BoxError>> + Send + 'static,
    {
        let run = move |scrape| -> HookFuture {
            let collected = collect(scrape, Samples::new());
            Box::pin(async move { collected.await.map(Some) })
        };
        let collecting = Some(Collecting { up, logged: Logged::default() });
        Hook { name, run: Box::new(run), collecting }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the hook's samples are served.
    pub(crate) fn collects(&self) -> bool {
        self.collecting.is_some()
    }

    /// Returns the families of these samples. Returns `None` if there are no samples and no gauge shows that.
    pub(super) fn families(&self, samples: Option<Samples>) -> Option<Families> {
        let Collecting { up, logged } = self.collecting.as_ref()?;
        let is_up = samples.is_some();
        let mut samples = samples.or_else(|| up.is_some().then(Samples::new))?;
        if let Some(up) = up {
            samples.gauge(up, "Whether the last collection succeeded.", &[], is_up.into());
        }
        Some(samples.into_families(logged))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The end of a hook's run.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) duration: Duration,
    pub(super) result: HookResult<HookFailure>,
}

/// Reason why a hook did not finish.
#[derive(Debug)]
pub(super) enum HookFailure {
    Error(String),
    Panic,
    /// It did not finish in the full time of a hook.
    Late,
    /// It was cancelled earlier, because all waiters left or had less time. The hook is not at fault.
    CutShort,
    /// An earlier run exceeds the time of a hook: the hook or its runtime is blocked.
    StillRunning,
    /// Its runtime is gone.
    Cancelled,
}

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookFailure::Error(error) => f.write_str(error),
            HookFailure::Panic => f.write_str("it panicked"),
            HookFailure::Late => f.write_str("it did not finish in time"),
            HookFailure::CutShort => f.write_str("no waiting client had enough time left"),
            HookFailure::StillRunning => f.write_str("it is still running from an earlier scrape"),
            HookFailure::Cancelled => f.write_str("its runtime has shut down"),
        }
    }
}

/// Starts the hook with this index on a runtime. `report` is called exactly once, on any thread, when the hook ends.
/// This includes a panic, an abort, and a runtime that is gone.
pub(super) fn start(
    hooks: &Arc<[Hook]>,
    index: usize,
    deadline: Instant,
    runtime: &Handle,
    report: impl FnOnce(Ended) + Send + 'static,
) -> JoinHandle<()> {
    let hooks = Arc::clone(hooks);
    let reporting =
        Reporting { started: Instant::now(), result: Err(HookFailure::Cancelled), report: Some(report) };
    runtime.spawn(async move {
        // Formatting and dropping the error is the host's code, and so is the drop of a panic's payload. Only the
        // payload of a panic in the drop of an aborted hook is dropped with the handle.
        let run = async {
            let result = (hooks[index].run)(ScrapeContext { deadline }).await;
            result.map_err(|error| HookFailure::Error(chain(&*error)))
        };
        reporting.end(caught_in_polls(run).await.unwrap_or(Err(HookFailure::Panic)));
    })
}

/// Reports when it is dropped, so that the report cannot be skipped.
struct Reporting<R: FnOnce(Ended)> {
    started: Instant,
    result: HookResult<HookFailure>,
    report: Option<R>,
}

impl<R: FnOnce(Ended)> Reporting<R> {
    fn end(mut self, result: HookResult<HookFailure>) {
        self.result = result;
    }
}

impl<R: FnOnce(Ended)> Drop for Reporting<R> {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(None));
        if let Some(report) = self.report.take() {
            report(Ended { duration: self.started.elapsed(), result });
        }
    }
}
