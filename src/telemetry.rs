//! The server's own metrics: numbers under a lock, which become families at each scrape.
//!
//! Nothing is registered in the user's registries, so a second start, a failed bind or an abort leaves no trace.

mod durations;
mod label_values;
mod own_family;
mod store;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::proto::MetricFamily;

use crate::util::throttle::Throttle;
use own_family::OwnFamily;
use store::Store;

pub(crate) use label_values::{Cause, ProbeOutcome, RejectReason};

/// The server's own metrics, one set per server.
#[derive(Debug)]
pub(crate) struct Telemetry(Mutex<Store>);

impl Telemetry {
    pub(crate) fn new() -> Self {
        let mut store = Store::default();
        // These series exist from the first scrape on, so that `increase()` counts the first error.
        for cause in Cause::ALL {
            store.series(OwnFamily::Errors, &[cause.label()]);
        }
        use OwnFamily::{Connections, RequestDuration, Requests, RequestsInFlight, ResponseSize};
        for own in [Connections, RequestDuration, Requests, RequestsInFlight, ResponseSize] {
            store.series(own, &[]);
        }
        store.series(OwnFamily::Ready, &[]).number = 1.0;
        Telemetry(Mutex::new(store))
    }

    /// Returns the families in the order in which a registry gathers them.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        self.0.lock().families()
    }

    /// Returns a reporter, which counts and logs errors of one kind.
    pub(crate) fn reporter(self: &Arc<Self>, cause: Cause) -> Reporter {
        Reporter { telemetry: Arc::clone(self), cause, throttle: Throttle::default() }
    }

    pub(crate) fn count_error(&self, cause: Cause) {
        self.count_errors(cause, 1);
    }

    pub(crate) fn count_errors(&self, cause: Cause, count: u64) {
        self.add(OwnFamily::Errors, &[cause.label()], count as f64);
    }

    /// Exposes these series now, so that `increase()` counts the first rejection.
    pub(crate) fn show_rejections(&self, reasons: &[RejectReason]) {
        for reason in reasons {
            self.add(OwnFamily::Rejections, &[reason.label()], 0.0);
        }
    }

    pub(crate) fn count_rejection(&self, reason: RejectReason) {
        self.add(OwnFamily::Rejections, &[reason.label()], 1.0);
    }

    pub(crate) fn count_scrape(&self) {
        self.add(OwnFamily::Requests, &[], 1.0);
    }

    pub(crate) fn observe_request(&self, duration: Duration) {
        self.0.lock().series(OwnFamily::RequestDuration, &[]).durations.observe(duration);
    }

    pub(crate) fn set_response_size(&self, bytes: u64) {
        self.set(OwnFamily::ResponseSize, &[], bytes as f64);
    }

    /// Hides the metrics that a mounted handler cannot know.
    pub(crate) fn hide_server_families(&self) {
        self.0.lock().hidden = &[OwnFamily::Connections, OwnFamily::Ready];
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.set(OwnFamily::Ready, &[], ready.into());
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.lock().series(OwnFamily::Ready, &[]).number != 0.0
    }

    pub(crate) fn set_registry_up(&self, registry: &str, up: bool) {
        self.set(OwnFamily::RegistryUp, &[registry], up.into());
    }

    pub(crate) fn set_series(&self, registry: &str, series: usize) {
        self.set(OwnFamily::Series, &[registry], series as f64);
    }

    pub(crate) fn hook_ended(&self, hook: &str, success: bool, duration: Duration) {
        self.set(OwnFamily::HookSuccess, &[hook], success.into());
        self.set(OwnFamily::HookDuration, &[hook], duration.as_secs_f64());
    }

    /// Exposes these series now, so that `increase()` counts the first probe.
    pub(crate) fn show_probes(&self, path: &str) {
        for outcome in ProbeOutcome::ALL {
            self.add(OwnFamily::Probes, &[outcome.label(), path], 0.0);
        }
        self.0.lock().series(OwnFamily::ProbeDuration, &[path]);
    }

    pub(crate) fn probe_ended(&self, path: &str, outcome: ProbeOutcome, duration: Duration) {
        self.add(OwnFamily::Probes, &[outcome.label(), path], 1.0);
        // Probes that never started would lower the durations.
        if !matches!(outcome, ProbeOutcome::BadRequest | ProbeOutcome::Rejected) {
            self.0.lock().series(OwnFamily::ProbeDuration, &[path]).durations.observe(duration);
        }
    }

    /// Counts a request as in flight until the return value is dropped.
    pub(crate) fn request_in_flight(self: &Arc<Self>) -> Up {
        Up::new(self, OwnFamily::RequestsInFlight)
    }

    /// Counts a connection as open until the return value is dropped.
    pub(crate) fn open_connection(self: &Arc<Self>) -> Up {
        Up::new(self, OwnFamily::Connections)
    }

    fn add(&self, own: OwnFamily, labels: &[&str], more: f64) {
        self.0.lock().series(own, labels).number += more;
    }

    fn set(&self, own: OwnFamily, labels: &[&str], number: f64) {
        self.0.lock().series(own, labels).number = number;
    }
}

