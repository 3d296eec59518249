//! Tests the output, the errors and the metrics of the examples, and the files that deploy them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::{Example, example, http_get};
use crate::support::Scratch;
use crate::support::client::get;
use testing::process::{poll, tool};

const FLAG: &str = "--web.listen-address=";

/// All examples, with the flag before the address.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("async_exporter", ""),
    ("axum", ""),
    ("batch_job", ""),
    ("child_processes", ""),
    ("clock", ""),
    ("cron", ""),
    ("disk_exporter", FLAG),
    ("hello", ""),
    ("hyper", ""),
    ("kubernetes", ""),
    ("metrics_facade", ""),
    ("opentelemetry", ""),
    ("page", ""),
    ("prometheus_client", ""),
    ("redis_exporter", FLAG),
    ("registry", ""),
    ("textfile", ""),
    ("two_versions", ""),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Returns a file of `deploy`.
fn deployed(name: &str) -> String {
    fs::read_to_string(folder().join("deploy").join(name)).unwrap()
}

#[test]
fn every_example_has_a_row_here_and_in_the_readme() {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, EXAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for name in names {
        assert!(readme.contains(&format!("[{name}.rs]({name}.rs)")), "{name} is not in examples/README.md");
    }
}

/// The examples that the files build or run.
#[test]
fn deployed_files_name_existing_examples() {
    for file in ["Dockerfile", "disk_exporter.service"] {
        let text = deployed(file);
        let (_, rest) =
            text.split_once("--features cli --example ").unwrap_or_else(|| panic!("{file}: {text}"));
        let name = rest.split_whitespace().next().unwrap();
        assert!(EXAMPLES.contains(&(name, FLAG)), "{file}: {name}");
        assert!(text.contains(&format!("/usr/local/bin/{name}")), "{file}: {name}");
    }
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn each_example_prints_its_error_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = Scratch::new("examples");
    for (name, flag) in EXAMPLES {
        let address = format!("{flag}{}", taken.local_addr().unwrap());
        let ended = scratch.run(Command::new(example(name)).arg(address), "");
        // `child_processes` also prints the log of its children.
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| !line.contains(" INFO ")).collect();
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended}");
        assert!(lines.len() == 1 && lines[0].starts_with("error: "), "{name}: {ended}");
        assert!(lines[0].contains("Address already in use"), "{name}: {ended}");
    }
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn hello_prints_the_url_of_its_page() {
    let mut hello = Example::start("hello");
    assert_eq!(hello.line(), format!("http://{}/", hello.addr));
    assert!(http_get(hello.addr, "/").unwrap().contains("<title>hello"), "its page");
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn kubernetes_example_is_unready_first_and_stops_last() {
    let mut example = Example::start_with("kubernetes", &["127.0.0.1:0", "127.0.0.1:0"]);
    let metrics = example.addr;
    assert_eq!(example.line(), format!("http://{metrics}/"));
    let app = example.line();
    let app: SocketAddr = app.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let becomes = |status: u16| {
        poll("readiness", || {
            let answer = get(metrics, "/-/ready");
            if answer.status == status { Ok(()) } else { Err(answer.body) }
        });
    };
    becomes(200);

    assert_eq!(get(app, "/hello/you").body, "Hello, you.\n");
    assert_eq!((get(app, "/nowhere").status, get(app, "/live").status), (404, 200));
    let answer = get(metrics, "/metrics?name[]=http_request_duration_seconds");
    let counts = answer.body.lines().filter(|line| line.starts_with("http_request_duration_seconds_count"));
    let expected = [
        "http_request_duration_seconds_count{code=\"200\",route=\"/hello/{name}\"} 1",
        "http_request_duration_seconds_count{code=\"200\",route=\"/live\"} 1",
    ];
    assert_eq!(counts.collect::<Vec<_>>(), expected, "one series for each route, and none for unknown paths");

    let kill = format!("kill -s TERM {}", example.process.0.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    becomes(503);
    assert_eq!(get(app, "/live").status, 200, "the app still serves while Kubernetes removes it");
    let status = poll("the exit of the example", || {
        example.process.0.try_wait().unwrap().ok_or_else(|| "it still runs".to_owned())
    });
    assert_eq!(status.code(), Some(0));
}

/// Serves one request as nginx does, with this status and body.
fn nginx(listener: &TcpListener, status: &str, body: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = [0; 1024];
    let length = stream.read(&mut request).unwrap();
    assert!(request[..length].starts_with(b"GET /stub_status HTTP/1.0\r\nHost: 127.0.0.1:"), "{request:?}");
    write!(stream, "HTTP/1.1 {status}\r\nServer: nginx\r\n\r\n{body}").unwrap();
}

#[test]
#[ignore = "needs the examples: .ci/run programs"]
fn async_exporter_serves_only_values_of_its_own_scrape() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let exporter = Example::start_with("async_exporter", &["127.0.0.1:0", &target]);
    let counts = "Active connections: 2 \nserver accepts handled requests\n 7 6 19 \n\
                  Reading: 0 Writing: 1 Waiting: 1 \n";
    let all: &[&str] = &[
        "nginx_connections_accepted_total 7",
        "nginx_connections_active 2",
        "nginx_connections_handled_total 6",
        "nginx_connections{state=\"reading\"} 0",
        "nginx_connections{state=\"waiting\"} 1",
        "nginx_connections{state=\"writing\"} 1",
        "nginx_http_requests_total 19",
        "nginx_up 1",
    ];
    let none: &[&str] = &["nginx_up 0"];
    let table = [
        ("200 OK", counts, all),
        ("404 Not Found", counts, none),
        ("200 OK", "?", none),
        ("200 OK", counts, all),
    ];
    for row @ (status, body, expected) in table {
        let served = thread::scope(|scope| {
            scope.spawn(|| nginx(&listener, status, body));
            http_get(exporter.addr, "/metrics").unwrap()
        });
        let mut lines: Vec<&str> = served.lines().filter(|line| line.starts_with("nginx_")).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{row:?}");
    }
    drop(listener);
    assert!(http_get(exporter.addr, "/metrics").unwrap().contains("\nnginx_up 0\n"), "nginx has stopped");
}

#[test]
#[ignore = "needs promtool: .ci/run programs"]
fn promtool_accepts_the_deployed_configuration() {
    let scratch = Scratch::new("deploy");
    let path = scratch.write("prometheus.yml", deployed("prometheus.yml"));
    let ended =
        scratch.run(Command::new(tool("PROMTOOL", "promtool")).args(["check", "config"]).arg(path), "");
    assert!(ended.status.success(), "{ended}");
}

#[test]
#[ignore = "needs the examples of feature cli: .ci/run programs"]
fn disk_exporter_serves_the_socket_of_its_unit() {
    let unit = deployed("disk_exporter.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let (program, flags) = command.split_once(' ').unwrap();
    assert_eq!(program, "/usr/local/bin/disk_exporter");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let inherited = socket2::Socket::from(listener.try_clone().unwrap());
    inherited.set_cloexec(false).unwrap();
    // systemd passes the socket as descriptor 3. The script copies it by way of another number, because the
    // source may be 3 itself.
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1; exec {{tcp}}<&{}; exec \"$0\" {flags} 3<&$tcp",
        inherited.as_raw_fd(),
    );
    let mut bash = Command::new("bash");
    let exporter =
        Example::start_by("disk_exporter", bash.args(["-c", &script]).arg(example("disk_exporter")));
    assert_eq!(exporter.addr, listener.local_addr().unwrap());
    assert!(http_get(exporter.addr, "/metrics").unwrap().contains("\ndisk_up "));
}
