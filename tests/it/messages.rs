//! The exact texts of each situation: what `main` prints, what the log says at info, and what the client gets.

#[cfg(all(unix, feature = "tls"))]
mod tls;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Server};

#[cfg(feature = "auth")]
use crate::support::client::ask;
use crate::support::client::{Client, Response, ask_and_be_heard, get, wait_for};
use crate::support::collectors::{Gated, Hangs, Moody};
use crate::support::log::logged;
use crate::support::server::{patient, printed, something};
use crate::support::{CHILD, run_alone};

/// The lines at info and above, without time and module. A number of seconds is `N`.
fn at_info(log: &str) -> Vec<String> {
    let read = |line: &str| {
        let (level, rest) = line.split_once(' ')?.1.trim_start().split_once(' ')?;
        if !["INFO", "WARN", "ERROR"].contains(&level) {
            return None;
        }
        let (module, message) = rest.trim_start().split_once(": ")?;
        assert!(module.starts_with("prometheus_hyper"), "the target of README: {line}");
        let (message, seconds) = message.split_once(" seconds=").unwrap_or((message, ""));
        let seconds = if seconds.parse::<u32>().is_ok() { " seconds=N" } else { seconds };
        Some(format!("{level} {message}{seconds}"))
    };
    log.lines().filter_map(read).collect()
}

/// What a situation looks like from outside.
struct Situation {
    name: &'static str,
    builder: Builder,
    /// Returns the last answer.
    client: Box<dyn FnOnce(SocketAddr) -> Response + Send>,
    status: u16,
    body: &'static str,
    /// After that of the start.
    log: &'static [&'static str],
}

fn situation(
    name: &'static str,
    builder: Builder,
    client: impl FnOnce(SocketAddr) -> Response + Send + 'static,
    (status, body): (u16, &'static str),
    log: &'static [&'static str],
) -> Situation {
    Situation { name, builder: builder.self_metrics(false), client: Box::new(client), status, body, log }
}

impl Situation {
    fn check(self) {
        let Situation { name, builder, client, status, body, log } = self;
        let mut address = None;
        let written = logged(builder, |addr| {
            address = Some(addr);
            let answer = client(addr);
            let wait = answer.header("retry-after").map_or(String::new(), |wait| format!(" in {wait} s."));
            let answered = if wait.is_empty() { answer.body } else { answer.body.replace(&wait, " in N s.") };
            assert_eq!((answer.status, answered.as_str()), (status, body), "{name}");
        });
        let lines = at_info(&written);
        let (first, rest) = lines.split_first().unwrap_or_else(|| panic!("{name}: nothing in the log"));
        assert_eq!(*first, format!("INFO serving metrics at=http://{}/metrics", address.unwrap()), "{name}");
        assert_eq!(rest, log, "{name}");
    }
}

/// Asks twice: a fault that occurs twice is logged once.
fn twice(path: &'static str) -> impl FnOnce(SocketAddr) -> Response + Send {
    move |addr| {
        get(addr, path);
        get(addr, path)
    }
}

const SOMETHING: &str = "# HELP something_total help\n# TYPE something_total counter\nsomething_total 0\n";

