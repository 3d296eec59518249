//! A collector from a text: what another metrics library writes.

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

/// Makes a collector that calls `write` for a text at each gather, and reads the families in it: for the metrics of another
/// library in the same program.
///
/// They are served with all others: in each format and coding, filtered, under the deadline of the scrape. A registry takes any
/// number of these collectors.
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
/// With [prometheus-client](https://docs.rs/prometheus-client) the function is `move |text| Ok(encode(text, &registry)?)`. With
/// [metrics-exporter-prometheus](https://docs.rs/metrics-exporter-prometheus) it is
/// `move |text| { text.push_str(&handle.render()); Ok(()) }`, and a timer must call `run_upkeep` of the handle.
///
/// # What is read
///
/// The text formats 0.0.4 and 1.0.0, and OpenMetrics 1.0. A text is OpenMetrics if it ends in `# EOF`, or if a line of it is legal
/// only there: UNIT, a type such as `info`, an exemplar, or a sample with `_total` of a counter without. If none of these is sure
/// to be there, call [`Exposition::openmetrics`]. One function writes one format.
///
/// | in OpenMetrics | served |
/// | --- | --- |
/// | counter `a` with the sample `a_total` | counter `a_total` |
/// | timestamps in seconds | in milliseconds, rounded down |
/// | info `a` with the sample `a_info` | gauge `a_info` |
/// | state set | gauge |
/// | gauge histogram `a` | gauges `a_bucket`, `a_gsum` and `a_gcount` |
/// | summary of quantiles alone | gauge |
/// | unknown | untyped |
/// | exemplars, units, samples with `_created` | not |
///
/// In both formats the lines of a histogram or a summary become one metric, in whatever order they are. A family may come in
/// parts. A sum that is missing is NaN. Of several points of a series the first is served.
///
/// # What is skipped
///
/// A line that does not follow the grammar is skipped, and the rest is read. The same holds for a histogram or a summary without a
/// count, a timestamp of zero, a label with a reserved name, a second HELP or TYPE that differs, and a TYPE after a sample.
///
/// The server that gathers counts each, at each gather, in `prometheus_exporter_errors_total{cause="skipped"}`. The first one of a
/// collector is a line in the log, at level warn, with its number and the reason.
///
/// # Errors
///
/// An `Err` of `write` leaves out this collector for this gather. It is counted in the same way, and logged once a minute.
///
/// # The edges
///
/// * `write` runs on the thread that gathers. It must not wait for something else.
/// * It gets an empty string with the memory of the last one.
/// * A name that another collector of the registry has under another type is read wrongly. Each name belongs to one collector.
pub fn exposition<F>(write: F) -> Exposition<F>
where
    F: Fn(&mut String) -> Result<(), BoxError> + Send + Sync + 'static,
{
    let desc = family::unique_desc();
    Exposition { write, openmetrics: false, desc, state: Arc::default() }
}

/// The [`Collector`] that [`exposition()`] returns.
///
/// A clone is the same collector to a [`Registry`](prometheus::Registry), which takes one of the two, and gives the one back
/// for the other in [`unregister`](prometheus::Registry::unregister).
#[derive(Clone)]
pub struct Exposition<F> {
    write: F,
    openmetrics: bool,
    desc: Desc,
    state: Arc<State>,
}

/// What stays from gather to gather.
#[derive(Default)]
struct State {
    text: Mutex<String>,
    was_logged: Logged,
    failures: Throttle,
}

/// A text of so many bytes may leave memory for as many more.
const SMALL: usize = 64 * 1024;

impl<F> Exposition<F> {
    /// Reads every text as OpenMetrics. Default: the text shows what it is.
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
        // Not under the lock, because several servers may gather at once, and `write` may take its time.
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
        // One long text must not keep its memory for ever.
        text.shrink_to(2 * text.len().max(SMALL));
        *self.state.text.lock() = text;
        families
    }
}

impl State {
    fn report(&self, faults: Faults) {
        let Some((reason, line)) = faults.first() else { return };
        let count = faults.count();
        let first =
            || format!("lines of an exposition are skipped, of which line {line} is the first: {reason}");
        if count_skipped(count, first) && !self.was_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                line,
                %reason,
                count,
                "lines of an exposition are skipped, of which this is the first; the next ones are only counted"
            );
        }
    }
}

impl<F> fmt::Debug for Exposition<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("openmetrics", &self.openmetrics).finish_non_exhaustive()
    }
}
