//! Tests the flags of Prometheus' exporters, from the command line to the client.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Builder, Guard, Server, WebArgs};

use crate::support::client::{Client, ask, ask_and_be_heard, basic, get, get_unix};
use crate::support::collectors::Gated;
use crate::support::server::{patient, printed, raw_os_error};
use crate::support::{Scratch, run_alone};

const FLAGS: [&str; 6] = [
    "--web.listen-address",
    "--web.systemd-socket",
    "--web.telemetry-path",
    "--web.config.file",
    "--web.disable-exporter-metrics",
    "--web.max-requests",
];

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    web: WebArgs,
}

fn parse(flags: &[&str]) -> WebArgs {
    Cli::try_parse_from(["exporter"].iter().chain(flags)).unwrap_or_else(|error| panic!("{error}")).web
}

fn empty() -> Builder {
    Server::builder().registry(&Registry::new())
}

fn start(builder: Builder) -> (Guard, SocketAddr) {
    let guard = builder.bind().unwrap().start().unwrap();
    let addr = guard.local_addr().unwrap();
    (guard, addr)
}

#[test]
fn clap_accepts_the_definition_of_the_flags() {
    Cli::command().debug_assert();
}

#[test]
fn address_flags_replace_all_listeners_of_the_builder() {
    type Before = fn(Builder) -> Builder;
    let own: Before = |builder| builder.listen("127.0.0.9:0");
    let existing: Before =
        |builder| builder.tcp_listener(TcpListener::bind("127.0.0.9:0").unwrap()).listen("[::1]:0");
    // `listen_systemd` fails without systemd's sockets.
    let systemd: Before = Builder::listen_systemd;
    let table: &[(Before, &[&str], &[&str])] = &[
        (own, &[], &["127.0.0.9"]),
        (own, &["--web.listen-address=127.0.0.1:0"], &["127.0.0.1"]),
        (
            own,
            &["--web.listen-address", "127.0.0.2:0", "--web.listen-address", "[::1]:0"],
            &["127.0.0.2", "::1"],
        ),
        (own, &["--web.listen-address=127.0.0.2:0,127.0.0.3:0"], &["127.0.0.2", "127.0.0.3"]),
        (existing, &["--web.listen-address=127.0.0.1:0"], &["127.0.0.1"]),
        (systemd, &["--web.listen-address=127.0.0.1:0"], &["127.0.0.1"]),
        (|builder| builder, &["--web.listen-address=127.0.0.1:0"], &["127.0.0.1"]),
    ];
    for (before, flags, expected) in table {
        let (guard, _) = start(before(empty()).web_args(&parse(flags)));
        let ips: Vec<IpAddr> = guard.local_addrs().iter().map(SocketAddr::ip).collect();
        let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
        assert_eq!(ips, expected, "{flags:?}");
        for addr in guard.local_addrs() {
            assert_eq!(get(*addr, "/metrics").status, 200, "{flags:?}: {addr}");
        }
    }
    // Listeners set after `web_args` are additional.
    let (guard, _) = start(own(empty().web_args(&parse(&["--web.listen-address=127.0.0.1:0"]))));
    assert_eq!(guard.local_addrs().len(), 2);
}

#[test]
fn port_alone_is_all_interfaces_and_names_are_resolved() {
    let (guard, addr) = start(empty().web_args(&parse(&["--web.listen-address=:0"])));
    assert!(addr.ip().is_unspecified(), "{addr}");
    let loopbacks: &[&str] = if addr.is_ipv6() { &["::1"] } else { &["127.0.0.1"] };
    for ip in loopbacks {
        assert_eq!(get((ip.parse::<IpAddr>().unwrap(), addr.port()).into(), "/metrics").status, 200, "{ip}");
    }
    drop(guard);

    let (_guard, addr) = start(empty().web_args(&parse(&["--web.listen-address=localhost:0"])));
    assert!(addr.ip().is_loopback(), "{addr}");
}

