//! The server's own metrics. They are in a private registry, which is one more source of the scrape. The server
//! registers nothing in the user's registries, so that a second start, a failed bind or an abort leaves no trace.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

use crate::util::throttle::Throttle;

/// Defines an enum whose variants are all values of a label. Nothing that a client sends becomes a label
/// (CVE-2022-21698).
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_variant:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$of_variant])* $variant,)* }

        impl $name {
            #[allow(dead_code, reason = "not every label shows all its values from the start")]
            const ALL: &[$name] = &[$($name::$variant,)*];

            pub(crate) fn label(self) -> &'static str {
                match self { $($name::$variant => $value,)* }
            }
        }
    };
}

label_values! {
    /// Cause of an error: the values of `prometheus_exporter_errors_total{cause}`.
    Cause {
        /// Accepting a connection failed, unless the client had closed it.
        Accept = "accept",
        /// A connection ended with an I/O or protocol error, or at a deadline during a request or a response.
        Connection = "connection",
        /// A connection was closed in favour of a new one.
        Evicted = "evicted",
        /// The server failed to serve a scrape or a probe: a panic outside collectors, no thread, no compression.
        Gather = "gather",
        /// A TLS handshake failed: too slow, plain HTTP, or a rejected client.
        Handshake = "handshake",
        /// A family, metric or sample was skipped: nameless, empty, duplicate, or not representable.
        Skipped = "skipped",
        /// A collector or a probe panicked, or the host program's subscriber in the accept loop.
        Panic = "panic",
        /// A scrape did not finish by its deadline.
        Timeout = "timeout",
        /// Two sources use one name with two types.
        TypeConflict = "type_conflict",
    }
}

label_values! {
    /// Reason why a connection or a request was rejected: the values of `prometheus_exporter_denied_total{reason}`.
    RejectReason {
        /// The address is not on the allow-list.
        Address = "address",
        /// The Host is not on the list.
        Host = "host",
        /// The rate limit is exceeded.
        Rate = "rate",
        /// Too many scrapes are in flight.
        MaxRequests = "max_requests",
        /// The budget of unsent bytes is exceeded.
        Unsent = "unsent",
        /// No credentials, or unreadable ones.
        NoCredentials = "no_credentials",
        /// Wrong credentials.
        WrongCredentials = "wrong_credentials",
        /// The address has too many recent failed logins.
        Failures = "failures",
        /// The queue of logins is full.
        Logins = "logins",
    }
}

label_values! {
    /// Outcome of a probe: the values of `prometheus_exporter_probes_total{outcome}`.
    ProbeOutcome {
        Success = "success",
        /// The target could not be probed.
        Failure = "failure",
        /// The probe did not finish by its deadline.
        Timeout = "timeout",
        Panic = "panic",
        /// The scraper's parameters are invalid.
        BadRequest = "bad_request",
        /// Too many probes were running.
        Rejected = "rejected",
        /// The scraper closed its connection.
        Cancelled = "cancelled",
    }
}

