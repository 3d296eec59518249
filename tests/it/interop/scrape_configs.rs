//! Tests every scrape configuration that changes a scraper's request, with Prometheus and vmagent. The target
//! is up, every value is stored unchanged, and the responses have the requested representation.
//!
//! `PROMETHEUS` and `VMAGENT` name the programs. `.ci/run programs` runs these tests with two versions of
//! them.

mod relay;
mod vmagent;

use std::fmt::Write as _;

use prometheus_hyper::Builder;
use prometheus_hyper::prometheus::core::{Collector, Desc};
use prometheus_hyper::prometheus::proto::MetricFamily;
use prometheus_hyper::prometheus::{Gauge, Registry};
use serde_json::Value;

use super::known_values::KnownValues;
use super::prometheus::{Job, Prometheus};
use super::sample::{Sample, differences};
use relay::Relay;
use vmagent::Vmagent;

type Options = fn(Builder) -> Builder;

/// The options of the server, the configuration of the scrape, and the expected result.
struct Row {
    name: String,
    options: Options,
    /// Further options of the job, as in a YAML flow mapping.
    config: String,
    /// The `Content-Type` and the `Content-Encoding` of every response, in the form of [`Relay::seen`].
    served: String,
    /// Selects the expected values.
    selected: fn(&Sample) -> bool,
    /// The stored name of the gauge `dotted.level`, if it is expected.
    dotted: Option<&'static str>,
    /// Whether the scraper keeps the sign of a zero.
    signed_zero: bool,
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_1: &str = "text/plain; version=1.0.0; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const OPENMETRICS_0: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The name of `dotted.level` in each escaping, and the configuration that requests it.
const ESCAPINGS: [(&str, &str, &str); 4] = [
    ("allow-utf-8", "dotted.level", "metric_name_validation_scheme: utf8"),
    (
        "underscores",
        "dotted_level",
        "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: underscores",
    ),
    ("dots", "dotted_dot_level", "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: dots"),
    (
        "values",
        "U__dotted_2e_level",
        "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: values",
    ),
];
const UTF_8: &str = ESCAPINGS[0].1;
const UNDERSCORES: &str = ESCAPINGS[1].1;

/// Every value of `scrape_protocols` in Prometheus 3.5, and whether its part of `Accept` has an escaping.
const PROTOCOLS: [(&str, &str, bool); 5] = [
    ("OpenMetricsText1.0.0", OPENMETRICS, true),
    ("OpenMetricsText0.0.1", OPENMETRICS_0, false),
    ("PrometheusText1.0.0", TEXT_1, true),
    ("PrometheusText0.0.4", TEXT, false),
    ("PrometheusProto", PROTOBUF, false),
];

/// Enables every format. `.ci/run programs` enables all features.
fn all_formats(builder: Builder) -> Builder {
    let builder = builder.openmetrics(true);
    #[cfg(feature = "protobuf")]
    let builder = builder.protobuf(true);
    builder
}

fn all_formats_uncompressed(builder: Builder) -> Builder {
    all_formats(builder).compression(false)
}

impl Row {
    /// The server offers every format, and every value is expected.
    fn new(
        name: impl Into<String>,
        config: impl Into<String>,
        served: impl Into<String>,
        dotted: &'static str,
    ) -> Self {
        let (name, config, served) = (name.into(), config.into(), served.into());
        let (options, dotted) = (all_formats, Some(dotted));
        Row { name, options, config, served, selected: |_| true, dotted, signed_zero: true }
    }

    /// What any scraper can be told, that asks for `format` by itself.
    fn common(format: &str, dotted: &'static str) -> Vec<Self> {
        let served = format!("{format}, gzip");
        let new = |name: &str, config: &str, served: &str| Row::new(name, config, served, dotted);
        let is_selected = |sample: &Sample| {
            sample.name == "interop_values" || sample.name.starts_with("interop_latency_seconds_")
        };
        let names = "params: {'name[]': [interop_values, interop_latency_seconds]}";
        vec![
            new("default", "", &served),
            Row { options: all_formats_uncompressed, ..new("server-uncompressed", "", format) },
            Row { selected: is_selected, dotted: None, ..new("name", names, &served) },
            Row { dotted: None, ..new("registry-default", "params: {'registry[]': [default]}", &served) },
            Row {
                selected: |_| false,
                ..new("registry-dotted", "params: {'registry[]': [dotted]}", &served)
            },
        ]
    }

