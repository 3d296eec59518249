//! Runs probes: so many at once, each as a task that ends with the scrape that waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::exposer::{Exposer, Failed, Verdict};
use super::log::ProbeLog;
use super::request::{Parameters, ProbeError, ProbePath, ProbeRequest, Reason};
use crate::scrape::{Representation, Written};
use crate::telemetry::{Cause, ProbeOutcome, Reporter, Telemetry};
use crate::util::error::chain;
use crate::util::task::Task;
use crate::util::unwind::panic_message;

/// The probes of a server.
#[derive(Debug)]
pub(crate) struct Prober {
    paths: Arc<[ProbePath]>,
    /// A permit for each probe that is under way.
    limit: Arc<Semaphore>,
    /// Whether `debug=true` is answered with a probe's log.
    answers_debug: bool,
    exposer: Exposer,
    telemetry: Arc<Telemetry>,
    no_thread: Reporter,
    panics: Reporter,
}

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
    pub(crate) fn new(
        paths: Vec<ProbePath>,
        max_probes: usize,
        answers_debug: bool,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        for path in &paths {
            telemetry.show_probes(path.path());
        }
        Prober {
            paths: paths.into(),
            limit: Arc::new(Semaphore::new(max_probes.min(Semaphore::MAX_PERMITS))),
            answers_debug,
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

    /// Returns what these parameters ask for, until this deadline.
    pub(crate) fn request(&self, parameters: Parameters, deadline: Instant) -> ProbeRequest {
        let is_debugged = self.answers_debug && parameters.get("debug") == Some("true");
        let log = if is_debugged { ProbeLog::kept() } else { ProbeLog::default() };
        ProbeRequest { parameters, deadline, log }
    }

    /// Probes what this request asks for at the path at that place, on this runtime. At the deadline, and where this is
    /// dropped, the probe is cancelled.
    pub(crate) async fn probe(
        &self,
        place: usize,
        request: ProbeRequest,
        form: Representation,
        runtime: &Handle,
    ) -> Result<Written, Unanswered> {
        let (deadline, log) = (request.deadline, request.kept_log());
        let path = self.paths[place].path();
        let mut running = Running {
            telemetry: &self.telemetry,
            path,
            started: Instant::now(),
            outcome: ProbeOutcome::Cancelled,
        };
        let attempt = self.attempt(place, request, &form, runtime);
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
        log.add(format_args!("outcome: {}", outcome.label()));
        answer
    }

    async fn attempt(
        &self,
        place: usize,
        request: ProbeRequest,
        form: &Representation,
        runtime: &Handle,
    ) -> Result<Written, Failure> {
        let Ok(permit) = Arc::clone(&self.limit).try_acquire_owned() else {
            return Err(Failure::Unanswered(ProbeOutcome::Rejected, Unanswered::Busy));
        };
        let started = Instant::now();
        let (paths, log) = (Arc::clone(&self.paths), request.kept_log());
        let log_of_task = log.clone();
        // The task is what is under way, not the wait for it: a runtime that is blocked must not collect tasks.
        let task = Task::spawn(runtime, async move {
            let ProbePath { path, probe } = &paths[place];
            let found = probe(request).await;
            // Here, for what the error is printed and dropped by is the exporter's code, too.
            (found.map_err(|error| told(path, error, &log_of_task)), permit)
        });
        let (found, permit) = task.await.map_err(|error| self.died(place, error, &log))?;
        let registry = found?;

        let verdict = Verdict { success: true, seconds: started.elapsed().as_secs_f64() };
        let written =
            self.exposer.write(registry, verdict, form.clone(), log.clone(), permit).map_err(|error| {
                let what = "cannot start the thread that writes what probes have found";
                self.no_thread.report(1, || tracing::error!(%error, "{what}"));
                Failure::Unanswered(ProbeOutcome::Failure, Unanswered::Unwritten)
            })?;
        written.await.unwrap_or(Err(Failed::Panic(String::new()))).map_err(|failed| match failed {
            Failed::Panic(message) => {
                log.add(format_args!("panic in a collector: {message}"));
                Failure::Failed(ProbeOutcome::Panic)
            }
            Failed::Unwritten => Failure::Unanswered(ProbeOutcome::Failure, Unanswered::Unwritten),
        })
    }

    /// A probe that has ended without a result: it panicked, or its runtime is gone.
    fn died(&self, place: usize, error: JoinError, log: &ProbeLog) -> Failure {
        let path = self.paths[place].path();
        let Ok(payload) = error.try_into_panic() else {
            tracing::debug!(path, "a probe was cancelled with its runtime");
            return Failure::Failed(ProbeOutcome::Failure);
        };
        let message = panic_message(payload.as_ref());
        log.add(format_args!("panic: {message}"));
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
fn told(path: &str, error: ProbeError, log: &ProbeLog) -> Failure {
    let error = match error.0 {
        Reason::BadRequest(reason) => {
            return Failure::Unanswered(ProbeOutcome::BadRequest, Unanswered::BadRequest(reason));
        }
        Reason::Failed(error) => error,
    };
    let reason = chain(&*error);
    // It may quote the target, or what the target has sent: a line stays a line.
    tracing::debug!(path, ?reason, "a probe failed");
    log.add(format_args!("error: {reason}"));
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
