//! What the server says about itself. It lives in a private registry that is one more source of the scrape:
//! nothing is ever registered into a registry we do not own, so starting twice, failing to bind and aborting
//! leave no trace.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// Why something went wrong: the closed set of values of `prometheus_exporter_errors_total{cause}`.
/// Nothing that a client sends ever becomes a label (CVE-2022-21698).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Accepting a connection failed. A connection that its client gave up before that does not count.
    Accept,
    /// A connection ended by an error of I/O or protocol, or amid a request or a response at a deadline.
    Connection,
    /// A connection was evicted: for a newcomer at the connection limit, or because too much was unsent.
    Evicted,
    /// The server itself failed to serve a scrape or a probe: a panic outside of collectors, no thread, no compression.
    Gather,
    /// A connection has not become one of TLS: no handshake in time, plain HTTP, a client that is not let in.
    Handshake,
    /// A family or metric was left out of the exposition: nameless, empty, doubled, not to be encoded; or a sample by the
    /// collector that was to make it.
    LeftOut,
    /// A collector or a probe panicked, or a subscriber of the host program in the accept loop.
    Panic,
    /// A scrape was not done at its deadline.
    Timeout,
    /// Two sources have one name under two types.
    TypeConflict,
}

impl Cause {
    const ALL: [Cause; 9] = [
        Cause::Accept,
        Cause::Connection,
        Cause::Evicted,
        Cause::Gather,
        Cause::Handshake,
        Cause::LeftOut,
        Cause::Panic,
        Cause::Timeout,
        Cause::TypeConflict,
    ];

    fn label(self) -> &'static str {
        match self {
            Cause::Accept => "accept",
            Cause::Connection => "connection",
            Cause::Evicted => "evicted",
            Cause::Gather => "gather",
            Cause::Handshake => "handshake",
            Cause::LeftOut => "left_out",
            Cause::Panic => "panic",
            Cause::Timeout => "timeout",
            Cause::TypeConflict => "type_conflict",
        }
    }
}

/// Why a lock did not open: the closed set of values of `prometheus_exporter_denied_total{reason}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The address is not on the allow-list.
    Address,
    /// The Host is not on the list.
    Host,
    /// More requests than the rate limit has.
    Rate,
    /// More scrapes at once than may be answered.
    MaxRequests,
    /// A scrape while clients leave too much unread.
    Unsent,
    /// No credentials, or none that can be read.
    NoCredentials,
    /// Credentials that are wrong.
    WrongCredentials,
    /// An address with too many wrong ones lately.
    Failures,
    /// More logins at once than can be verified.
    Logins,
}

impl Denial {
    fn label(self) -> &'static str {
        match self {
            Denial::Address => "address",
            Denial::Host => "host",
            Denial::Rate => "rate",
            Denial::MaxRequests => "max_requests",
            Denial::Unsent => "unsent",
            Denial::NoCredentials => "no_credentials",
            Denial::WrongCredentials => "wrong_credentials",
            Denial::Failures => "failures",
            Denial::Logins => "logins",
        }
    }
}

/// How a probe has ended: the closed set of values of `prometheus_exporter_probes_total{outcome}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    Success,
    /// The target could not be probed.
    Failure,
    /// It was not done at its deadline.
    Timeout,
    Panic,
    /// The scraper has asked for what makes no sense.
    BadRequest,
    /// There were as many probes under way as there may be.
    Rejected,
    /// Its scraper has gone.
    Cancelled,
}

impl ProbeOutcome {
    const ALL: [ProbeOutcome; 7] = [
        ProbeOutcome::Success,
        ProbeOutcome::Failure,
        ProbeOutcome::Timeout,
        ProbeOutcome::Panic,
        ProbeOutcome::BadRequest,
        ProbeOutcome::Rejected,
        ProbeOutcome::Cancelled,
    ];

    fn label(self) -> &'static str {
        match self {
            ProbeOutcome::Success => "success",
            ProbeOutcome::Failure => "failure",
            ProbeOutcome::Timeout => "timeout",
            ProbeOutcome::Panic => "panic",
            ProbeOutcome::BadRequest => "bad_request",
            ProbeOutcome::Rejected => "rejected",
            ProbeOutcome::Cancelled => "cancelled",
        }
    }
}