/// Listening on IPv4 alone would leave the clients of IPv6 to the other program.
#[test]
fn port_alone_fails_if_another_program_has_its_ipv6() {
    let other = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    other.set_only_v6(true).unwrap();
    other.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
    other.listen(1).unwrap();
    let port = other.local_addr().unwrap().as_socket_ipv6().unwrap().port();
    let error = empty().web_args(&parse(&[&format!("--web.listen-address=:{port}")])).bind().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
}

/// clap cannot check these values. Regression: errors said `listen: cannot resolve the address` and
/// `web_config: …`.
#[test]
fn errors_of_bind_name_the_flag_and_the_value() {
    let folder = Scratch::new("flags");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (below, missing) = (folder.path("none/s"), folder.path("none.yml"));
    let wrong = folder.write("wrong.yml", "\nusers: {}\n");
    let unread = folder.write("unread.yml", "tls_server_config: {cert_file: none.crt, key_file: none.key}\n");
    let (below, missing) = (below.display().to_string(), missing.display().to_string());
    let (wrong, unread) = (wrong.display().to_string(), unread.display().to_string());
    // The flag, its value, the message after the flag, whether the error has a number of the system.
    let nobody = "cannot resolve (\"nobody.invalid\", 0): ";
    let table: [(&str, &str, String, bool); 8] = [
        // clap accepts its syntax.
        ("--web.listen-address", "nobody.invalid:0", nobody.to_owned(), false),
        ("--web.listen-address", &taken, format!("cannot listen on {taken}: "), true),
        ("--web.listen-address", &below, format!("cannot listen on {below}: "), true),
        ("--web.config.file", &missing, format!("{missing}: "), true),
        ("--web.config.file", &wrong, format!("{wrong}:2: users: unknown key"), false),
        ("--web.config.file", &unread, format!("{unread}:1: tls_server_config.cert_file: "), true),
        ("--web.config.file", "/x", "/x: bearer_token, basic_auth: ".to_owned(), false),
        ("--web.telemetry-path", "/probe", "\"/probe\" is the path of a probe".to_owned(), false),
    ];
    for (flag, value, behind, has_number) in table {
        let mut builder = empty().listen("127.0.0.1:0").probe("/probe", |_| async { Ok(Registry::new()) });
        if value == "/x" {
            builder = builder.bearer_token("token");
        }
        let error = builder.web_args(&parse(&[&format!("{flag}={value}")])).bind().unwrap_err();
        let (sentence, kind) = (error.to_string(), error.kind());
        assert!(sentence.starts_with(&format!("{flag}: {behind}")), "{flag}={value}: {sentence}");
        assert_eq!(raw_os_error(&error).is_some(), has_number, "{flag}={value}: {sentence}");
        assert_eq!(printed(error), format!("Error: Custom {{ kind: {kind:?}, error: {sentence} }}"));
    }
    // Errors of the program's own options name the option.
    let error = empty().web_args(&parse(&[])).listen(taken).web_config(&missing).bind().unwrap_err();
    assert!(error.to_string().starts_with("web_config: "), "{error}");
}

#[test]
fn address_with_a_slash_is_a_unix_socket() {
    let folder = Scratch::new("flags");
    let path = folder.path("s");
    let flag = format!("--web.listen-address={}", path.display());
    let (guard, _) = start(empty().web_args(&parse(&[&flag, "--web.listen-address=127.0.0.1:0"])));
    assert!(get_unix(&path).starts_with("HTTP/1.1 200 "));
    guard.shutdown_blocking();
    assert!(!path.exists());
}

