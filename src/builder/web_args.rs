//! The flags of Prometheus' exporters in programs that read their command line with clap.

mod listen_address;

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

use super::Builder;
use crate::http::path::{INVALID_PATH, path_is_valid};
use crate::net::listener;
use listen_address::ListenAddress;

/// The default of `--web.max-requests`, as in node_exporter.
const MAX_REQUESTS: usize = 40;

/// Holds the `--web.*` flags of Prometheus' exporters, to be flattened into a program's own clap parser.
///
/// [`Builder::web_args`] applies them. The [guide](crate::guide#the-command-line) has the forms of an address, and what overrides
/// what.
///
/// | flag | environment | |
/// | --- | --- | --- |
/// | `--web.listen-address` | `WEB_LISTEN_ADDRESS` | where to listen; repeatable, or several addresses separated by commas |
/// | `--web.systemd-socket` | `WEB_SYSTEMD_SOCKET` | [`Builder::listen_systemd`], instead of addresses |
/// | `--web.telemetry-path` | `WEB_TELEMETRY_PATH` | [`Builder::metrics_path`] |
/// | `--web.config.file` | `WEB_CONFIG_FILE` | [`Builder::web_config`]; an empty value changes nothing |
/// | `--web.disable-exporter-metrics` | `WEB_DISABLE_EXPORTER_METRICS` | neither [`Builder::self_metrics`] nor [`Builder::default_collectors`] |
/// | `--web.max-requests` | `WEB_MAX_REQUESTS` | [`Builder::max_requests`]; 40 if neither sets it |
///
/// ```
/// use clap::Parser;
/// use prometheus_hyper::{Server, WebArgs};
///
/// /// Exports the depth of a queue.
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     web: WebArgs,
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # let arguments = ["exporter", "--web.listen-address=127.0.0.1:0", "--web.telemetry-path=/internal"]; /*
/// let cli = Cli::parse();
/// # */ let cli = Cli::parse_from(arguments);
/// let guard = Server::builder().listen("[::]:9121").web_args(&cli.web).start()?;
/// # assert!(guard.to_string().ends_with("/internal") && !guard.to_string().contains("9121"));
/// # Ok(())
/// # }
/// ```
///
/// # Your own defaults, names and variables
///
/// Options that the builder has, such as the address above, hold unless the command line says otherwise. To show a default in
/// `--help`, give it to the flag, whose id is its name without the dashes. In the same way you rename or remove a variable, or
/// hide a flag:
///
/// ```
/// use clap::Parser;
/// use prometheus_hyper::WebArgs;
///
/// #[derive(Parser)]
/// #[command(
///     mut_arg("web.listen-address", |arg| arg.default_value(":9121").env("QUEUE_EXPORTER_LISTEN_ADDRESS")),
///     mut_arg("web.config.file", |arg| arg.env(None)),
///     mut_arg("web.max-requests", |arg| arg.hide(true)),
/// )]
/// struct Cli {
///     #[command(flatten)]
///     web: WebArgs,
/// }
///
/// # use clap::CommandFactory;
/// # let help = Cli::command().render_help().to_string();
/// # assert!(help.contains("[default: :9121]") && help.contains("QUEUE_EXPORTER_LISTEN_ADDRESS"), "{help}");
/// # assert!(!help.contains("WEB_CONFIG_FILE") && !help.contains("web.max-requests"), "{help}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct WebArgs(Flags);

// No `///`, which clap would make what `--help` says of a program that has no word on itself.
#[derive(Args, Clone, Debug, Default)]
#[group(id = "WebArgs")]
struct Flags {
    /// Address to listen on: `:9184`, `[::1]:9184`, `localhost:9184` or the path of a Unix socket; repeatable
    #[arg(
        id = "web.listen-address",
        long = "web.listen-address",
        value_name = "ADDRESS",
        value_delimiter = ',',
        value_parser = listen_address::parse,
        env = "WEB_LISTEN_ADDRESS"
    )]
    listen_addresses: Vec<ListenAddress>,

    /// Listen on the sockets that systemd has opened, instead of addresses
    #[arg(
        id = "web.systemd-socket",
        long = "web.systemd-socket",
        value_parser = BoolishValueParser::new(),
        env = "WEB_SYSTEMD_SOCKET"
    )]
    systemd_socket: bool,

    /// Path of the metrics; /metrics unless the program sets another
    #[arg(
        id = "web.telemetry-path",
        long = "web.telemetry-path",
        value_name = "PATH",
        value_parser = telemetry_path,
        env = "WEB_TELEMETRY_PATH"
    )]
    telemetry_path: Option<String>,

    // Not a `PathBuf`, whose parser refuses what is empty.
    /// File with TLS and access control, the web-config file of Prometheus' exporters
    #[arg(id = "web.config.file", long = "web.config.file", value_name = "FILE", env = "WEB_CONFIG_FILE")]
    config_file: Option<OsString>,

    /// Omit the metrics about the exporter itself: its server, process and runtime
    #[arg(
        id = "web.disable-exporter-metrics",
        long = "web.disable-exporter-metrics",
        value_parser = BoolishValueParser::new(),
        env = "WEB_DISABLE_EXPORTER_METRICS"
    )]
    disable_exporter_metrics: bool,

    /// Scrapes that are answered at once, 0 is no limit; 40 unless the program sets another limit
    #[arg(
        id = "web.max-requests",
        long = "web.max-requests",
        value_name = "NUMBER",
        env = "WEB_MAX_REQUESTS"
    )]
    max_requests: Option<usize>,
}

impl Builder {
    /// Applies the flags of a command line: see [`WebArgs`].
    ///
    /// Call it last. Flags override what was set before, and options set later override the flags. Addresses and
    /// `--web.systemd-socket` replace all listeners of the builder, and a later [`listen`](Self::listen) adds one. Without
    /// [`max_requests`](Self::max_requests) the limit is 40 from here on, as in node_exporter. The
    /// [guide](crate::guide#the-command-line) has the rules.
    pub fn web_args(mut self, web: &WebArgs) -> Self {
        let flags = &web.0;
        if flags.systemd_socket || !flags.listen_addresses.is_empty() {
            self.listeners.clear();
            self.server.notify = flags.systemd_socket.then_some(listener::systemd::tell);
            if flags.systemd_socket {
                self = self.open("--web.systemd-socket", |_| listener::systemd::sockets());
            } else {
                for address in flags.listen_addresses.clone() {
                    self = self.open("--web.listen-address", move |mode| Ok(vec![address.open(mode)?]));
                }
            }
        }
        if let Some(path) = &flags.telemetry_path {
            self = self.metrics_path_of("--web.telemetry-path", path.clone());
        }
        if let Some(path) = flags.config_file.as_ref().filter(|path| !path.is_empty()) {
            self = self.web_config_of("--web.config.file", path.into());
        }
        if flags.disable_exporter_metrics {
            self = self.self_metrics(false).default_collectors(false);
        }
        if flags.max_requests.is_some() {
            self.faults.check("max_requests", None);
        }
        self.metrics.max_requests = flags.max_requests.or(self.metrics.max_requests).or(Some(MAX_REQUESTS));
        self
    }
}

impl Args for WebArgs {
    fn group_id() -> Option<Id> {
        Flags::group_id()
    }

    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for WebArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Flags::from_arg_matches(matches).map(WebArgs)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn telemetry_path(path: &str) -> Result<String, &'static str> {
    path_is_valid(path).then(|| path.to_owned()).ok_or(INVALID_PATH)
}