/// Up to the longest default scrape timeout, because probes take as long as their targets.
const PROBE_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// The server's own metrics, one set per server.
#[cfg_attr(not(feature = "web-config"), expect(dead_code, reason = "those of files that are not read"))]
#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    requests: IntCounter,
    request_duration: Histogram,
    response_size: IntGauge,
    in_flight: IntGauge,
    ready: IntGauge,
    connections: IntGauge,
    errors: IntCounterVec,
    denied: IntCounterVec,
    registry_up: IntGaugeVec,
    series: IntGaugeVec,
    hook_success: IntGaugeVec,
    hook_duration: GaugeVec,
    probes: IntCounterVec,
    probe_duration: HistogramVec,
    certificate_reload_success: IntGaugeVec,
    web_config_reload_success: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let new = Register(&registry);
        let telemetry = Telemetry {
            requests: new
                .counter("requests_total", "HTTP requests that were received by the metrics endpoint."),
            request_duration: new.histogram("request_duration_seconds", "HTTP request durations in seconds."),
            response_size: new.gauge(
                "response_size_bytes",
                "Size of the last HTTP response of the metrics endpoint in bytes.",
            ),
            in_flight: new.gauge("requests_in_flight", "HTTP requests whose response is not ready yet."),
            ready: new
                .gauge("ready", "Whether the program reports that it is ready, as /-/ready returns it."),
            connections: new.gauge("connections", "Open connections to the metrics server."),
            errors: new.counters("errors_total", "Errors of the metrics server, by cause.", &["cause"]),
            // Without access control, hooks, probes, files and a second registry, these families have no series and
            // are not exposed.
            denied: new.counters(
                "denied_total",
                "Connections and requests that the metrics server rejected, by reason.",
                &["reason"],
            ),
            registry_up: new.gauges(
                "registry_up",
                "Whether the last gather of a registry succeeded.",
                &["registry"],
            ),
            series: new.gauges("series", "Series of a registry in its last gather.", &["registry"]),
            hook_success: new.gauges("hook_success", "Whether the last run of a hook succeeded.", &["hook"]),
            hook_duration: new.register(GaugeVec::new(
                opts("hook_duration_seconds", "Duration of the last run of a hook in seconds."),
                &["hook"],
            )),
            probes: new.counters(
                "probes_total",
                "Probes that were requested, by path and outcome.",
                &["path", "outcome"],
            ),
            probe_duration: new.register(HistogramVec::new(
                HistogramOpts::from(opts(
                    "probe_duration_seconds",
                    "Durations of the probes that were started in seconds, by path.",
                ))
                .buckets(PROBE_SECONDS.to_vec()),
                &["path"],
            )),
            web_config_reload_success: new.gauges(
                "web_config_reload_success",
                "Whether the last reload of the web config file succeeded.",
                &[],
            ),
            certificate_reload_success: new.gauges(
                "tls_certificate_reload_success",
                "Whether the last reload of the certificate's files succeeded.",
                &[],
            ),
            certificate_expiry: new.gauges(
                "tls_certificate_expiry_timestamp_seconds",
                "Time at which the certificate in use expires, in seconds since the epoch.",
                &[],
            ),
            registry,
        };
        telemetry.set_ready(true);
        // All series exist from the first scrape on, so that `increase()` counts the first error.
        for cause in Cause::ALL {
            telemetry.count_errors(*cause, 0);
        }
        telemetry
    }

    /// Returns the private registry.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns a reporter, which counts and logs errors of one kind.
    pub(crate) fn reporter(&self, cause: Cause) -> Reporter {
        Reporter { errors: self.errors.with_label_values(&[cause.label()]), throttle: Throttle::default() }
    }

    pub(crate) fn count_error(&self, cause: Cause) {
        self.count_errors(cause, 1);
    }

    pub(crate) fn count_errors(&self, cause: Cause, count: u64) {
        self.errors.with_label_values(&[cause.label()]).inc_by(count);
    }

    /// Creates these series now, so that `increase()` counts the first rejection.
    pub(crate) fn show_rejections(&self, reasons: &[RejectReason]) {
        for reason in reasons {
            self.denied.with_label_values(&[reason.label()]);
        }
    }

    pub(crate) fn count_rejection(&self, reason: RejectReason) {
        self.denied.with_label_values(&[reason.label()]).inc();
    }

    pub(crate) fn count_scrape(&self) {
        self.requests.inc();
    }

    pub(crate) fn observe_request(&self, duration: Duration) {
        self.request_duration.observe(duration.as_secs_f64());
    }

    pub(crate) fn set_response_size(&self, bytes: u64) {
        self.response_size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Removes the metrics that a mounted handler cannot know.
    pub(crate) fn omit_server(&self) {
        for gauge in [&self.ready, &self.connections] {
            // Fails if the gauge was removed before.
            let _ = self.registry.unregister(Box::new(gauge.clone()));
        }
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.set(ready.into());
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.get() != 0
    }

    pub(crate) fn set_registry_up(&self, registry: &str, up: bool) {
        self.registry_up.with_label_values(&[registry]).set(up.into());
    }

    pub(crate) fn set_series(&self, registry: &str, series: usize) {
        self.series.with_label_values(&[registry]).set(i64::try_from(series).unwrap_or(i64::MAX));
    }

    pub(crate) fn hook_ended(&self, hook: &str, success: bool, duration: Duration) {
        self.hook_success.with_label_values(&[hook]).set(success.into());
        self.hook_duration.with_label_values(&[hook]).set(duration.as_secs_f64());
    }

    /// Creates these series now, so that `increase()` counts the first probe.
    pub(crate) fn show_probes(&self, path: &str) {
        for outcome in ProbeOutcome::ALL {
            self.probes.with_label_values(&[path, outcome.label()]);
        }
        self.probe_duration.with_label_values(&[path]);
    }

    pub(crate) fn probe_ended(&self, path: &str, outcome: ProbeOutcome, duration: Duration) {
        self.probes.with_label_values(&[path, outcome.label()]).inc();
        // Probes that never started would lower the durations.
        if !matches!(outcome, ProbeOutcome::BadRequest | ProbeOutcome::Rejected) {
            self.probe_duration.with_label_values(&[path]).observe(duration.as_secs_f64());
        }
    }

    /// Counts a request as in flight until the return value is dropped.
    pub(crate) fn request_in_flight(&self) -> Up {
        Up::new(&self.in_flight)
    }

    /// Counts a connection as open until the return value is dropped.
    pub(crate) fn open_connection(&self) -> Up {
        Up::new(&self.connections)
    }
}