/// "Instead of port listeners": upstream then ignores the addresses.
#[test]
fn systemd_sockets_replace_addresses() {
    for flags in [
        &["--web.systemd-socket"][..],
        &["--web.listen-address=127.0.0.1:0", "--web.systemd-socket"],
        &["--web.systemd-socket", "--web.listen-address=nobody.invalid:0"],
    ] {
        let error = empty().listen("127.0.0.1:0").web_args(&parse(flags)).bind().unwrap_err();
        let elsewhere = cfg!(not(target_os = "linux"));
        let kind = if elsewhere { io::ErrorKind::Unsupported } else { io::ErrorKind::NotFound };
        assert_eq!(error.kind(), kind, "{flags:?}: {error}");
        assert!(error.to_string().starts_with("--web.systemd-socket: "), "{flags:?}: {error}");
    }
}

#[test]
fn bind_fails_without_an_address() {
    let error = empty().web_args(&parse(&[])).bind().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("listen: "), "{error}");
}

#[test]
fn metrics_path_flag_overrides_builder() {
    let table: &[(&[&str], &str, &str)] = &[
        (&[], "/own", "/given"),
        (&["--web.telemetry-path=/given"], "/given", "/own"),
        (&["--web.telemetry-path", "/"], "/", "/own"),
    ];
    for (flags, there, not_there) in table {
        let (_guard, addr) =
            start(empty().listen("127.0.0.1:0").metrics_path("/own").web_args(&parse(flags)));
        let answer = get(addr, there);
        assert!(answer.body.contains("prometheus_exporter_"), "{flags:?}: {answer:?}");
        assert_eq!(get(addr, not_there).status, 404, "{flags:?}");
    }
}

#[test]
fn disable_exporter_metrics_flag_disables_self_metrics() {
    for (flags, shown) in [(&[][..], true), (&["--web.disable-exporter-metrics"][..], false)] {
        let builder = empty().default_collectors(true).listen("127.0.0.1:0").web_args(&parse(flags));
        let (_guard, addr) = start(builder);
        let body = get(addr, "/metrics").body;
        let mut names = vec!["prometheus_exporter_requests_total"];
        if cfg!(feature = "process") {
            names.push("process_");
        }
        for name in names {
            assert_eq!(body.contains(name), shown, "{flags:?}: {name} in {body}");
        }
    }
}

#[test]
fn web_config_flag_requires_login() {
    let folder = Scratch::new("flags");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let file = folder.write("web.yml", format!("basic_auth_users:\n  ann: {hash}\n"));
    let flag = format!("--web.config.file={}", file.display());
    let (_guard, addr) = start(empty().listen("127.0.0.1:0").web_args(&parse(&[&flag])));
    assert_eq!(get(addr, "/metrics").status, 401);
    assert_eq!(ask(addr, "/metrics", &basic("ann:secret")).answer(false).status, 200);

    // The default of exporter-toolkit.
    let (_guard, addr) = start(empty().listen("127.0.0.1:0").web_args(&parse(&["--web.config.file="])));
    assert_eq!(get(addr, "/metrics").status, 200);
    // It does not remove the access control that the program sets.
    let program = empty().web_config(file).listen("127.0.0.1:0");
    let (_guard, addr) = start(program.web_args(&parse(&["--web.config.file="])));
    assert_eq!(get(addr, "/metrics").status, 401);

    let flag = format!("--web.config.file={}", folder.path("absent.yml").display());
    let error = empty().listen("127.0.0.1:0").web_args(&parse(&[&flag])).bind().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
}