    /// Returns the rows for this Prometheus. `protobuf` means that it prefers protobuf.
    fn of_prometheus(major_version: u32, protobuf: bool) -> Vec<Self> {
        let is_3 = major_version >= 3;
        let utf_8 =
            |format: &str| if is_3 { format!("{format}; escaping=allow-utf-8") } else { format.to_owned() };
        let preferred = if protobuf { PROTOBUF.to_owned() } else { utf_8(OPENMETRICS) };
        let dotted = if is_3 { UTF_8 } else { UNDERSCORES };
        let mut rows = Row::common(&preferred, dotted);
        let text = utf_8(if is_3 { TEXT_1 } else { TEXT });
        rows.push(Row {
            options: |builder| builder,
            ..Row::new("server-text", "", format!("{text}, gzip"), dotted)
        });
        rows.push(Row {
            options: |builder| builder.compression(false),
            ..Row::new("server-text-uncompressed", "", text, dotted)
        });
        if !is_3 {
            return rows;
        }
        rows.push(Row::new("uncompressed", "enable_compression: false", &preferred, dotted));
        for (escaping, dotted, scheme) in ESCAPINGS {
            let served = match protobuf {
                true => format!("{PROTOBUF}, gzip"),
                false => format!("{OPENMETRICS}; escaping={escaping}, gzip"),
            };
            rows.push(Row::new(escaping, scheme, served, dotted));
            for (protocol, format, escapes) in PROTOCOLS {
                let (dotted, parameter) = match escapes {
                    true => (dotted, format!("; escaping={escaping}")),
                    false => (UNDERSCORES, String::new()),
                };
                let name = format!("{protocol}-{escaping}");
                let config = format!("scrape_protocols: [{protocol}], {scheme}");
                rows.push(Row::new(name, config, format!("{format}{parameter}, gzip"), dotted));
            }
        }
        rows
    }

    /// Returns the rows for vmagent.
    fn of_vmagent() -> Vec<Self> {
        let mut rows = Row::common(TEXT, UNDERSCORES);
        rows.push(Row::new("uncompressed", "disable_compression: true", TEXT, UNDERSCORES));
        rows.push(Row::new("stream", "stream_parse: true", format!("{TEXT}, gzip"), UNDERSCORES));
        rows.into_iter().map(|row| Row { signed_zero: false, ..row }).collect()
    }

    fn expected(&self, set: &KnownValues) -> Vec<Sample> {
        let selected = set.samples.iter().filter(|sample| (self.selected)(sample));
        let mut expected: Vec<_> = selected.cloned().collect();
        for sample in &mut expected {
            // Prometheus drops labels with an empty value.
            sample.labels.retain(|_, value| !value.is_empty());
            if !self.signed_zero {
                sample.value += 0.0;
            }
        }
        if self.served.starts_with("application/openmetrics-text") {
            // OpenMetrics, "Histogram": a histogram with negative buckets has no sum, and without a sum it
            // has no count.
            let family = |sample: &Sample, suffix| sample.name.strip_suffix(suffix).map(str::to_owned);
            let negative = expected.iter().filter(|sample| sample.value.is_sign_negative());
            let sumless: Vec<_> =
                negative.filter_map(|sum| Some((family(sum, "_sum")?, sum.labels.clone()))).collect();
            expected.retain(|sample| {
                let family = family(sample, "_sum").or_else(|| family(sample, "_count"));
                !sumless
                    .iter()
                    .any(|(name, labels)| family.as_ref() == Some(name) && sample.labels == *labels)
            });
        }
        let labels = [("zone".to_owned(), "south".to_owned())];
        expected.extend(self.dotted.map(|name| Sample {
            name: name.to_owned(),
            labels: labels.into(),
            value: 21.5,
        }));
        expected
    }
}

/// A gauge whose name only Prometheus 3 can store.
struct Dotted(Gauge);

impl Collector for Dotted {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        families.iter_mut().for_each(|family| family.set_name(UTF_8.to_owned()));
        families
    }
}