#[test]
fn client_and_log_say_what_is_wrong_and_what_to_do() {
    let serving = || Server::builder().registry(something());
    let two = || serving().registry_named("db", &Registry::new());
    let hangs = Registry::new();
    let asked = Hangs::register(&hangs);
    let panics = Registry::new();
    let _mood = Moody::register(&panics, "moody_total");
    let slow = Registry::new();
    let gated = Gated::register(&slow, false);
    let hook = |_| async { Err("no connection".into()) };

    let table = [
        situation(
            "wrong path",
            serving(),
            twice("/metric"),
            (404, "404: nothing here. The metrics are at /metrics.\n"),
            &[],
        ),
        situation(
            "wrong method",
            serving(),
            |addr| {
                let mut client = Client::connect(addr);
                client.send("POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                client.answer(false)
            },
            (405, "405: method not allowed. Use GET, HEAD or OPTIONS.\n"),
            &[],
        ),
        situation(
            "unknown registry[]",
            two(),
            twice("/metrics?registry[]=dp"),
            (400, "400: unknown registry. Use one of: default, db.\n"),
            &[],
        ),
        situation(
            "unknown format",
            serving(),
            twice("/metrics?format=json"),
            (400, "400: unknown format. Use one of: text.\n"),
            &[],
        ),
        situation(
            "unknown format where there are two",
            serving().openmetrics(true),
            twice("/metrics?format=json"),
            (400, "400: unknown format. Use one of: text, openmetrics.\n"),
            &[],
        ),
        situation(
            "query that is not UTF-8",
            serving(),
            twice("/metrics?name[]=%ff"),
            (400, "400: the query is not UTF-8. Percent-encode names and values as UTF-8.\n"),
            &[],
        ),
        situation(
            "too many selectors",
            serving(),
            twice(format!("/metrics?{}", "name[]=a&".repeat(1025)).leak()),
            (
                400,
                "400: more than 1024 name[] and registry[] in the query. Use fewer, or none to get all metrics.\n",
            ),
            &[],
        ),
        situation(
            "empty explicit registry",
            Server::builder().registry(&Registry::new()),
            twice("/metrics"),
            (
                200,
                "# The registries of this server have no samples: nothing is registered in them, their metrics have \
                 no series yet, or\n# they were skipped (see the log). The macros register_*! use another one, the default registry: \
                 prometheus_hyper::default_registry()\n",
            ),
            &[
                "WARN the registries of this server have no samples: nothing is registered in them, their metrics \
               have no series yet, or they were skipped. `register_*!` registers in the default registry",
            ],
        ),
        situation(
            "empty registry of an exporter that probes",
            Server::builder().registry(&Registry::new()).probe("/probe", |_| async { Ok(Registry::new()) }),
            twice("/metrics"),
            (200, ""),
            &[],
        ),
        situation(
            "hanging collector",
            Server::builder().registry(&hangs).scrape_timeout(Duration::from_millis(200)),
            move |addr| {
                // A client may give up before its gather starts.
                wait_for("a gather", || get(addr, "/metrics").status == 503 && asked.try_recv().is_ok());
                twice("/metrics")(addr)
            },
            (
                503,
                "503: no metrics within 200ms. A collector is slow or hangs. If it hangs for \
                 scrape_timeout, the log names its registry.\n",
            ),
            &[
                "WARN collector has not returned; scrapes of its registry time out registry=\"default\" seconds=N",
            ],
        ),
        situation(
            "panicking collector",
            // The first backtrace takes long on a busy machine.
            patient(Server::builder().registry(&panics)),
            twice("/metrics"),
            (500, "500: a collector or a hook failed. See the program's log.\n"),
            &["ERROR collectors panicked; their registries are skipped in this scrape \
               panics=[(\"default\", \"expected panic of this test\")]"],
        ),
        situation(
            "failing hook",
            serving().before_scrape("queue", hook),
            twice("/metrics"),
            (200, SOMETHING),
            &["WARN hook failed; serving the last values hook=\"queue\" failure=\"no connection\""],
        ),
        situation(
            "host not allowed",
            serving().allowed_hosts(["metrics.example"]),
            twice("/metrics"),
            (403, "403: host not allowed. Use a name that allowed_hosts lists.\n"),
            &[],
        ),
        situation(
            "address not allowed",
            serving().allow_network("192.0.2.0/24"),
            |addr| Response { status: 0, head: String::new(), body: Client::connect(addr).closed() },
            (0, ""),
            &[],
        ),
        situation(
            "too many requests",
            serving().rate_limit(Duration::from_secs(600), 1),
            twice("/metrics"),
            (429, "429: too many requests. Try again in N s.\n"),
            &[],
        ),
        situation(
            "too many scrapes",
            patient(Server::builder().registry(&slow).max_requests(1)),
            move |addr| {
                let mut first = ask_and_be_heard(addr, "/metrics", "");
                gated.wait_for_gathers(1);
                let second = get(addr, "/metrics");
                gated.open();
                assert_eq!(first.answer(false).status, 200);
                second
            },
            (503, "503: the limit max_requests is reached. Try again in a second.\n"),
            &[],
        ),
    ];
    table.into_iter().for_each(Situation::check);
}

#[test]
#[cfg(feature = "auth")]
fn a_401_says_what_is_required() {
    let token = || Server::builder().registry(something()).bearer_token("right");
    let user = |builder: Builder| {
        builder.basic_auth("alice", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi")
    };
    let wrong = "Authorization: Bearer wrong\r\nConnection: close\r\n";
    let none = "Connection: close\r\n";
    let table = [
        (token(), none, "401: no credentials. Send a bearer token.\n"),
        (token(), wrong, "401: wrong credentials. Send a bearer token.\n"),
        (
            user(Server::builder().registry(something())),
            none,
            "401: no credentials. Send a user and a password (basic auth).\n",
        ),
        (
            user(token()),
            wrong,
            "401: wrong credentials. Send a bearer token or a user and a password (basic auth).\n",
        ),
    ];
    for (builder, headers, body) in table {
        let client = move |addr| ask(addr, "/metrics", headers).answer(false);
        situation(body, builder, client, (401, body), &[]).check();
    }
}

#[test]
fn an_empty_default_registry_says_what_to_look_for() {
    run_alone("messages::child_with_an_empty_default_registry", "", &[]);
}

/// What the test above runs in a process of its own, because other tests fill the default registry.
#[test]
#[ignore = "run by another test"]
fn child_with_an_empty_default_registry() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    situation(
        "empty default registry",
        Server::builder().default_collectors(false),
        twice("/metrics"),
        (
            200,
            "# The default registry of prometheus_hyper::prometheus has no samples: nothing is registered in it, \
             its metrics have\n# no series yet, or they were skipped (see the log). If you registered metrics, look for a second \
             version of prometheus in\n# your program: cargo tree -d\n# If you need both versions, the example two_versions.rs of prometheus-hyper \
             serves both.\n",
        ),
        &["WARN the default registry has no samples: nothing is registered in it, its metrics have no series yet, \
           or they were skipped. If you registered metrics, look for a second version of prometheus with `cargo tree -d`"],
    )
    .check();
}

/// What a `main` prints that returns a `Result`.
#[test]
fn main_prints_what_is_wrong_and_what_is_expected() {
    let builder = || Server::builder().registry(&Registry::new());
    let listening = || builder().listen("127.0.0.1:0");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    // The system's own words, which differ.
    let in_use = TcpListener::bind(taken).unwrap_err();
    let unknown = "nobody.invalid:9184".to_socket_addrs().unwrap_err();

    let absolute = "must be an absolute path such as /metrics, percent-encoded, without a query, and not /-/healthy \
                    or /-/ready";
    let table: Vec<(Builder, String, String)> = vec![
        (builder().listen(taken), "AddrInUse".into(), format!("listen: cannot listen on {taken}: {in_use}")),
        (
            builder().listen("nobody.invalid:9184"),
            format!("{:?}", unknown.kind()),
            format!("listen: cannot resolve \"nobody.invalid:9184\": {unknown}"),
        ),
        (
            builder(),
            "InvalidInput".into(),
            "listen: there is no address to listen on (expected one such as \"0.0.0.0:9184\")".into(),
        ),
        (
            listening().metrics_path("metrics"),
            "InvalidInput".into(),
            format!("metrics_path: \"metrics\" {absolute}"),
        ),
        (
            listening().max_connections(0).allow_network("10.0.0.0/33"),
            "InvalidInput".into(),
            "max_connections: must be above zero; None is no limit\n\
             allow_network: \"10.0.0.0/33\" has an invalid prefix length (expected 0 to 32 for IPv4, 0 to 128 for IPv6)"
                .into(),
        ),
    ];
    for (builder, kind, sentence) in table {
        let error = builder.bind().unwrap_err();
        assert_eq!(printed(error), format!("Error: Custom {{ kind: {kind}, error: {sentence} }}"));
    }
}

#[test]
#[cfg(feature = "web-config")]
fn main_prints_where_a_web_config_file_is_wrong() {
    let folder = crate::support::Scratch::new("messages");
    let table = [
        (
            "tls_server_confg: {}\n",
            "1: tls_server_confg: unknown key; expected one of tls_server_config, http_server_config, basic_auth_users, \
             rate_limit",
        ),
        (
            "basic_auth_users:\n  alice: secret\n",
            "2: basic_auth_users.alice: not a bcrypt hash (expected a $2a$, $2b$ or $2y$ prefix and 60 characters)",
        ),
        (
            "tls_server_config:\n  cert_file: server.crt\n",
            "1: tls_server_config: one of key or key_file is missing",
        ),
    ];
    for (text, problem) in table {
        let path = folder.write("web.yml", text);
        let builder = Server::builder().registry(&Registry::new()).listen("127.0.0.1:0").web_config(&path);
        let sentence = format!("web_config: {}:{problem}", path.display());
        let error = builder.bind().unwrap_err();
        assert_eq!(
            printed(error),
            format!("Error: Custom {{ kind: InvalidInput, error: {sentence} }}"),
            "{text}"
        );
    }
}

#[test]
#[cfg(all(unix, feature = "cli"))]
fn a_bad_flag_is_named_with_its_value() {
    use clap::Parser;
    use prometheus_hyper::WebArgs;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        web: WebArgs,
    }
    let table = [
        (
            "--web.listen-address=9184",
            "error: invalid value '9184' for '--web.listen-address <ADDRESS>': it has no port: give HOST:PORT, :PORT or \
             the path of a Unix socket, which has a slash",
        ),
        (
            "--web.telemetry-path=metrics",
            "error: invalid value 'metrics' for '--web.telemetry-path <PATH>': must be an absolute path such as \
             /metrics, percent-encoded, without a query, and not /-/healthy or /-/ready",
        ),
        (
            "--web.max-requests=many",
            "error: invalid value 'many' for '--web.max-requests <NUMBER>': invalid digit found in string",
        ),
    ];
    for (flag, expected) in table {
        let error = Cli::try_parse_from(["exporter", flag]).unwrap_err();
        let help = "\n\nFor more information, try '--help'.\n";
        assert_eq!(error.to_string(), format!("{expected}{help}"), "{flag}");
    }
    // What clap cannot know, `bind` says by the flag's name.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let in_use = TcpListener::bind(taken).unwrap_err();
    let cli = Cli::try_parse_from(["exporter".to_owned(), format!("--web.listen-address={taken}")]).unwrap();
    let error = Server::builder().registry(&Registry::new()).web_args(&cli.web).bind().unwrap_err();
    let sentence = format!("--web.listen-address: cannot listen on {taken}: {in_use}");
    assert_eq!(printed(error), format!("Error: Custom {{ kind: AddrInUse, error: {sentence} }}"));
}
