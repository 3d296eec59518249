//! A collector that reads the exposition of another metrics library.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::family;
use super::skipped::{Logged, count_skipped, report_failure};
use crate::exposition::decode::{Faults, decode};
use crate::util::error::BoxError;
use crate::util::throttle::Throttle;

/// Returns a collector that calls `write` at each gather, and reads the families in the text that it writes.
///
/// Use it for the metrics of another library in your program. They are served like all others: in each format and
/// coding, filtered, and with the deadline of the scrape. You can register any number of these collectors.
///
/// ```
/// use prometheus_hyper::collector;
/// use prometheus_hyper::prometheus::{Encoder, Registry, TextEncoder};
///
/// # fn main() -> Result<(), prometheus_hyper::prometheus::Error> {
/// /// Another library, which writes OpenMetrics.
/// fn encode(text: &mut String) -> std::fmt::Result {
///     text.push_str("# TYPE peers gauge\npeers 3\n");
///     text.push_str("# TYPE messages counter\nmessages_total{kind=\"graft\"} 17\n# EOF\n");
///     Ok(())
/// }
///
/// let registry = Registry::new();
/// registry.register(Box::new(collector::exposition(|text| Ok(encode(text)?))))?;
///
/// let text = TextEncoder::new().encode_to_string(&registry.gather())?;
/// assert!(text.contains("\nmessages_total{kind=\"graft\"} 17\n"));
/// # Ok(())
/// # }
/// ```
///
/// | library | `write` |
/// | --- | --- |
/// | [prometheus-client](https://docs.rs/prometheus-client) | `move \|text\| Ok(encode(text, &registry)?)` |
/// | [metrics-exporter-prometheus](https://docs.rs/metrics-exporter-prometheus) | `move \|text\| { text.push_str(&handle.render()); Ok(()) }`, and a timer must call `run_upkeep` of the handle |
///
/// The collector reads the text formats 0.0.4 and 1.0.0, and OpenMetrics 1.0. The guide says how it
/// [tells them apart, and what is served and skipped](crate::guide#expositions-of-other-libraries).
///
/// # Errors
///
/// If `write` returns an `Err`, the collector is skipped in this gather. The server counts the error in
/// `prometheus_exporter_errors_total{cause="skipped"}`, and logs it at most once a minute.
///
/// # Limits
///
/// * `write` runs on the gathering thread, so it must not block. It hangs if it registers in or unregisters from its own registry,
///   which `prometheus` locks.
/// * Its argument is an empty string that reuses the memory of the last text.
/// * If another collector of the registry has a name with another type, its values are wrong. Use each name in one
///   collector.
pub fn exposition<F>(write: F) -> Exposition<F>
where
    F: Fn(&mut String) -> Result<(), BoxError> + Send + Sync + 'static,
{
    let desc = family::unique_desc();
    Exposition { write, openmetrics: false, desc, state: Arc::default() }
}

/// The [`Collector`] that [`exposition()`] returns.
///
/// For a [`Registry`](prometheus::Registry) a clone is the same collector: it accepts one of them, and
/// [`unregister`](prometheus::Registry::unregister) accepts any clone.
#[derive(Clone)]
pub struct Exposition<F> {
    write: F,
    openmetrics: bool,
    desc: Desc,
    state: Arc<CollectorState>,
}

/// The state that is kept between gathers.
#[derive(Default)]
struct CollectorState {
    text: Mutex<String>,
    was_logged: Logged,
    failures: Throttle,
}

/// The size in bytes up to which a text always leaves twice its memory.
const SMALL: usize = 64 * 1024;

impl<F> Exposition<F> {
    /// Reads every text as OpenMetrics.
    ///
    /// Default: the format is detected in each text.
    #[must_use]
    pub fn openmetrics(mut self) -> Self {
        self.openmetrics = true;
        self
    }
}

impl<F: Fn(&mut String) -> Result<(), BoxError> + Send + Sync> Collector for Exposition<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The text is taken out of the mutex, because several servers may gather at once, and `write` may be slow.
        let mut text = mem::take(&mut *self.state.text.lock());
        text.clear();
        let families = match (self.write)(&mut text) {
            Ok(()) => {
                let (families, faults) = decode(&text, self.openmetrics);
                self.state.report(faults);
                families
            }
            Err(error) => {
                report_failure(&*error, &self.state.failures);
                Vec::new()
            }
        };
        // A single long text must not keep its memory.
        text.shrink_to(2 * text.len().max(SMALL));
        *self.state.text.lock() = text;
        families
    }
}

impl CollectorState {
    fn report(&self, faults: Faults) {
        let Some((reason, line)) = faults.first else { return };
        let count = faults.count;
        let first = || format!("skipped lines of an exposition; the first is line {line}: {reason}");
        if count_skipped(count, first) && !self.was_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                line,
                %reason,
                count,
                "skipped lines of an exposition; this is the first, later ones are only counted"
            );
        }
    }
}

impl<F> fmt::Debug for Exposition<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("openmetrics", &self.openmetrics).finish_non_exhaustive()
    }
}
