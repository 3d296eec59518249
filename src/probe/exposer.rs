//! Writes what probes have found: on a thread of its own, for a registry's collectors may block, and those of a probe must not
//! keep the metrics from anybody.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use bytes::Bytes;
use prometheus::{Gauge, Registry};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::collector::{self, registry_of};
use crate::compress::{Coding, Compress};
use crate::encode;
use crate::gather::Gathering;
use crate::scrape::Form;
use crate::telemetry::{Cause, Telemetry};
use crate::throttle::Throttle;

const SUCCESS: (&str, &str) = ("probe_success", "Whether the probe succeeded");
const DURATION: (&str, &str) = ("probe_duration_seconds", "How long the probe took, in seconds");

/// What is said about a probe beside what it has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) success: bool,
    pub(super) seconds: f64,
}

/// The complete body, and what it is compressed with.
pub(crate) type Written = (Vec<Bytes>, Coding);

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// A collector of the registry panicked.
    Panic,
    /// The compressor failed, which is short of memory.
    Compressor,
}

#[derive(Debug)]
pub(super) struct Exposer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    pen: Arc<Pen>,
}

/// A registry that somebody waits for.
struct Job {
    found: Registry,
    verdict: Verdict,
    form: Form,
    reply: oneshot::Sender<Result<Written, Unwritten>>,
    /// The probe's place is taken until all of it is done.
    _permit: OwnedSemaphorePermit,
}

impl Exposer {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        Exposer {
            jobs: Mutex::new(None),
            pen: Arc::new(Pen { telemetry, complaints: Complaints::default() }),
        }
    }

    /// What is there to say if nothing was found: some bytes, written here and now.
    pub(super) fn write_verdict(&self, verdict: Verdict, form: &Form) -> Result<Written, Unwritten> {
        self.pen.write(None, verdict, form)
    }

    /// Hands a registry to the thread, which is started with the first one.
    pub(super) fn write(
        &self,
        found: Registry,
        verdict: Verdict,
        form: Form,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<oneshot::Receiver<Result<Written, Unwritten>>> {
        let (reply, written) = oneshot::channel();
        let job = Job { found, verdict, form, reply, _permit: permit };
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = match jobs.as_ref() {
            Some(thread) => thread.send(job).err().map(|mpsc::SendError(job)| job),
            None => Some(job),
        };
        if let Some(job) = unsent {
            let thread = self.start()?;
            // It is there, and takes what comes.
            let _ = thread.send(job);
            *jobs = Some(thread);
        }
        Ok(written)
    }

    fn start(&self) -> io::Result<mpsc::Sender<Job>> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let pen = Arc::clone(&self.pen);
        thread::Builder::new().name("prometheus-hyper-probe".to_owned()).spawn(move || {
            for Job { found, verdict, form, reply, _permit } in jobs {
                if reply.is_closed() {
                    continue;
                }
                // Collectors have a catch of their own; what is dropped with a registry has not.
                let write = AssertUnwindSafe(|| pen.write(Some(found), verdict, &form));
                let _ = reply.send(panic::catch_unwind(write).unwrap_or(Err(Unwritten::Panic)));
            }
        })?;
        Ok(sender)
    }
}

/// What writes, and complains of what can not be written.
#[derive(Debug)]
struct Pen {
    telemetry: Arc<Telemetry>,
    complaints: Complaints,
}

/// A probe comes again and again, and so does what is wrong with it.
#[derive(Debug, Default)]
struct Complaints {
    panic: Throttle,
    left_out: Throttle,
    compressor: Throttle,
}

impl Pen {
    fn write(&self, found: Option<Registry>, verdict: Verdict, form: &Form) -> Result<Written, Unwritten> {
        let mut gathering = Gathering::default();
        if let Some(found) = found {
            let gathered = gathering.add(&found);
            self.telemetry.count_errors(Cause::LeftOut, collector::take_left_out());
            gathered.map_err(|message| {
                self.telemetry.count_error(Cause::Panic);
                if self.complaints.panic.allows() {
                    tracing::error!(?message, "a collector of a probe's registry panicked");
                }
                Unwritten::Panic
            })?;
        }
        // An exporter that knows better has said so.
        let known: Vec<bool> = [SUCCESS, DURATION]
            .iter()
            .map(|(name, _)| gathering.names().any(|known| known == *name))
            .collect();
        let values = [f64::from(u8::from(verdict.success)), verdict.seconds];
        for (((name, help), value), known) in [SUCCESS, DURATION].into_iter().zip(values).zip(known) {
            if !known {
                let _ = gathering.add(&registry_of(gauge(name, help, value)));
            }
        }
        let (families, _) = gathering.merge();
        let mut body = Compress::new(form.coding);
        let omissions = encode::encode_consuming(form.choice, &form.names, families, &mut body);
        let complain = !omissions.is_empty() && self.complaints.left_out.allows();
        for omission in omissions.iter() {
            self.telemetry.count_errors(Cause::LeftOut, omission.count);
            if complain {
                tracing::warn!("of a probe: {omission}");
            }
        }
        body.finish().map_err(|error| {
            self.telemetry.count_error(Cause::Gather);
            if self.complaints.compressor.allows() {
                tracing::error!(%error, "cannot compress what a probe has found");
            }
            Unwritten::Compressor
        })
    }
}

#[expect(clippy::expect_used, reason = "constant names")]
fn gauge(name: &str, help: &str, value: f64) -> Gauge {
    let gauge = Gauge::new(name, help).expect("a constant, valid name");
    gauge.set(value);
    gauge
}
