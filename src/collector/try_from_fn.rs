//! A collector that calls a fallible closure for its samples.

use std::fmt;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family;
use super::samples::Samples;
use super::skipped::{self, Logged};
use crate::util::error::BoxError;
use crate::util::throttle::Throttle;

/// Returns a collector like that of [`from_fn`](super::from_fn()), whose closure may return an error.
///
/// If `collect` returns an error, the collector has no series in that gather. Samples that it added before are dropped.
/// The server counts the failure in `prometheus_exporter_errors_total{cause="skipped"}`. It logs the error and its
/// sources at level warn, at most once a minute for each collector.
///
/// ```
/// use prometheus_hyper::collector::{Samples, try_from_fn};
/// use prometheus_hyper::prometheus::Registry;
///
/// # fn main() -> Result<(), prometheus_hyper::prometheus::Error> {
/// let registry = Registry::new();
/// registry.register(Box::new(try_from_fn(|s: &mut Samples| {
///     let load = std::fs::read_to_string("/proc/loadavg")?;
///     let minute = load.split(' ').next().unwrap_or_default().parse()?;
///     s.gauge("load1", "Load of the last minute.", &[], minute);
///     Ok(())
/// })))?;
/// # Ok(())
/// # }
/// ```
pub fn try_from_fn<F>(collect: F) -> TryFromFn<F>
where
    F: Fn(&mut Samples) -> Result<(), BoxError> + Send + Sync + 'static,
{
    TryFromFn { collect, desc: family::unique_desc(), logged: Arc::default(), failures: Arc::default() }
}

/// The [`Collector`] that [`try_from_fn`] returns.
///
/// A clone is the same collector to a [`Registry`](prometheus::Registry), as with [`FromFn`](super::FromFn).
#[derive(Clone)]
pub struct TryFromFn<F> {
    collect: F,
    desc: Desc,
    logged: Arc<Logged>,
    failures: Arc<Throttle>,
}

impl<F: Fn(&mut Samples) -> Result<(), BoxError> + Send + Sync> Collector for TryFromFn<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut samples = Samples::new();
        match (self.collect)(&mut samples) {
            Ok(()) => samples.into_families(&self.logged),
            Err(error) => {
                skipped::report_failure(&*error, &self.failures);
                Vec::new()
            }
        }
    }
}

impl<F> fmt::Debug for TryFromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryFromFn").finish_non_exhaustive()
    }
}