fn dotted() -> Registry {
    let labels = [("zone".to_owned(), "south".to_owned())];
    let registry = Registry::new_custom(None, Some(labels.into())).unwrap();
    let gauge = Gauge::new("dotted", "A level whose name has a dot").unwrap();
    gauge.set(21.5);
    registry.register(Box::new(Dotted(gauge))).unwrap();
    registry
}

/// A row, with its server and relay.
struct Served {
    row: Row,
    relay: Relay,
    set: KnownValues,
}

impl Served {
    fn start(row: Row) -> Self {
        let options = row.options;
        let set = KnownValues::serve_with(|builder| options(builder).registry_named("dotted", &dotted()));
        Served { row, relay: Relay::to(set.addr()), set }
    }

    fn job(&self) -> Job<'_> {
        Job { name: &self.row.name, addr: self.relay.addr, config: &self.row.config }
    }

    /// Returns the result of the row, or the difference from the expected one.
    fn result(&self, target: &Value, storage: &Prometheus) -> Result<String, String> {
        if (target["health"].as_str(), target["lastError"].as_str()) != (Some("up"), Some("")) {
            return Err(target.to_string());
        }
        let series = format!(r#"{{__name__=~"interop_.*|.*dotted.*",job="{}"}}"#, self.row.name);
        let stored = storage.query(&series)?;
        let count = stored.len();
        differences(self.row.expected(&self.set).into_iter(), stored)?;
        let seen = self.relay.seen();
        if !seen.iter().eq([&self.row.served]) {
            return Err(format!("expected {:?}, served {seen:?}", self.row.served));
        }
        Ok(format!("up, {count} equal samples, {}", self.row.served))
    }
}

/// Waits until every row is as expected. Prints each row, and fails with the others.
fn wait_for_rows(
    scraper: &str,
    rows: &[Served],
    storage: &Prometheus,
    targets: impl Fn() -> Result<Value, String>,
) {
    let mut waiting: Vec<&Served> = rows.iter().collect();
    storage.wait_for(scraper, || {
        let targets = targets()?["activeTargets"].take();
        let targets = targets.as_array().ok_or("no targets yet")?;
        let mut problems = String::new();
        waiting.retain(|served| {
            let name = served.row.name.as_str();
            let target = targets.iter().find(|target| target["labels"]["job"] == name);
            let result = served.result(target.unwrap_or(&Value::Null), storage);
            match &result {
                Ok(result) => println!("{scraper}, {name}: {result}"),
                Err(problem) => writeln!(problems, "{scraper}, {name}: {problem}").unwrap(),
            }
            result.is_err()
        });
        if waiting.is_empty() { Ok(()) } else { Err(problems) }
    });
}

#[test]
#[ignore = "needs a Prometheus: .ci/run programs"]
fn prometheus_reads_known_values_with_each_scrape_config() {
    let major_version = Prometheus::major_version();
    // With native histograms, Prometheus prefers protobuf. Prometheus 2.42 ignores the other feature with a
    // warning.
    let features = "--enable-feature=native-histograms,created-timestamp-zero-ingestion";
    for (flags, protobuf) in [(&[][..], false), (&[features][..], true)] {
        let rows: Vec<_> =
            Row::of_prometheus(major_version, protobuf).into_iter().map(Served::start).collect();
        let jobs: Vec<_> = rows.iter().map(Served::job).collect();
        let prometheus = Prometheus::start_jobs(flags, &jobs);
        let scraper = format!("Prometheus {major_version} {flags:?}");
        wait_for_rows(&scraper, &rows, &prometheus, || prometheus.get("/api/v1/targets", &[]));
    }
}

#[test]
#[ignore = "needs a Prometheus and a vmagent: .ci/run programs"]
fn vmagent_reads_known_values_with_each_scrape_config() {
    let rows: Vec<_> = Row::of_vmagent().into_iter().map(Served::start).collect();
    let jobs: Vec<_> = rows.iter().map(Served::job).collect();
    let storage = Prometheus::start_jobs(&["--web.enable-remote-write-receiver"], &[]);
    let vmagent = Vmagent::start(&jobs, &storage);
    wait_for_rows("vmagent", &rows, &storage, || {
        vmagent.get("/api/v1/targets").map_err(|error| format!("{error}\n{}", vmagent.log()))
    });
}
