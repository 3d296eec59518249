//! Writes what probes have found: on threads of its own, for a registry's collectors may block, and those of one probe must keep
//! neither the metrics nor another probe from anybody. There are at most as many as there may be probes, for each job has a
//! probe's permit until it is done.

use std::io;
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
use crate::scrape::{Representation, Unwritten, Writer, Written};
use crate::telemetry::{Cause, Reporter, Telemetry};
use crate::util::unwind::panic_message;
use crate::util::worker::Workers;

const SUCCESS: (&str, &str) = ("probe_success", "Whether the probe succeeded");
const DURATION: (&str, &str) = ("probe_duration_seconds", "How long the probe took, in seconds");

/// How long a thread waits for another probe: beyond the usual interval between two scrapes there is no use in it.
const IDLE: Duration = Duration::from_secs(60);

/// What is said about a probe beside what it has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) success: bool,
    pub(super) seconds: f64,
}

/// A registry, or why there is nothing of it.
type Outcome = Result<Written, Failed>;

/// Why a registry was not written.
#[derive(Debug)]
pub(super) enum Failed {
    /// A collector of it panicked, with this message.
    Panic(String),
    Unwritten,
}

impl From<Unwritten> for Failed {
    fn from(Unwritten: Unwritten) -> Self {
        Failed::Unwritten
    }
}

#[derive(Debug)]
pub(super) struct Exposer {
    workers: Workers,
    pen: Arc<Pen>,
}

/// A registry that somebody waits for.
struct Job {
    found: Registry,
    verdict: Verdict,
    form: Representation,
    log: ProbeLog,
    reply: oneshot::Sender<Outcome>,
    /// The probe's, until all of it is done.
    _permit: OwnedSemaphorePermit,
}

impl Exposer {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        let writer = Writer::new(&telemetry, "of a probe: ");
        let (panics, skipped) = (telemetry.reporter(Cause::Panic), telemetry.reporter(Cause::Skipped));
        let pen = Arc::new(Pen { writer, panics, skipped });
        Exposer { workers: Workers::new("prometheus-hyper-probe", usize::MAX, IDLE), pen }
    }

    /// What is there to say if nothing was found: some bytes, written here and now.
    pub(super) fn write_verdict(
        &self,
        verdict: Verdict,
        form: &Representation,
    ) -> Result<Written, Unwritten> {
        self.pen.write(Gathering::default(), verdict, form)
    }

    /// Hands a registry to a thread that has nothing to do, or to a new one.
    pub(super) fn write(
        &self,
        found: Registry,
        verdict: Verdict,
        form: Representation,
        log: ProbeLog,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<oneshot::Receiver<Outcome>> {
        let (reply, written) = oneshot::channel();
        let job = Job { found, verdict, form, log, reply, _permit: permit };
        let pen = Arc::clone(&self.pen);
        self.workers.run(move || {
            // A probe's collectors are new each time, and do not know what was said before.
            collector::keep_skipped();
            // What is dropped with a registry is not ours, either.
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| pen.work(job))) {
                pen.report_panic(&panic_message(payload.as_ref()));
            }
        })?;
        Ok(written)
    }
}

/// What writes, and complains of what can not be written.
#[derive(Debug)]
struct Pen {
    writer: Writer,
    panics: Reporter,
    skipped: Reporter,
}

impl Pen {
    fn work(&self, job: Job) {
        let Job { found, verdict, form, log, reply, _permit } = job;
        if !reply.is_closed() {
            let _ = reply.send(self.expose(&found, verdict, &form, &log));
        }
    }

    fn expose(&self, found: &Registry, verdict: Verdict, form: &Representation, log: &ProbeLog) -> Outcome {
        let mut gathering = Gathering::default();
        let gathered = gathering.add(found);
        let first = collector::take_first_skipped();
        first.iter().for_each(|first| log.add(first));
        self.skipped.report(collector::take_skipped(), || {
            first.iter().for_each(|first| tracing::warn!("of a probe: {first}"));
        });
        if let Err(message) = gathered {
            self.report_panic(&message);
            return Err(Failed::Panic(message));
        }
        Ok(self.write(gathering, verdict, form)?)
    }

    /// What was found, and the verdict.
    fn write(
        &self,
        mut gathering: Gathering,
        verdict: Verdict,
        form: &Representation,
    ) -> Result<Written, Unwritten> {
        // An exporter that knows better has said so.
        let values = [(SUCCESS, f64::from(u8::from(verdict.success))), (DURATION, verdict.seconds)];
        let is_known = |name: &str| gathering.names().any(|known| known == name);
        let ours: Vec<_> = values.into_iter().filter(|((name, _), _)| !is_known(name)).collect();
        for ((name, help), value) in ours {
            let _ = gathering.add(&registry_of(gauge(name, help, value)));
        }
        let (families, _) = gathering.merge();
        let encode = |body: &mut dyn Sink| encode::encode_consuming(form.format, &form.names, families, body);
        self.writer.write(form, None, encode)
    }

    fn report_panic(&self, message: &str) {
        self.panics.report(1, || tracing::error!(?message, "a collector of a probe's registry panicked"));
    }
}

#[expect(clippy::expect_used, reason = "constant names")]
fn gauge(name: &str, help: &str, value: f64) -> Gauge {
    let gauge = Gauge::new(name, help).expect("a constant, valid name");
    gauge.set(value);
    gauge
}
