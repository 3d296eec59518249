//! The flags of Prometheus' exporters, for programs that read their command line with clap.

mod listen_address;

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

use super::Builder;
use crate::http::path::{INVALID_PATH, path_is_valid};
use crate::net::listener;
use listen_address::ListenAddress;

/// `--web.max-requests` where nobody has a word on it: as node_exporter has it.
const MAX_REQUESTS: usize = 40;

/// The `--web.*` flags of Prometheus' exporters, those of exporter-toolkit
/// ([`flag.go`](https://github.com/prometheus/exporter-toolkit/blob/master/web/kingpinflag/flag.go)) and of node_exporter
/// ([`node_exporter.go`](https://github.com/prometheus/node_exporter/blob/master/node_exporter.go)), for a program's own clap
/// parser; [`Builder::web_args`] applies them.
///
/// | flag | environment | |
/// | --- | --- | --- |
/// | `--web.listen-address` | `WEB_LISTEN_ADDRESS` | where to listen; repeatable, and several in one, separated by commas |
/// | `--web.systemd-socket` | `WEB_SYSTEMD_SOCKET` | [`Builder::listen_systemd`], instead of addresses |
/// | `--web.telemetry-path` | `WEB_TELEMETRY_PATH` | [`Builder::metrics_path`] |
/// | `--web.config.file` | `WEB_CONFIG_FILE` | [`Builder::web_config`]; empty as if not given |
/// | `--web.disable-exporter-metrics` | `WEB_DISABLE_EXPORTER_METRICS` | no [`self_metrics`](Builder::self_metrics), no [`default_collectors`](Builder::default_collectors) |
/// | `--web.max-requests` | `WEB_MAX_REQUESTS` | [`Builder::max_requests`], 40 if nobody has a word on it |
///
/// An address is one of
///
/// * `:9184`: all interfaces, `[::]:9184`, which takes IPv4, too, where the operating system has it so, as Linux does; where there
///   is no IPv6 `0.0.0.0:9184`.
/// * `127.0.0.1:9184`, `[::1]:9184`, `[fe80::1%eth0]:9184`.
/// * `localhost:9184`: a name, of which clap checks the syntax only; [`Builder::bind`] resolves it.
/// * `/run/app/metrics.sock`: whatever has a slash is the path of a Unix socket ([`Builder::listen_unix`]), which upstream has not.
///   It can have no comma.
///
/// `vsock://` is not served. The values of the environment's switches are clap's: `true`, `yes`, `on`, `1` and their opposites.
/// What is wrong with a value, also if it is empty where it may not be, is clap's error, which names the flag, before anything is
/// bound. What only [`Builder::bind`] can tell of a value begins with the flag, too:
/// `--web.listen-address: cannot listen on 127.0.0.1:9184: …`.
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
/// # Defaults, names and variables of one's own
///
/// What the program has told the builder holds unless the command line says otherwise, as the address above. So that `--help`
/// shows a default, too, give it to the flag; each flag's id is its name without the dashes. In the same way a variable gets
/// another name, or none, and a flag goes out of sight:
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
    /// Address to listen on, as `:9184`, `[::1]:9184`, `localhost:9184` or the path of a Unix socket; repeatable
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

    /// Path of the metrics; /metrics unless the program has another
    #[arg(
        id = "web.telemetry-path",
        long = "web.telemetry-path",
        value_name = "PATH",
        value_parser = telemetry_path,
        env = "WEB_TELEMETRY_PATH"
    )]
    telemetry_path: Option<String>,

    // Not a `PathBuf`, whose parser refuses what is empty.
    /// File that says how connections are secured and who may come in, as Prometheus' exporters share it
    #[arg(id = "web.config.file", long = "web.config.file", value_name = "FILE", env = "WEB_CONFIG_FILE")]
    config_file: Option<OsString>,

    /// Leave out what the exporter tells about itself: its server, process and runtime
    #[arg(
        id = "web.disable-exporter-metrics",
        long = "web.disable-exporter-metrics",
        value_parser = BoolishValueParser::new(),
        env = "WEB_DISABLE_EXPORTER_METRICS"
    )]
    disable_exporter_metrics: bool,

    /// How many scrapes are answered at once, 0 for any number; 40 unless the program has another limit
    #[arg(
        id = "web.max-requests",
        long = "web.max-requests",
        value_name = "NUMBER",
        env = "WEB_MAX_REQUESTS"
    )]
    max_requests: Option<usize>,
}

impl Builder {
    /// Applies the flags of a command line; see [`WebArgs`].
    ///
    /// They win over what the builder has been told before, and what is told after wins over them. What the command line does not
    /// name stays as it is; but if the builder has no word on [`max_requests`](Self::max_requests), it is 40 from here on, as
    /// node_exporter has it.
    ///
    /// Addresses take the place of all that the builder listens on: addresses, sockets that exist, those of systemd.
    /// `--web.systemd-socket` does, too, and wins over addresses, as upstream. Without either the builder's stay; if it has none,
    /// [`bind`](Self::bind) says so.
    ///
    /// What is in the web-config file is `bind`'s business, and beside [`basic_auth`](Self::basic_auth) and its kin it is
    /// refused there.
    pub fn web_args(mut self, web: &WebArgs) -> Self {
        let Flags {
            listen_addresses,
            systemd_socket,
            telemetry_path,
            config_file,
            disable_exporter_metrics,
            max_requests,
        } = &web.0;
        if *systemd_socket || !listen_addresses.is_empty() {
            self.listeners.clear();
            self.server.notify = systemd_socket.then_some(listener::systemd::tell);
            if *systemd_socket {
                self = self.open("--web.systemd-socket", |_| listener::systemd::sockets());
            } else {
                for address in listen_addresses {
                    let address = address.clone();
                    self = self.open("--web.listen-address", move |mode| Ok(vec![address.open(mode)?]));
                }
            }
        }
        if let Some(path) = telemetry_path {
            self = self.metrics_path_of("--web.telemetry-path", path.clone());
        }
        if let Some(path) = config_file.as_ref().filter(|path| !path.is_empty()) {
            self = self.web_config_of("--web.config.file", path.into());
        }
        if *disable_exporter_metrics {
            self = self.self_metrics(false).default_collectors(false);
        }
        if max_requests.is_some() {
            self.faults.check("max_requests", None);
        }
        self.metrics.max_requests = max_requests.or(self.metrics.max_requests).or(Some(MAX_REQUESTS));
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

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        Flags::from_arg_matches_mut(matches).map(WebArgs)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches_mut(matches)
    }
}

fn telemetry_path(path: &str) -> Result<String, &'static str> {
    path_is_valid(path).then(|| path.to_owned()).ok_or(INVALID_PATH)
}
