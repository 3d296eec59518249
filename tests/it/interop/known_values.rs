//! A server of fixed values, and the samples and families that a reader must find in its exposition.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_hyper::collector::from_fn;
use prometheus_hyper::prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry,
    core::Collector,
};
use prometheus_hyper::{Builder, Guard, Server};

use super::sample::Sample;

/// The server, and the families and samples that a reader must find.
pub(super) struct KnownValues {
    guard: Guard,
    pub(super) families: Vec<Family>,
    pub(super) samples: Vec<Sample>,
    /// The timestamp of `interop_copied_level`, in milliseconds since the epoch.
    pub(super) copied_at: u64,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) help: String,
}

impl KnownValues {
    pub(super) fn serve() -> Self {
        Self::serve_with(|builder| builder)
    }

    pub(super) fn serve_with(options: impl FnOnce(Builder) -> Builder) -> Self {
        let zone = ("zone".to_owned(), "north \"1\" \\ s\u{fc}d".to_owned());
        let registry = Registry::new_custom(Some("interop".to_owned()), Some([zone.clone()].into())).unwrap();
        let mut served = Recorder { registry: &registry, zone, families: Vec::new(), samples: Vec::new() };

        let counter =
            CounterVec::new(Opts::new("odd_labels_total", "Label values that need care"), &["odd"]).unwrap();
        for (n, odd) in ODD_LABELS.into_iter().enumerate() {
            let value = n as f64 + 0.5;
            counter.with_label_values(&[odd]).inc_by(value);
            served.sample("odd_labels_total", &[("odd", odd)], value);
        }
        served.family(counter, "counter", "odd_labels_total", "Label values that need care");

        let help = "A help with \\ and \"quotes\",\nof two lines, \\n and \u{1f980}";
        let counter = Counter::new("odd_help_total", help).unwrap();
        counter.inc();
        served.sample("odd_help_total", &[], 1.0);
        served.family(counter, "counter", "odd_help_total", help);

        let gauge = GaugeVec::new(Opts::new("values", "Values that need care"), &["n"]).unwrap();
        for (n, value) in VALUES.into_iter().enumerate() {
            gauge.with_label_values(&[&n.to_string()]).set(value);
            served.sample("values", &[("n", &n.to_string())], value);
        }
        served.family(gauge, "gauge", "values", "Values that need care");

        let gauge = Gauge::new("untouched", "A gauge that nobody has set").unwrap();
        served.sample("untouched", &[], 0.0);
        served.family(gauge, "gauge", "untouched", "A gauge that nobody has set");

        let opts = HistogramOpts::new("latency_seconds", "A histogram").buckets(BOUNDS.to_vec());
        let histogram = Histogram::with_opts(opts).unwrap();
        OBSERVATIONS.into_iter().for_each(|value| histogram.observe(value));
        served.histogram("latency_seconds", &[], &OBSERVATIONS);
        served.family(histogram, "histogram", "latency_seconds", "A histogram");

        let opts = HistogramOpts::new("endless_seconds", "Infinities").buckets(BOUNDS.to_vec());
        let histogram = HistogramVec::new(opts, &["which"]).unwrap();
        for (which, observed) in
            [("none", &[][..]), ("+", &[f64::INFINITY]), ("-", &[f64::NEG_INFINITY, 0.5])]
        {
            let one = histogram.with_label_values(&[which]);
            observed.iter().for_each(|&value| one.observe(value));
            served.histogram("endless_seconds", &[("which", which)], observed);
        }
        served.family(histogram, "histogram", "endless_seconds", "Infinities");

        let copied_at = served.copied();
        let Recorder { families, samples, .. } = served;
        let builder = options(Server::builder().registry(&registry));
        let guard = builder.listen("127.0.0.1:0").bind().unwrap().start().unwrap();
        KnownValues { guard, families, samples, copied_at }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.guard.local_addr().unwrap()
    }
}

