//! Runs a limited number of concurrent probes, each as a task that ends with its scrape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::exposer::{Exposer, NoExposition, ProbeFailure, ProbeStatus};
use super::log::ProbeLog;
use super::request::{Parameters, ProbeError, ProbePath, ProbeRequest, Reason};
use crate::scrape::{Representation, Unwritten, Written};
use crate::telemetry::{Cause, ProbeOutcome, Reporter, Telemetry};
use crate::util::error::chain;
use crate::util::task::Task;
use crate::util::unwind::panic_message;

/// The probes of a server.
#[derive(Debug)]
pub(crate) struct Prober {
    paths: Arc<[ProbePath]>,
    /// Limits the number of running probes.
    limit: Arc<Semaphore>,
    /// Whether `debug=true` returns the probe's log.
    serves_debug: bool,
    exposer: Arc<Exposer>,
    telemetry: Arc<Telemetry>,
    panics: Reporter,
}

impl Prober {
    pub(crate) fn new(
        paths: Vec<ProbePath>,
        max_probes: usize,
        serves_debug: bool,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        for path in &paths {
            telemetry.show_probes(path.path());
        }
        Prober {
            paths: paths.into(),
            limit: Arc::new(Semaphore::new(max_probes.min(Semaphore::MAX_PERMITS))),
            serves_debug,
            exposer: Arc::new(Exposer::new(&telemetry)),
            panics: telemetry.reporter(Cause::Panic),
            telemetry,
        }
    }

    /// Returns the index of the probe at this path.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.paths.iter().position(|known| known.path == path)
    }

    /// Counts a request that is rejected before the probe starts.
    pub(crate) fn count_bad_request(&self, index: usize) {
        self.telemetry.probe_ended(self.paths[index].path(), ProbeOutcome::BadRequest, Duration::ZERO);
    }

    /// Creates the request of a probe with these parameters and this deadline.
    pub(crate) fn request(&self, parameters: Parameters, deadline: Instant) -> ProbeRequest {
        let is_debugged = self.serves_debug && parameters.get("debug") == Some("true");
        let log = if is_debugged { ProbeLog::kept() } else { ProbeLog::default() };
        ProbeRequest { parameters, deadline, log }
    }

    /// Runs the probe with this index on this runtime. The probe is cancelled at the deadline, and if this future is
    /// dropped.
    pub(crate) async fn probe(
        &self,
        index: usize,
        request: ProbeRequest,
        representation: Representation,
        runtime: &Handle,
    ) -> Result<Written, NoExposition> {
        let (deadline, log) = (request.deadline, request.kept_log());
        let path = self.paths[index].path();
        let mut running = RunningProbe {
            telemetry: &self.telemetry,
            path,
            started: Instant::now(),
            outcome: ProbeOutcome::Cancelled,
        };
        let attempt = self.attempt(index, request, &representation, runtime);
        let attempted = tokio::time::timeout_at(deadline.into(), attempt).await;
        let (outcome, result) = match attempted.unwrap_or(Err(ProbeFailure::Failed(ProbeOutcome::Timeout))) {
            Ok(written) => (ProbeOutcome::Success, Ok(written)),
            Err(ProbeFailure::Failed(outcome)) => {
                let status = ProbeStatus { success: false, seconds: running.started.elapsed().as_secs_f64() };
                let written = self.exposer.write_status(status, &representation);
                (outcome, written.map_err(|Unwritten| NoExposition::Unwritten))
            }
            Err(ProbeFailure::NoExposition(why)) => (why.outcome(), Err(why)),
        };
        running.outcome = outcome;
        log.add(format_args!("outcome: {}", outcome.label()));
        result
    }

    async fn attempt(
        &self,
        index: usize,
        request: ProbeRequest,
        representation: &Representation,
        runtime: &Handle,
    ) -> Result<Written, ProbeFailure> {
        let Ok(permit) = Arc::clone(&self.limit).try_acquire_owned() else {
            return Err(ProbeFailure::NoExposition(NoExposition::Busy));
        };
        let started = Instant::now();
        let (paths, exposer) = (Arc::clone(&self.paths), Arc::clone(&self.exposer));
        let (representation, log, log_of_task) =
            (representation.clone(), request.kept_log(), request.kept_log());
        // The task holds the permit, not this future. On a blocked runtime the tasks would otherwise accumulate. It
        // also drops the probe's error, or hands its registry over. Both may run the exporter's code, so the thread
        // that polls this future must not drop them.
        let task = Task::spawn(runtime, async move {
            let ProbePath { path, probe } = &paths[index];
            let registry = probe(request).await.map_err(|error| failure_of(path, error, &log_of_task))?;
            let status = ProbeStatus { success: true, seconds: started.elapsed().as_secs_f64() };
            exposer.write(registry, status, representation, log_of_task, permit)
        });
        let written = task.await.map_err(|error| self.failure_of_task(index, error, &log))??;
        written.await.unwrap_or(Err(ProbeFailure::Failed(ProbeOutcome::Panic)))
    }

    /// Returns the failure of a probe that ended without a result: it panicked, or its runtime is gone.
    fn failure_of_task(&self, index: usize, error: JoinError, log: &ProbeLog) -> ProbeFailure {
        let path = self.paths[index].path();
        let Ok(payload) = error.try_into_panic() else {
            tracing::debug!(path, "probe cancelled; its runtime has shut down");
            return ProbeFailure::Failed(ProbeOutcome::Failure);
        };
        let message = panic_message(payload);
        log.add(format_args!("panic: {message}"));
        // Like the reason of an error, the message may quote the target.
        self.panics.report(1, || tracing::error!(path, "probe panicked; its message is logged at debug"));
        tracing::debug!(path, panic = ?message, "probe panicked");
        ProbeFailure::Failed(ProbeOutcome::Panic)
    }
}

/// Converts a probe's error: a bad request becomes a response, all others a log line.
fn failure_of(path: &str, error: ProbeError, log: &ProbeLog) -> ProbeFailure {
    let error = match error.0 {
        Reason::BadRequest(reason) => {
            return ProbeFailure::NoExposition(NoExposition::BadRequest(reason));
        }
        Reason::Failed(error) => error,
    };
    let reason = chain(&*error);
    // The reason may quote the target, or text that the target sent. `Debug` keeps it on one line.
    tracing::debug!(path, ?reason, "probe failed");
    log.add(format_args!("error: {reason}"));
    ProbeFailure::Failed(ProbeOutcome::Failure)
}

/// Counts the end of a probe when dropped, so that the count cannot be skipped.
struct RunningProbe<'p> {
    telemetry: &'p Telemetry,
    path: &'p str,
    started: Instant,
    outcome: ProbeOutcome,
}

impl Drop for RunningProbe<'_> {
    fn drop(&mut self) {
        self.telemetry.probe_ended(self.path, self.outcome, self.started.elapsed());
    }
}

#[cfg(test)]
mod tests;
