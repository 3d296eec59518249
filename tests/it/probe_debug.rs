//! Tests the response of a probe to `?debug=true`.

use prometheus_hyper::collector::{from_fn, try_from_fn};
use prometheus_hyper::prometheus::{Gauge, Registry};
use prometheus_hyper::{ProbeError, ProbeRequest, Server};

use crate::support::client::{Client, get};
use crate::support::collectors::Moody;
use crate::support::error::Caused;
use crate::support::log::logged;
use crate::support::server::{patient, something, start};

/// Behaves as the name of its target says.
async fn probe(probe: ProbeRequest) -> Result<Registry, ProbeError> {
    let registry = Registry::new();
    probe.log(format_args!("looking for {}", probe.target()?));
    match probe.target()? {
        "fails" => Err(Caused("no way", Some(&Caused("it is gone", None))))?,
        "panics" => panic!("expected panic of this test"),
        "panics in collect" => drop(Moody::register(&registry, "moody_total")),
        "skips" => registry.register(Box::new(from_fn(|s| {
            s.gauge("no name", "help", &[], 1.0);
        })))?,
        "fails in collect" => registry.register(Box::new(try_from_fn(|_| Err("gone again".into()))))?,
        "hangs" => std::future::pending().await,
        _ => registry.register(Box::new(Gauge::new("found", "help")?))?,
    }
    Ok(registry)
}

#[test]
fn debug_response_has_log_error_chain_and_metrics() {
    let builder = Server::builder().registry(&something()).openmetrics(true);
    let (_guard, addr) = start(builder.probe("/probe", probe).probe_debug(true));
    let ask = |query: &str, timeout: &str| {
        let mut client = Client::connect(addr);
        let timeout = format!("X-Prometheus-Scrape-Timeout-Seconds: {timeout}");
        let accepts = "Accept-Encoding: gzip\r\nAccept: application/openmetrics-text;version=1.0.0";
        client.send(format!("GET /probe?{query} HTTP/1.1\r\nHost: x\r\n{timeout}\r\n{accepts}\r\n\r\n"));
        client.answer(false)
    };
    let panic = "expected panic of this test";
    // The target, the scrape timeout, the expected lines, `probe_success`.
    let table = [
        ("is there", "60", vec!["outcome: success".to_owned()], 1.0),
        ("fails", "60", vec!["error: no way: it is gone".to_owned(), "outcome: failure".to_owned()], 0.0),
        ("panics", "60", vec![format!("panic: {panic}"), "outcome: panic".to_owned()], 0.0),
        (
            "panics in collect",
            "60",
            vec![format!("panic in a collector: {panic}"), "outcome: panic".to_owned()],
            0.0,
        ),
        (
            "skips",
            "60",
            vec![
                "skipped samples; the first is \"no name\": metric name does not match [a-zA-Z_:][a-zA-Z0-9_:]*"
                    .to_owned(),
                "outcome: success".to_owned(),
            ],
            1.0,
        ),
        (
            "fails in collect",
            "60",
            vec!["a collector failed: \"gone again\"".to_owned(), "outcome: success".to_owned()],
            1.0,
        ),
        ("hangs", "1", vec!["outcome: timeout".to_owned()], 0.0),
    ];
    for (target, timeout, mut lines, success) in table {
        let answer = ask(&format!("debug=true&target={}", target.replace(' ', "+")), timeout);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{target}: {answer:?}");
        let (log, metrics) = answer.body.split_once("Metrics that would have been returned:\n").unwrap();
        lines.insert(0, format!("looking for {target}"));
        // The lines after the heading, each without its timestamp.
        let logged: Vec<&str> =
            log.lines().skip(1).filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        assert_eq!(logged, lines, "{target}: {answer:?}");
        assert!(metrics.starts_with("# HELP "), "{target}: {answer:?}");
        assert_eq!(answer.sample("probe_success"), Some(success), "{target}: {answer:?}");
    }
    // A bad request returns only its message. Another value of `debug` is a parameter of the probe.
    let answer = ask("debug=true", "60");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (400, "parameter target is missing: use ?target=NAME\n")
    );
    let answer = ask("debug=1&target=x", "60");
    assert!(!answer.head.contains("charset=utf-8\r\n") || !answer.body.contains("looking for"), "{answer:?}");
}

#[test]
fn by_default_debug_is_a_parameter_of_the_probe() {
    let (_guard, addr) = start(patient(Server::builder().registry(&something())).probe("/probe", probe));
    let answer = get(addr, "/probe?target=fails&debug=true");
    assert!(answer.body.starts_with("# HELP probe_duration_seconds "), "{answer:?}");
    assert!(!answer.body.contains("it is gone"), "{answer:?}");
}

#[cfg(feature = "auth")]
#[test]
fn debug_requires_the_same_login_as_the_probe() {
    let builder = Server::builder().registry(&something()).bearer_token("secret").probe("/probe", probe);
    let (_guard, addr) = start(patient(builder).probe_debug(true));
    let answer = get(addr, "/probe?target=fails&debug=true");
    assert_eq!(answer.status, 401);
    assert!(!answer.body.contains("looking for"), "{answer:?}");
}

/// The log has these lines even without `debug=true`.
#[test]
fn probe_log_lines_are_escaped_and_logged_at_debug() {
    let builder = patient(Server::builder().registry(&something()).probe("/probe", probe));
    let log = logged(builder, |addr| {
        get(addr, "/probe?target=a%0aERROR+forged");
    });
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("forged")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(" DEBUG ") && lines[0].contains(r"looking for a\nERROR forged"), "{log}");
}