/// Up to the longest scrape there is by default: probes take as long as their targets.
const PROBE_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// The server's own metrics, one set per server.
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
        let telemetry = Telemetry {
            requests: register(
                &registry,
                IntCounter::new(
                    "prometheus_exporter_requests_total",
                    "HTTP requests received in metrics endpoint",
                ),
            ),
            request_duration: register(
                &registry,
                Histogram::with_opts(HistogramOpts::new(
                    "prometheus_exporter_request_duration_seconds",
                    "HTTP request durations in seconds",
                )),
            ),
            response_size: register(
                &registry,
                IntGauge::new(
                    "prometheus_exporter_response_size_bytes",
                    "Size of the last HTTP response of the metrics endpoint in bytes",
                ),
            ),
            in_flight: register(
                &registry,
                IntGauge::new(
                    "prometheus_exporter_requests_in_flight",
                    "HTTP requests whose response is not ready yet",
                ),
            ),
            ready: register(
                &registry,
                IntGauge::new(
                    "prometheus_exporter_ready",
                    "Whether the program says that it is ready: what /-/ready answers",
                ),
            ),
            connections: register(
                &registry,
                IntGauge::new("prometheus_exporter_connections", "Open connections to the metrics server"),
            ),
            errors: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "prometheus_exporter_errors_total",
                        "What went wrong in the metrics server, by cause",
                    ),
                    &["cause"],
                ),
            ),
            // These have no series, and so are not shown, where there are no locks, hooks, probes and but one registry.
            denied: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "prometheus_exporter_denied_total",
                        "Connections and requests that the metrics server has denied, by reason",
                    ),
                    &["reason"],
                ),
            ),
            registry_up: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "prometheus_exporter_registry_up",
                        "Whether the last gather of a registry succeeded",
                    ),
                    &["registry"],
                ),
            ),
            hook_success: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("prometheus_exporter_hook_success", "Whether the last run of a hook succeeded"),
                    &["hook"],
                ),
            ),
            hook_duration: register(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "prometheus_exporter_hook_duration_seconds",
                        "How long the last run of a hook took",
                    ),
                    &["hook"],
                ),
            ),
            probes: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "prometheus_exporter_probes_total",
                        "Probes that were asked for, by path and by how they ended",
                    ),
                    &["path", "outcome"],
                ),
            ),
            probe_duration: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "prometheus_exporter_probe_duration_seconds",
                        "How long probes took that were begun, by path",
                    )
                    .buckets(PROBE_SECONDS.to_vec()),
                    &["path"],
                ),
            ),
            web_config_reload_success: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "prometheus_exporter_web_config_reload_success",
                        "Whether the web-config file in force is the one that is there",
                    ),
                    &[],
                ),
            ),
            certificate_reload_success: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "prometheus_exporter_tls_certificate_reload_success",
                        "Whether the certificate's files were good when they were last read; if not, the last good ones \
                         are in use",
                    ),
                    &[],
                ),
            ),
            certificate_expiry: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "prometheus_exporter_tls_certificate_expiry_timestamp_seconds",
                        "When the certificate that is in use expires, since the epoch",
                    ),
                    &[],
                ),
            ),
            registry,
        };
        telemetry.set_ready(true);
        // Each series from the first scrape on, so that `increase()` sees the first error.
        for cause in Cause::ALL {
            telemetry.count_errors(cause, 0);
        }
        telemetry
    }

    /// The private registry.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn count_error(&self, cause: Cause) {
        self.count_errors(cause, 1);
    }

    pub(crate) fn count_errors(&self, cause: Cause, count: u64) {
        self.errors.with_label_values(&[cause.label()]).inc_by(count);
    }

    /// Shows these from now on, so that `increase()` sees the first.
    pub(crate) fn show_denials(&self, reasons: &[Denial]) {
        for reason in reasons {
            self.denied.with_label_values(&[reason.label()]);
        }
    }

    pub(crate) fn count_denial(&self, reason: Denial) {
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

    /// Omits what a mounted handler cannot know.
    pub(crate) fn omit_server(&self) {
        for gauge in [&self.ready, &self.connections] {
            // It fails where there is none.
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

    pub(crate) fn hook_ended(&self, hook: &str, success: bool, duration: Duration) {
        self.hook_success.with_label_values(&[hook]).set(success.into());
        self.hook_duration.with_label_values(&[hook]).set(duration.as_secs_f64());
    }

    /// Shows these from now on, so that `increase()` sees the first.
    pub(crate) fn show_probes(&self, path: &str) {
        for outcome in ProbeOutcome::ALL {
            self.probes.with_label_values(&[path, outcome.label()]);
        }
        self.probe_duration.with_label_values(&[path]);
    }

    pub(crate) fn probe_ended(&self, path: &str, outcome: ProbeOutcome, duration: Duration) {
        self.probes.with_label_values(&[path, outcome.label()]).inc();
        // What was never begun would make the others look quick.
        if !matches!(outcome, ProbeOutcome::BadRequest | ProbeOutcome::Rejected) {
            self.probe_duration.with_label_values(&[path]).observe(duration.as_secs_f64());
        }
    }

    /// `not_after` is the last second in which the certificate is valid, since the epoch.
    pub(crate) fn certificate_loaded(&self, not_after: i64) {
        self.certificate_reload_success.with_label_values::<&str>(&[]).set(1);
        self.certificate_expiry.with_label_values::<&str>(&[]).set(not_after);
    }

    pub(crate) fn web_config_loaded(&self) {
        self.web_config_reload_success.with_label_values::<&str>(&[]).set(1);
    }

    /// The last good one stays in force.
    pub(crate) fn web_config_reload_failed(&self) {
        self.web_config_reload_success.with_label_values::<&str>(&[]).set(0);
    }

    /// The last good one stays in use.
    pub(crate) fn certificate_reload_failed(&self) {
        self.certificate_reload_success.with_label_values::<&str>(&[]).set(0);
    }

    /// Counts a request as in flight while the answer lives.
    pub(crate) fn request_in_flight(&self) -> Up {
        Up::new(&self.in_flight)
    }

    /// Counts a connection as open while the answer lives.
    pub(crate) fn open_connection(&self) -> Up {
        Up::new(&self.connections)
    }
}

/// A gauge that is one higher while this lives.
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

/// Both steps fail for malformed or repeated names only, and the names are the constants above, which a test registers.
#[expect(clippy::expect_used, reason = "constant names in a registry of our own")]
fn register<M: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("a constant, valid name");
    registry.register(Box::new(metric.clone())).expect("a name registered once, in our own registry");
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_there_from_the_start() {
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
    fn a_gauge_goes_down_when_its_holder_goes() {
        let telemetry = Telemetry::new();
        let held = (telemetry.open_connection(), telemetry.open_connection());
        assert_eq!(telemetry.connections.get(), 2);
        drop(held);
        assert_eq!(telemetry.connections.get(), 0);
    }
}
