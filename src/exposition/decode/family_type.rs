//! The types of families and the roles of their samples.

use prometheus::proto::MetricType;

/// A type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyType {
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

impl FamilyType {
    /// Returns the type that a word of a TYPE line means.
    pub(super) fn of(word: &str, openmetrics: bool) -> Option<Self> {
        Some(match (word, openmetrics) {
            ("counter", _) => FamilyType::Counter,
            ("gauge", _) | ("stateset", true) => FamilyType::Gauge,
            ("histogram", _) => FamilyType::Histogram,
            ("summary", _) => FamilyType::Summary,
            ("untyped", false) | ("unknown", true) => FamilyType::Untyped,
            ("info", true) => FamilyType::Info,
            ("gaugehistogram", true) => FamilyType::GaugeHistogram,
            _ => return None,
        })
    }

    /// Returns the role of a sample whose name is that of the family with `suffix`.
    pub(super) fn role(self, suffix: &str, openmetrics: bool) -> Option<Role> {
        Some(match (self, suffix) {
            (FamilyType::Untyped | FamilyType::Gauge, "") => Role::Value,
            (FamilyType::Counter, "") if !openmetrics => Role::Value,
            (FamilyType::Counter, "_total") if openmetrics => Role::Value,
            (FamilyType::Info, "_info") => Role::Value,
            (FamilyType::Histogram, "_bucket") => Role::Bucket,
            (FamilyType::Summary, "") => Role::Quantile,
            (FamilyType::Histogram | FamilyType::Summary, "_sum") => Role::Sum,
            (FamilyType::Histogram | FamilyType::Summary, "_count") => Role::Count,
            (FamilyType::Counter | FamilyType::Histogram | FamilyType::Summary, "_created")
                if openmetrics =>
            {
                Role::Created
            }
            (FamilyType::GaugeHistogram, "_bucket" | "_gsum" | "_gcount") => Role::Part,
            _ => return None,
        })
    }

    /// Returns the suffix that is added to the name of the family.
    pub(super) fn suffix(self, openmetrics: bool) -> &'static str {
        match self {
            FamilyType::Counter if openmetrics => "_total",
            FamilyType::Info => "_info",
            _ => "",
        }
    }

    pub(super) fn metric_type(self) -> MetricType {
        match self {
            FamilyType::Untyped => MetricType::UNTYPED,
            FamilyType::Counter => MetricType::COUNTER,
            FamilyType::Gauge | FamilyType::Info | FamilyType::GaugeHistogram => MetricType::GAUGE,
            FamilyType::Histogram => MetricType::HISTOGRAM,
            FamilyType::Summary => MetricType::SUMMARY,
        }
    }
}