#[test]
fn max_requests_flag_overrides_builder_and_default_of_forty() {
    // The builder's setting, if it has one.
    type Before = Option<Option<usize>>;
    let table: &[(Before, &[&str], Option<usize>)] = &[
        (None, &[], Some(40)),
        (Some(Some(3)), &[], Some(3)),
        (Some(None), &[], None),
        (Some(Some(3)), &["--web.max-requests=2"], Some(2)),
        (Some(Some(0)), &["--web.max-requests=2"], Some(2)),
        (None, &["--web.max-requests", "0"], None),
        (Some(Some(3)), &["--web.max-requests=0"], None),
    ];
    for (before, flags, most) in table {
        let registry = Registry::new();
        let gated = Gated::register(&registry, false);
        let mut builder = patient(Server::builder().registry(&registry).listen("127.0.0.1:0"));
        if let Some(before) = before {
            builder = builder.max_requests(*before);
        }
        let (_guard, addr) = start(builder.web_args(&parse(flags)));
        let held = most.unwrap_or(50);
        let mut held: Vec<Client> = (0..held).map(|_| ask_and_be_heard(addr, "/metrics", "")).collect();
        if most.is_some() {
            assert_eq!(get(addr, "/metrics").status, 503, "{before:?} {flags:?}");
        }
        gated.open();
        for client in &mut held {
            assert_eq!(client.answer(false).status, 200, "{before:?} {flags:?}");
        }
    }
}

#[test]
fn clap_rejects_wrong_value_and_names_the_flag() {
    let table: &[(&str, &str, ErrorKind)] = &[
        ("--web.listen-address", "", ErrorKind::ValueValidation),
        ("--web.listen-address", "9184", ErrorKind::ValueValidation),
        ("--web.listen-address", ":65536", ErrorKind::ValueValidation),
        ("--web.listen-address", "::1", ErrorKind::ValueValidation),
        ("--web.listen-address", "vsock://:9184", ErrorKind::ValueValidation),
        ("--web.listen-address", ":1,:x", ErrorKind::ValueValidation),
        ("--web.listen-address", ":1,", ErrorKind::ValueValidation),
        ("--web.telemetry-path", "", ErrorKind::ValueValidation),
        ("--web.telemetry-path", "metrics", ErrorKind::ValueValidation),
        ("--web.telemetry-path", "/a?b", ErrorKind::ValueValidation),
        ("--web.telemetry-path", "/-/healthy", ErrorKind::ValueValidation),
        ("--web.max-requests", "-1", ErrorKind::ValueValidation),
        ("--web.max-requests", "many", ErrorKind::ValueValidation),
        ("--web.max-requests", "", ErrorKind::ValueValidation),
        ("--web.systemd-socket", "true", ErrorKind::TooManyValues),
        ("--web.disable-exporter-metrics", "", ErrorKind::TooManyValues),
    ];
    for (flag, value, kind) in table {
        let error = Cli::try_parse_from(["exporter", &format!("{flag}={value}")]).unwrap_err();
        assert_eq!(error.kind(), *kind, "{flag}={value}: {error}");
        assert!(error.to_string().contains(flag), "{flag}={value}: {error}");
    }
    let error = Cli::try_parse_from(["exporter", "--web.listen-address=vsock://:1"]).unwrap_err();
    assert!(error.to_string().contains("vsock is not served here"), "{error}");
}

#[test]
fn help_shows_each_flag_and_keeps_the_programs_about() {
    /// About the program.
    #[derive(Parser)]
    struct Described {
        #[command(flatten)]
        _web: WebArgs,
    }
    let help = Cli::command().render_long_help().to_string();
    for flag in FLAGS {
        assert_eq!(help.matches(&format!(" {flag}")).count(), 1, "{flag}: {help}");
    }
    for variable in ["LISTEN_ADDRESS", "SYSTEMD_SOCKET", "TELEMETRY_PATH", "CONFIG_FILE", "MAX_REQUESTS"] {
        assert!(help.contains(&format!("[env: WEB_{variable}=")), "{variable}: {help}");
    }
    assert!(help.starts_with("Usage: "), "{help}");
    let about = Described::command().get_about().map(ToString::to_string);
    assert_eq!(about.as_deref(), Some("About the program"));
    let about = clap::Command::new("built").about("by hand");
    let about = <WebArgs as clap::Args>::augment_args(about).get_about().map(ToString::to_string);
    assert_eq!(about.as_deref(), Some("by hand"));
}