#[cfg(feature = "tls")]
impl Telemetry {
    /// Records a loaded certificate. `not_after` is the last second in which it is valid, since the epoch.
    pub(crate) fn certificate_loaded(&self, not_after: i64) {
        self.set(OwnFamily::CertificateReload, &[], 1.0);
        self.set(OwnFamily::CertificateExpiry, &[], not_after as f64);
    }

    /// Records a failed reload. The last good certificate stays in use.
    pub(crate) fn certificate_reload_failed(&self) {
        self.set(OwnFamily::CertificateReload, &[], 0.0);
    }
}

#[cfg(feature = "web-config")]
impl Telemetry {
    /// Records whether the current content of the file is in use.
    pub(crate) fn web_config_reloaded(&self, success: bool) {
        self.set(OwnFamily::WebConfigReload, &[], success.into());
    }
}

/// Counts errors of one kind and logs them at most once a minute. An error that recurs at every scrape would
/// otherwise fill the log.
#[derive(Debug)]
pub(crate) struct Reporter {
    telemetry: Arc<Telemetry>,
    cause: Cause,
    throttle: Throttle,
}

impl Reporter {
    /// Counts errors, and logs them if there are any and the log limit allows it.
    pub(crate) fn report(&self, count: u64, log: impl FnOnce()) {
        if count == 0 {
            return;
        }
        // First, because a subscriber of the host program may panic in the log.
        self.telemetry.count_errors(self.cause, count);
        if self.throttle.allows() {
            log();
        }
    }
}

/// A gauge that is incremented until this is dropped.
#[derive(Debug)]
pub(crate) struct Up {
    telemetry: Arc<Telemetry>,
    gauge: OwnFamily,
}

impl Up {
    fn new(telemetry: &Arc<Telemetry>, gauge: OwnFamily) -> Self {
        telemetry.add(gauge, &[], 1.0);
        Up { telemetry: Arc::clone(telemetry), gauge }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.telemetry.add(self.gauge, &[], -1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_exists_from_the_start() {
        let families = Telemetry::new().families();
        let names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
        let expected = [
            "prometheus_exporter_connections",
            "prometheus_exporter_errors_total",
            "prometheus_exporter_ready",
            "prometheus_exporter_request_duration_seconds",
            "prometheus_exporter_requests_in_flight",
            "prometheus_exporter_requests_total",
            "prometheus_exporter_response_size_bytes",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn counts_all_errors_and_logs_one_a_minute() {
        let telemetry = Arc::new(Telemetry::new());
        let reporter = telemetry.reporter(Cause::Gather);
        let errors = || telemetry.0.lock().series(OwnFamily::Errors, &[Cause::Gather.label()]).number;
        let logged = std::cell::Cell::new(0);
        for count in [0, 1, 2] {
            reporter.report(count, || logged.set(logged.get() + 1));
        }
        assert_eq!((errors(), logged.get()), (3.0, 1));
        // Another reporter with the same cause.
        telemetry.reporter(Cause::Gather).report(1, || logged.set(logged.get() + 1));
        assert_eq!((errors(), logged.get()), (4.0, 2));
    }

    #[test]
    fn dropping_the_holder_decrements_the_gauge() {
        let telemetry = Arc::new(Telemetry::new());
        let held = (telemetry.open_connection(), telemetry.open_connection());
        let connections = || telemetry.0.lock().series(OwnFamily::Connections, &[]).number;
        assert_eq!(connections(), 2.0);
        drop(held);
        assert_eq!(connections(), 0.0);
    }
}
