//! Requests of probes and their errors.

use std::fmt;
use std::pin::Pin;
use std::time::Instant;

use prometheus::Registry;

use super::log::ProbeLog;
use crate::scrape::BoxError;

/// All parameters of a query string, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

/// Describes a probe of [`Builder::probe`](crate::Builder::probe): the request's parameters and the deadline.
#[derive(Clone, Debug)]
pub struct ProbeRequest {
    pub(super) parameters: Parameters,
    pub(super) deadline: Instant,
    pub(super) log: ProbeLog,
}

impl ProbeRequest {
    /// Returns the parameter `target`; the first, if there are several.
    ///
    /// # Errors
    ///
    /// A [bad request](ProbeError::bad_request) if it is missing or empty.
    pub fn target(&self) -> Result<&str, ProbeError> {
        self.param("target")
            .filter(|target| !target.is_empty())
            .ok_or_else(|| ProbeError::bad_request("parameter target is missing: use ?target=NAME"))
    }

    /// Returns the parameter of this name, decoded; the first, if there are several.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    /// Logs a step of the probe at level debug. A client that asks with `debug=true` reads it, too, where
    /// [`Builder::probe_debug`](crate::Builder::probe_debug) allows it.
    ///
    /// ```
    /// # use prometheus_hyper::{ProbeError, ProbeRequest, prometheus::Registry};
    /// async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    ///     let target = probe.target()?;
    ///     probe.log(format_args!("connecting to {target}"));
    /// #   Ok(Registry::new())
    /// }
    /// ```
    pub fn log(&self, step: impl fmt::Display) {
        // The step may quote the target. `Debug` keeps it on one line.
        tracing::debug!(step = ?step.to_string(), "probe");
        self.log.add(step);
    }

    /// Returns the log of this probe.
    pub(crate) fn kept_log(&self) -> ProbeLog {
        self.log.clone()
    }

    /// Returns when the probe is cancelled.
    ///
    /// It has the [time of a scrape](crate::guide#time-of-a-scrape).
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Parameters {
    /// Returns the first value with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl FromIterator<(String, String)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(parameters: I) -> Self {
        Parameters(parameters.into_iter().collect())
    }
}

/// Says why a probe returns no registry.
///
/// `?` converts any error, `String`, `&str` and whatever becomes a boxed error, such as `anyhow`'s. Then `probe_success` is 0,
/// and the reason is logged at debug level, because probes exist to find targets that are down. It does not implement
/// [`Error`](std::error::Error), which would rule out that conversion.
pub struct ProbeError(pub(super) Reason);

/// Reason why a probe failed.
pub(super) enum Reason {
    /// The request is bad. The client gets a 400 with this sentence.
    BadRequest(String),
    /// The target could not be probed.
    Failed(BoxError),
}

impl ProbeError {
    /// Rejects the request: the client gets a 400 with this sentence.
    pub fn bad_request(reason: impl Into<String>) -> Self {
        ProbeError(Reason::BadRequest(reason.into()))
    }
}

impl<E: Into<BoxError>> From<E> for ProbeError {
    fn from(error: E) -> Self {
        ProbeError(Reason::Failed(error.into()))
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::BadRequest(reason) => f.write_str(reason),
            Reason::Failed(error) => error.fmt(f),
        }
    }
}

/// Like `Display`, because programs that unwrap the error print `Debug`.
impl fmt::Debug for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A path and the function that probes targets there.
pub(crate) struct ProbePath {
    pub(super) path: String,
    pub(super) probe: Box<dyn Fn(ProbeRequest) -> ProbeFuture + Send + Sync>,
}

type ProbeFuture = Pin<Box<dyn Future<Output = Result<Registry, ProbeError>> + Send>>;

impl ProbePath {
    pub(crate) fn new<F, Fut>(path: String, probe: F) -> Self
    where
        F: Fn(ProbeRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Registry, ProbeError>> + Send + 'static,
    {
        ProbePath { path, probe: Box::new(move |asked| Box::pin(probe(asked))) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Debug for ProbePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbePath").field("path", &self.path).finish_non_exhaustive()
    }
}
