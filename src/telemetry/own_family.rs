//! The list of the server's own metrics.

use prometheus::proto::MetricType;

/// Defines an enum of families, with the type, the name, the labels and the help of each.
macro_rules! families {
    ($($variant:ident: $kind:ident $name:literal [$($label:literal)*] $help:literal,)*) => {
        /// A family of the server's own metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum OwnFamily { $($variant,)* }

        impl OwnFamily {
            /// In the order of the names, as a registry gathers them.
            pub(super) const ALL: &[OwnFamily] = &[$(OwnFamily::$variant,)*];

            pub(super) fn info(self) -> &'static Info {
                static INFO: [Info; OwnFamily::ALL.len()] = [$(Info {
                    name: concat!("prometheus_exporter_", $name),
                    help: $help,
                    kind: MetricType::$kind,
                    labels: &[$($label),*],
                },)*];
                &INFO[self as usize]
            }
        }
    };
}

/// The head of a family.
pub(super) struct Info {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    /// In the order of their names.
    pub(super) labels: &'static [&'static str],
}

families! {
    Connections: GAUGE "connections" [] "Open connections to the metrics server.",
    Rejections: COUNTER "denied_total" ["reason"]
        "Connections and requests that the metrics server rejected, by reason.",
    Errors: COUNTER "errors_total" ["cause"] "Errors of the metrics server, by cause.",
    HookDuration: GAUGE "hook_duration_seconds" ["hook"] "Duration of the last run of a hook in seconds.",
    HookSuccess: GAUGE "hook_success" ["hook"] "Whether the last run of a hook succeeded.",
    ProbeDuration: HISTOGRAM "probe_duration_seconds" ["path"]
        "Durations of started probes in seconds, by path.",
    Probes: COUNTER "probes_total" ["outcome" "path"] "Probes that were requested, by path and outcome.",
    Ready: GAUGE "ready" [] "Whether the program reports that it is ready, as /-/ready returns it.",
    RegistryUp: GAUGE "registry_up" ["registry"] "Whether the last gather of a registry succeeded.",
    RequestDuration: HISTOGRAM "request_duration_seconds" [] "HTTP request durations in seconds.",
    RequestsInFlight: GAUGE "requests_in_flight" [] "HTTP requests whose response is not ready yet.",
    Requests: COUNTER "requests_total" [] "HTTP requests that were received by the metrics endpoint.",
    ResponseSize: GAUGE "response_size_bytes" []
        "Size of the last HTTP response of the metrics endpoint in bytes.",
    Series: GAUGE "series" ["registry"] "Series of a registry in its last gather.",
    CertificateExpiry: GAUGE "tls_certificate_expiry_timestamp_seconds" []
        "Time at which the certificate in use expires, in seconds since the epoch.",
    CertificateReload: GAUGE "tls_certificate_reload_success" []
        "Whether the last reload of the certificate's files succeeded.",
    WebConfigReload: GAUGE "web_config_reload_success" []
        "Whether the last reload of the web config file succeeded.",
}
