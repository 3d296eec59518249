//! The types of families and the roles of their samples.

use prometheus::proto::MetricType;

/// A type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Untyped,
    Counter,
    /// A gauge or a state set, whose samples have the family's name, too.
    Gauge,
    Histogram,
    Summary,
    Info,
    GaugeHistogram,
}

/// The role of a sample in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Value,
    Bucket,
    Quantile,
    Sum,
    Count,
    /// The start time of a series, which `prometheus` cannot represent.
    Created,
    /// A sample of a gauge histogram, which becomes a gauge.
    Part,
}

impl Role {
    /// Returns the label that the format adds.
    pub(super) fn bound(self) -> Option<&'static str> {
        match self {
            Role::Bucket => Some("le"),
            Role::Quantile => Some("quantile"),
            Role::Value | Role::Sum | Role::Count | Role::Created | Role::Part => None,
        }
    }
}

impl Kind {
    /// Returns the type that a word of a TYPE line means.
    pub(super) fn of(word: &str, openmetrics: bool) -> Option<Self> {
        Some(match (word, openmetrics) {
            ("counter", _) => Kind::Counter,
            ("gauge", _) | ("stateset", true) => Kind::Gauge,
            ("histogram", _) => Kind::Histogram,
            ("summary", _) => Kind::Summary,
            ("untyped", false) | ("unknown", true) => Kind::Untyped,
            ("info", true) => Kind::Info,
            ("gaugehistogram", true) => Kind::GaugeHistogram,
            _ => return None,
        })
    }

    /// Returns the role of a sample whose name is that of the family with `suffix`.
    pub(super) fn role(self, suffix: &str, openmetrics: bool) -> Option<Role> {
        Some(match (self, suffix) {
            (Kind::Untyped | Kind::Gauge, "") => Role::Value,
            (Kind::Counter, "") if !openmetrics => Role::Value,
            (Kind::Counter, "_total") if openmetrics => Role::Value,
            (Kind::Info, "_info") => Role::Value,
            (Kind::Histogram, "_bucket") => Role::Bucket,
            (Kind::Summary, "") => Role::Quantile,
            (Kind::Histogram | Kind::Summary, "_sum") => Role::Sum,
            (Kind::Histogram | Kind::Summary, "_count") => Role::Count,
            (Kind::Counter | Kind::Histogram | Kind::Summary, "_created") if openmetrics => Role::Created,
            (Kind::GaugeHistogram, "_bucket" | "_gsum" | "_gcount") => Role::Part,
            _ => return None,
        })
    }

    /// Returns the suffix that is added to the name of the family.
    pub(super) fn suffix(self, openmetrics: bool) -> &'static str {
        match self {
            Kind::Counter if openmetrics => "_total",
            Kind::Info => "_info",
            _ => "",
        }
    }

    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Kind::Untyped => MetricType::UNTYPED,
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge | Kind::Info | Kind::GaugeHistogram => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
            Kind::Summary => MetricType::SUMMARY,
        }
    }
}