const ODD_LABELS: [&str; 20] = [
    "",
    "plain",
    " ",
    " blanks around ",
    "back\\slash",
    "\\",
    "\\\\",
    "ends in \\",
    "\\n, not a newline",
    "a\nnewline",
    "\n",
    "\"quoted\"",
    "\\\"",
    "{a=\"b\"} 1",
    "a,b=c#d",
    "# HELP interop_values no help",
    "tab\t, return\r, bell\u{7}",
    "unicode: \u{fc} \u{65e5}\u{672c} \u{1f980} e\u{301}",
    "line ends of others: \u{85} \u{2028} \u{2029} \u{b} \u{c} \u{1c}",
    "\u{0}",
];

const VALUES: [f64; 26] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    0.1 + 0.2,
    1.0 / 3.0,
    -2.5e-7,
    1e-7,
    1e15,
    1e16,
    1e17,
    1e21,
    1e22,
    123_456_789.125,
    9_007_199_254_740_991.0,
    9_007_199_254_740_993.0,
    5e-324,
    2.225_073_858_507_201e-308,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::EPSILON,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

const BOUNDS: [f64; 6] = [1e-9, 0.1, 0.25, 1.0, 2.5, 1e6];

/// Their sums are exact in every order.
const OBSERVATIONS: [f64; 8] = [0.0, 0.0625, 0.25, 0.5, 1.0, 2.0, 1_000_000.0, 3_000_000.0];

/// Records the values that are set.
struct Recorder<'a> {
    registry: &'a Registry,
    zone: (String, String),
    families: Vec<Family>,
    samples: Vec<Sample>,
}

impl Recorder<'_> {
    fn family(&mut self, collector: impl Collector + 'static, kind: &'static str, name: &str, help: &str) {
        self.registry.register(Box::new(collector)).unwrap();
        self.described(kind, name, help);
    }

    fn described(&mut self, kind: &'static str, name: &str, help: &str) {
        self.families.push(Family { name: format!("interop_{name}"), kind, help: help.to_owned() });
    }

    /// Registers samples from a function. The timestamp of one is some seconds ago, because Prometheus does
    /// not show samples in the future.
    fn copied(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = u64::try_from(now.as_millis()).unwrap() - 10_001;
        self.described("gauge", "copied_level", "A gauge of a time");
        self.described("counter", "copied_total", "A counter with its labels in disorder");
        self.described("histogram", "copied_seconds", "A histogram from elsewhere");
        self.sample("copied_level", &[], 2.4);
        self.sample("copied_total", &[("b", "\\"), ("a", "\n")], 1e18);
        self.histogram("copied_seconds", &[], &OBSERVATIONS);
        let collector = from_fn(move |s| {
            s.gauge("copied_level", "A gauge of a time", &[], 2.4)
                .timestamp(UNIX_EPOCH + Duration::from_millis(at));
            let labels = [("b", "\\"), ("a", "\n")];
            s.counter("copied_total", "A counter with its labels in disorder", &labels, 1e18);
            s.counter("copied_total", "A counter with its labels in disorder", &labels, 7.0);
            let up_to = |bound: f64| OBSERVATIONS.into_iter().filter(|value| *value <= bound).count() as u64;
            let buckets = BOUNDS.map(|bound| (bound, up_to(bound)));
            let (sum, count) = (OBSERVATIONS.into_iter().sum(), OBSERVATIONS.len() as u64);
            s.histogram("copied_seconds", "A histogram from elsewhere", &[], &buckets, sum, count);
            s.gauge("copied again", "Skipped", &[], 1.0);
        });
        self.registry.register(Box::new(collector)).unwrap();
        at
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let labels = labels.chain([self.zone.clone()]).collect();
        self.samples.push(Sample { name: format!("interop_{name}"), labels, value });
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], observed: &[f64]) {
        for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
            let le = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
            let labels = [labels, &[("le", le.as_str())]].concat();
            let count = observed.iter().filter(|&&value| value <= bound).count();
            self.sample(&format!("{name}_bucket"), &labels, count as f64);
        }
        self.sample(&format!("{name}_count"), labels, observed.len() as f64);
        self.sample(&format!("{name}_sum"), labels, observed.iter().fold(0.0, |sum, value| sum + value));
    }
}
