//! Writes the registries of probes on separate threads. A registry's collectors may block, and then delay neither the
//! metrics nor other probes. There are at most as many threads as concurrent probes, because each job holds its
//! probe's permit.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Gauge, Registry};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::log::ProbeLog;
use crate::collector::{self, registry_of};
use crate::exposition::chunk::Sink;
use crate::exposition::encode;
use crate::scrape::gather::Gathering;
use crate::scrape::{BodyWriter, Representation, Unwritten, Written};
use crate::telemetry::{Cause, ProbeOutcome, Reporter, Telemetry};
use crate::util::unwind::panic_message;
use crate::util::worker::Workers;

const SUCCESS: (&str, &str) = ("probe_success", "Whether the probe succeeded.");
const DURATION: (&str, &str) = ("probe_duration_seconds", "Duration of the probe in seconds.");

/// How long a thread waits for the next probe. Longer than the usual scrape interval would be of no use.
const IDLE: Duration = Duration::from_secs(60);

/// Result of a probe besides its registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProbeStatus {
    pub(super) success: bool,
    pub(super) seconds: f64,
}

/// The written registry, or why there is none.
type WriteResult = Result<Written, ProbeFailure>;

/// Reason why a probe has no metrics of its target.
pub(super) enum ProbeFailure {
    /// `probe_success` is 0.
    Failed(ProbeOutcome),
    NoExposition(NoExposition),
}

/// Reason why a probe returns no exposition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoExposition {
    /// With the sentence for the scraper.
    BadRequest(String),
    /// The limit of running probes is reached.
    Busy,
    /// No thread or no memory to write the exposition.
    Unwritten,
}

impl NoExposition {
    pub(super) fn outcome(&self) -> ProbeOutcome {
        match self {
            NoExposition::BadRequest(_) => ProbeOutcome::BadRequest,
            NoExposition::Busy => ProbeOutcome::Rejected,
            NoExposition::Unwritten => ProbeOutcome::Failure,
        }
    }
}

#[derive(Debug)]
pub(super) struct Exposer {
    workers: Workers,
    no_thread: Reporter,
    writer: Arc<RegistryWriter>,
}

/// A registry to write for a waiter.
struct Job {
    registry: Registry,
    status: ProbeStatus,
    representation: Representation,
    log: ProbeLog,
    reply: oneshot::Sender<WriteResult>,
    /// The probe's permit, held until the job is done.
    _permit: OwnedSemaphorePermit,
}

impl Exposer {
    pub(super) fn new(telemetry: &Arc<Telemetry>) -> Self {
        let body_writer = BodyWriter::new(telemetry, "probe: ");
        let (panics, skipped) = (telemetry.reporter(Cause::Panic), telemetry.reporter(Cause::Skipped));
        Exposer {
            workers: Workers::new("prometheus-hyper-probe", usize::MAX, IDLE),
            no_thread: telemetry.reporter(Cause::Gather),
            writer: Arc::new(RegistryWriter { body_writer, panics, skipped }),
        }
    }

    /// Writes the result of a probe without a registry on the calling thread, because it is only some bytes.
    pub(super) fn write_status(
        &self,
        status: ProbeStatus,
        representation: &Representation,
    ) -> Result<Written, Unwritten> {
        self.writer.write(Gathering::default(), status, representation)
    }

    /// Hands a registry to an idle thread, or to a new one. A missing thread is logged.
    pub(super) fn write(
        &self,
        registry: Registry,
        status: ProbeStatus,
        representation: Representation,
        log: ProbeLog,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<WriteResult>, ProbeFailure> {
        let (reply, written) = oneshot::channel();
        let job = Job { registry, status, representation, log, reply, _permit: permit };
        let writer = Arc::clone(&self.writer);
        let handed = self.workers.run(move || {
            // A probe's collectors are new each time, so they cannot know what was logged before.
            collector::keep_skipped();
            // Dropping a registry runs foreign code too.
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| writer.work(job))) {
                writer.report_panic(&panic_message(payload));
            }
        });
        handed.map(|()| written).map_err(|error| {
            let what = "failed to spawn the thread that writes the metrics of probes";
            self.no_thread.report(1, || tracing::error!(%error, "{what}"));
            ProbeFailure::NoExposition(NoExposition::Unwritten)
        })
    }
}

/// Writes expositions, and reports skipped metrics.
#[derive(Debug)]
struct RegistryWriter {
    body_writer: BodyWriter,
    panics: Reporter,
    skipped: Reporter,
}

impl RegistryWriter {
    fn work(&self, job: Job) {
        // The permit is dropped last, because the drop of a registry may hang.
        let Job { _permit, registry, status, representation, log, reply } = job;
        if !reply.is_closed() {
            let _ = reply.send(self.expose(&registry, status, &representation, &log));
        }
    }

    fn expose(
        &self,
        registry: &Registry,
        status: ProbeStatus,
        representation: &Representation,
        log: &ProbeLog,
    ) -> WriteResult {
        let mut gathering = Gathering::default();
        let gathered = gathering.add(registry);
        let first = collector::take_first_skipped();
        // The detail may quote the target, which the client has named.
        if let Some(first) = &first {
            log.add(first);
            tracing::debug!("probe: {first}");
        }
        self.skipped.report(collector::take_skipped(), || {
            tracing::warn!("probe: a collector failed or skipped samples; the detail is logged at debug");
        });
        if let Err(message) = gathered {
            self.report_panic(&message);
            log.add(format_args!("panic in a collector: {message}"));
            return Err(ProbeFailure::Failed(ProbeOutcome::Panic));
        }
        self.write(gathering, status, representation)
            .map_err(|Unwritten| ProbeFailure::NoExposition(NoExposition::Unwritten))
    }

    /// Writes the gathered families and the status.
    fn write(
        &self,
        mut gathering: Gathering,
        status: ProbeStatus,
        representation: &Representation,
    ) -> Result<Written, Unwritten> {
        // An exporter may set these metrics itself.
        let values = [(SUCCESS, f64::from(u8::from(status.success))), (DURATION, status.seconds)];
        let is_known = |name: &str| gathering.names().any(|known| known == name);
        let ours: Vec<_> = values.into_iter().filter(|((name, _), _)| !is_known(name)).collect();
        for ((name, help), value) in ours {
            let _ = gathering.add(&registry_of(gauge(name, help, value)));
        }
        let (families, _) = gathering.merge();
        let encode = |body: &mut dyn Sink| {
            encode::encode_consuming(representation.format, &representation.names, families, body)
        };
        self.body_writer.write(representation, None, encode)
    }

    fn report_panic(&self, message: &str) {
        let what = "collector of a probe panicked";
        self.panics.report(1, || tracing::error!("{what}; its message is logged at debug"));
        tracing::debug!(panic = ?message, "{what}");
    }
}

#[expect(clippy::expect_used, reason = "constant names")]
fn gauge(name: &str, help: &str, value: f64) -> Gauge {
    let gauge = Gauge::new(name, help).expect("a constant, valid name");
    gauge.set(value);
    gauge
}