#[cfg(feature = "tls")]
impl Telemetry {
    /// Records a loaded certificate. `not_after` is the last second in which it is valid, since the epoch.
    pub(crate) fn certificate_loaded(&self, not_after: i64) {
        self.certificate_reload_success.with_label_values::<&str>(&[]).set(1);
        self.certificate_expiry.with_label_values::<&str>(&[]).set(not_after);
    }

    /// Records a failed reload. The last good certificate stays in use.
    pub(crate) fn certificate_reload_failed(&self) {
        self.certificate_reload_success.with_label_values::<&str>(&[]).set(0);
    }
}

#[cfg(feature = "web-config")]
impl Telemetry {
    /// Records whether the current content of the file is in use.
    pub(crate) fn web_config_reloaded(&self, success: bool) {
        self.web_config_reload_success.with_label_values::<&str>(&[]).set(success.into());
    }
}

/// Counts errors of one kind and logs them at most once a minute. An error that recurs at every scrape would
/// otherwise fill the log.
#[derive(Debug)]
pub(crate) struct Reporter {
    errors: IntCounter,
    throttle: Throttle,
}

impl Reporter {
    /// Counts errors, and logs them if there are any and the log limit allows it.
    pub(crate) fn report(&self, count: u64, log: impl FnOnce()) {
        // First, because a subscriber of the host program may panic in the log.
        self.errors.inc_by(count);
        if count > 0 && self.throttle.allows() {
            log();
        }
    }
}

/// A gauge that is incremented until this is dropped.
#[derive(Debug)]
pub(crate) struct Up(IntGauge);

impl Up {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Up(gauge.clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Creates and registers metrics.
struct Register<'r>(&'r Registry);

impl Register<'_> {
    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::with_opts(opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(opts(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::with_opts(opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(opts(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        self.register(Histogram::with_opts(opts(name, help).into()))
    }

    /// Both steps fail only for malformed or duplicate names. The names are the constants above, which a test
    /// registers.
    #[expect(clippy::expect_used, reason = "constant names in a registry of our own")]
    fn register<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("a constant, valid name");
        self.0.register(Box::new(metric.clone())).expect("a name registered once, in our own registry");
        metric
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("prometheus_exporter_{name}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_exists_from_the_start() {
        let names: Vec<String> =
            Telemetry::new().registry().gather().iter().map(|family| family.name().to_owned()).collect();
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
        let telemetry = Telemetry::new();
        let reporter = telemetry.reporter(Cause::Gather);
        let logged = std::cell::Cell::new(0);
        for count in [0, 1, 2] {
            reporter.report(count, || logged.set(logged.get() + 1));
        }
        assert_eq!((reporter.errors.get(), logged.get()), (3, 1));
        // Another reporter with the same cause.
        telemetry.reporter(Cause::Gather).report(1, || logged.set(logged.get() + 1));
        assert_eq!((reporter.errors.get(), logged.get()), (4, 2));
    }

    #[test]
    fn dropping_the_holder_decrements_the_gauge() {
        let telemetry = Telemetry::new();
        let held = (telemetry.open_connection(), telemetry.open_connection());
        assert_eq!(telemetry.connections.get(), 2);
        drop(held);
        assert_eq!(telemetry.connections.get(), 0);
    }
}