/// Within an argument group of a program, which also has a default address.
#[test]
fn program_sets_the_default_of_a_flag() {
    #[derive(clap::Args)]
    struct Group {
        #[command(flatten)]
        web: WebArgs,
    }
    #[derive(Parser)]
    #[command(
        mut_arg("web.listen-address", |arg| arg.default_value("127.0.0.1:0")),
        mut_arg("web.telemetry-path", |arg| arg.default_value("/own")),
    )]
    struct Own {
        #[command(flatten)]
        group: Group,
    }
    Own::command().debug_assert();
    for (flags, ip) in [(&[][..], "127.0.0.1"), (&["--web.listen-address=127.0.0.2:0"][..], "127.0.0.2")] {
        let own = Own::try_parse_from(["exporter"].iter().chain(flags)).unwrap();
        let (guard, addr) = start(empty().web_args(&own.group.web));
        assert_eq!((addr.ip(), guard.local_addrs().len()), (ip.parse().unwrap(), 1), "{flags:?}");
        assert_eq!(get(addr, "/own").status, 200, "{flags:?}");
    }
    let help = Own::command().render_help().to_string();
    assert!(help.contains("[default: 127.0.0.1:0]"), "{help}");
}

#[test]
fn environment_variables_set_flags() {
    let folder = Scratch::new("flags");
    let file = folder.write("web.yml", "");
    let config = format!("WEB_CONFIG_FILE={}", file.display());
    let variables = [
        "env",
        "WEB_LISTEN_ADDRESS=127.0.0.1:0,127.0.0.2:0",
        "WEB_TELEMETRY_PATH=/variable",
        "WEB_DISABLE_EXPORTER_METRICS=yes",
        "WEB_SYSTEMD_SOCKET=0",
        "WEB_MAX_REQUESTS=1",
        "OWN_PATH=/own",
        &config,
    ];
    run_alone("web_args::child_with_variables", "good", &variables);

    for variable in [
        "WEB_LISTEN_ADDRESS=9184",
        "WEB_TELEMETRY_PATH=metrics",
        "WEB_DISABLE_EXPORTER_METRICS=perhaps",
        "WEB_SYSTEMD_SOCKET=perhaps",
        "WEB_MAX_REQUESTS=many",
    ] {
        let output = run_alone("web_args::child_with_variables", "bad", &["env", variable]);
        let name = variable.split('=').next().unwrap();
        let flag = FLAGS.iter().find(|flag| flag.to_uppercase().replace(['-', '.'], "_").ends_with(name));
        let flag = flag.unwrap_or_else(|| panic!("{variable} belongs to no flag"));
        assert!(output.contains("invalid value") && output.contains(flag), "{variable}: {output}");
    }
}

/// Runs in a child process, because the environment belongs to the process.
#[test]
#[ignore = "run by another test"]
fn child_with_variables() {
    #[derive(Debug, Parser)]
    #[command(mut_arg("web.telemetry-path", |arg| arg.env("OWN_PATH")))]
    struct Renamed {
        #[command(flatten)]
        web: WebArgs,
    }
    let mode = std::env::var("PROMETHEUS_HYPER_TEST_CHILD").unwrap_or_default();
    match mode.as_str() {
        "good" => {
            let (guard, addr) = start(empty().web_args(&parse(&[])));
            assert_eq!(guard.local_addrs().len(), 2);
            let body = get(addr, "/variable").body;
            assert!(body.lines().all(|line| line.starts_with('#')), "{body}");
            // The command line overrides the environment.
            let (_guard, addr) = start(empty().web_args(&parse(&["--web.telemetry-path=/flag"])));
            assert_eq!(get(addr, "/flag").status, 200);

            let renamed = Renamed::try_parse_from(["exporter"]).unwrap();
            let (_guard, addr) = start(empty().web_args(&renamed.web));
            assert_eq!(get(addr, "/own").status, 200);
        }
        "bad" => print!("{}", Cli::try_parse_from(["exporter"]).unwrap_err()),
        _ => {}
    }
}
