//! Runs probes: so many at once, each as a task that ends with the scrape that waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::exposer::{Exposer, Failed, Verdict};
use super::request::{Parameters, ProbeError, ProbePath, ProbeRequest, Reason};
use crate::scrape::{Representation, Written};
use crate::telemetry::{Cause, ProbeOutcome, Reporter, Telemetry};
use crate::util::task::Task;
use crate::util::unwind::panic_message;

/// The probes of a server.
#[derive(Debug)]
pub(crate) struct Prober {
    paths: Arc<[ProbePath]>,
    /// A permit for each probe that is under way.
    limit: Arc<Semaphore>,
    exposer: Exposer,
    telemetry: Arc<Telemetry>,
    no_thread: Reporter,
    panics: Reporter,
}

/// Of a reason no more is looked for beyond so many bytes.
const LONG: usize = 1000;

/// Why a probe is not answered with an exposition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// With what the scraper is told.
    BadRequest(String),
    /// There are as many as there may be.
    Busy,
    /// There is no thread, or no memory, to write with.
    Unwritten,
}

impl Prober {
    pub(crate) fn new(paths: Vec<ProbePath>, max_probes: usize, telemetry: Arc<Telemetry>) -> Self {
        for path in &paths {
            telemetry.show_probes(path.path());
        }
        Prober {
            paths: paths.into(),
            limit: Arc::new(Semaphore::new(max_probes.min(Semaphore::MAX_PERMITS))),
            exposer: Exposer::new(Arc::clone(&telemetry)),
            no_thread: telemetry.reporter(Cause::Gather),
            panics: telemetry.reporter(Cause::Panic),
            telemetry,
        }
    }

    /// Which probes are asked for at this path.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.paths.iter().position(|known| known.path == path)
    }

    /// Counts a request that is refused before it is known what would be probed.
    pub(crate) fn count_bad_request(&self, place: usize) {
        self.telemetry.probe_ended(self.paths[place].path(), ProbeOutcome::BadRequest, Duration::ZERO);
    }

    /// Probes what these parameters of the path at that place ask for, on this runtime. At the deadline, and where this is
    /// dropped, the probe is cancelled.
    pub(crate) async fn probe(
        &self,
        place: usize,
        parameters: Parameters,
        form: Representation,
        runtime: &Handle,
        deadline: Instant,
    ) -> Result<Written, Unanswered> {
        let path = self.paths[place].path();
        let mut running = Running {
            telemetry: &self.telemetry,
            path,
            started: Instant::now(),
            outcome: ProbeOutcome::Cancelled,
        };
        let attempt = self.attempt(place, parameters, &form, runtime, deadline);
        let attempted = tokio::time::timeout_at(deadline.into(), attempt).await;
        let (outcome, answer) = match attempted.unwrap_or(Err(Failure::Failed(ProbeOutcome::Timeout))) {
            Ok(written) => (ProbeOutcome::Success, Ok(written)),
            Err(Failure::Failed(outcome)) => {
                let verdict = Verdict { success: false, seconds: running.started.elapsed().as_secs_f64() };
                let written = self.exposer.write_verdict(verdict, &form);
                (outcome, written.map_err(|_| Unanswered::Unwritten))
            }
            Err(Failure::Unanswered(outcome, why)) => (outcome, Err(why)),
        };
        running.outcome = outcome;
        answer
    }

    async fn attempt(
        &self,
        place: usize,
        parameters: Parameters,
        form: &Representation,
        runtime: &Handle,
        deadline: Instant,
    ) -> Result<Written, Failure> {
        let Ok(permit) = Arc::clone(&self.limit).try_acquire_owned() else {
            return Err(Failure::Unanswered(ProbeOutcome::Rejected, Unanswered::Busy));
        };
        let started = Instant::now();
        let paths = Arc::clone(&self.paths);
        // The task is what is under way, not the wait for it: a runtime that is blocked must not collect tasks.
        let task = Task::spawn(runtime, async move {
            let ProbePath { path, probe } = &paths[place];
            let found = probe(ProbeRequest { parameters, deadline }).await;
            // Here, for what the error is printed and dropped by is the exporter's code, too.
            (found.map_err(|error| told(path, error)), permit)
        });
        let (found, permit) = task.await.map_err(|error| self.died(place, error))?;
        let registry = found?;

        let verdict = Verdict { success: true, seconds: started.elapsed().as_secs_f64() };
        let written = self.exposer.write(registry, verdict, form.clone(), permit).map_err(|error| {
            let what = "cannot start the thread that writes what probes have found";
            self.no_thread.report(1, || tracing::error!(%error, "{what}"));
            Failure::Unanswered(ProbeOutcome::Failure, Unanswered::Unwritten)
        })?;
        written.await.unwrap_or(Err(Failed::Panic)).map_err(|failed| match failed {
            Failed::Panic => Failure::Failed(ProbeOutcome::Panic),
            Failed::Unwritten => Failure::Unanswered(ProbeOutcome::Failure, Unanswered::Unwritten),
        })
    }

    /// A probe that has ended without a result: it panicked, or its runtime is gone.
    fn died(&self, place: usize, error: JoinError) -> Failure {
        let path = self.paths[place].path();
        let Ok(payload) = error.try_into_panic() else {
            tracing::debug!(path, "a probe was cancelled with its runtime");
            return Failure::Failed(ProbeOutcome::Failure);
        };
        let message = panic_message(payload.as_ref());
        self.panics.report(1, || tracing::error!(path, ?message, "a probe panicked"));
        Failure::Failed(ProbeOutcome::Panic)
    }
}

/// Why there is no registry to write.
enum Failure {
    /// `probe_success` is 0.
    Failed(ProbeOutcome),
    Unanswered(ProbeOutcome, Unanswered),
}

/// What comes of a probe's error: a sentence for the scraper, or a line in the log.
fn told(path: &str, error: ProbeError) -> Failure {
    let error = match error.0 {
        Reason::BadRequest(reason) => {
            return Failure::Unanswered(ProbeOutcome::BadRequest, Unanswered::BadRequest(reason));
        }
        Reason::Failed(error) => error,
    };
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(error) = source.filter(|_| reason.len() < LONG) {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    // It may quote the target, or what the target has sent: a line stays a line.
    tracing::debug!(path, ?reason, "a probe failed");
    Failure::Failed(ProbeOutcome::Failure)
}

/// Tells how a probe has ended when it is dropped, which nobody can avoid.
struct Running<'p> {
    telemetry: &'p Telemetry,
    path: &'p str,
    started: Instant,
    outcome: ProbeOutcome,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.telemetry.probe_ended(self.path, self.outcome, self.started.elapsed());
    }
}
