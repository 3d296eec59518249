//! The collector of the build info.

use once_cell::sync::OnceCell;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts};

/// Collects the build of the running program: `<name>_build_info{version="…"} 1`.
///
/// Join it with other series, or mark versions in a graph. [`build_info!`](crate::build_info!) returns the build info
/// of your crate. [`Builder::build_info`](crate::Builder::build_info) serves it. It is a collector, so you can also
/// register it:
///
/// ```
/// use prometheus_hyper::{collector::BuildInfo, prometheus::Registry};
///
/// # fn main() -> prometheus_hyper::prometheus::Result<()> {
/// let registry = Registry::new();
/// registry.register(Box::new(BuildInfo::new("my-service", "1.2.3").revision("0f27d57")))?;
/// let families = registry.gather();
/// assert_eq!(families[0].name(), "my_service_build_info");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// The unchanged name of the program.
    program: String,
    name: String,
    version: String,
    revision: Option<String>,
    rustversion: Option<String>,
    /// Created at first use, after the setters.
    gauge: OnceCell<IntGauge>,
}

impl BuildInfo {
    /// Creates the build info of a program with this name and version.
    ///
    /// The name becomes part of the metric's name. Characters other than ASCII letters and digits become underscores. A
    /// leading digit gets an underscore in front.
    pub fn new(name: impl AsRef<str>, version: impl Into<String>) -> Self {
        BuildInfo {
            program: name.as_ref().to_owned(),
            name: metric_name(name.as_ref()),
            version: version.into(),
            revision: None,
            rustversion: None,
            gauge: OnceCell::new(),
        }
    }

    /// Sets the label `revision`, the commit of the build, such as `option_env!("GIT_COMMIT")` from a build script.
    ///
    /// Default: none.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self.gauge = OnceCell::new();
        self
    }

    /// Sets the label `rustversion`, the compiler's version, which only a build script can determine.
    ///
    /// Default: none.
    #[must_use]
    pub fn rustversion(mut self, rustversion: impl Into<String>) -> Self {
        self.rustversion = Some(rustversion.into());
        self.gauge = OnceCell::new();
        self
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    #[expect(clippy::expect_used, reason = "constant label names, and a valid name from `metric_name`")]
    fn gauge(&self) -> &IntGauge {
        self.gauge.get_or_init(|| {
            let help = "Build of the running program, in the labels. The value is always 1.";
            let labels = [("revision", &self.revision), ("rustversion", &self.rustversion)];
            let mut opts = Opts::new(&self.name, help).const_label("version", &self.version);
            for (name, value) in labels {
                if let Some(value) = value {
                    opts = opts.const_label(name, value);
                }
            }
            let gauge = IntGauge::with_opts(opts).expect("a valid name with valid labels");
            gauge.set(1);
            gauge
        })
    }
}

impl Collector for BuildInfo {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge().desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge().collect()
    }
}

/// Returns the metric's name: the program's name as `[a-zA-Z_][a-zA-Z0-9_]*`, with the suffix.
fn metric_name(program: &str) -> String {
    let mut name: String = program.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name + "_build_info"
}

/// Returns the [build info](crate::collector::BuildInfo) of the calling crate, with its name and version in Cargo.
///
/// ```
/// use prometheus_hyper::{build_info, collector::BuildInfo};
///
/// let info: BuildInfo = build_info!().revision("0f27d57").rustversion("1.95.0");
/// ```
#[macro_export]
macro_rules! build_info {
    () => {
        $crate::collector::BuildInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    };
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn program_names_become_metric_names() {
        let table = [
            ("hello", "hello_build_info"),
            ("my-service", "my_service_build_info"),
            ("Ünique crate", "_nique_crate_build_info"),
            ("7zip", "_7zip_build_info"),
            ("", "__build_info"),
            ("a:b\0", "a_b__build_info"),
        ];
        for (program, name) in table {
            assert_eq!(metric_name(program), name, "{program:?}");
            BuildInfo::new(program, "\0").gauge();
        }
    }

    #[test]
    fn labels_are_the_last_ones_set() {
        let unasked = BuildInfo::new("p", "1");
        assert_eq!(unasked.collect()[0].get_metric()[0].get_label().len(), 1);
        let info = unasked.revision("first").revision("r \"1\"\n").rustversion("1.95.0");

        let registry = Registry::new();
        registry.register(Box::new(info)).unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let sample = r#"p_build_info{revision="r \"1\"\n",rustversion="1.95.0",version="1"} 1"#;
        assert_eq!(text.lines().last(), Some(sample));
    }

    #[test]
    fn macro_uses_the_callers_package() {
        let info = crate::build_info!();
        assert_eq!(info.name, "prometheus_hyper_build_info");
        assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    }
}
