//! Tests that clients cannot write to the host program's log.

use prometheus_hyper::collector::{exposition, try_from_fn};
use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{ProbeRequest, Server};

use crate::support::client::{Client, get};
use crate::support::log::{Log, logged, logged_to};

#[test]
fn client_faults_log_one_debug_line_each_at_most() {
    let faulty = [
        // The sent bytes, and whether they are a connection error. A request that gets a response logs
        // nothing.
        (
            "GET /a%0aERROR HTTP/1.1\r\nHost: x\r\nUser-Agent: a\tERROR forged\r\nConnection: close\r\n\r\n",
            false,
        ),
        ("\x16\x03\x01\r\nERROR forged\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: ERROR forged\r\n\r\n", false),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
        ("GET /metr", true),
    ];
    let silent = 20;
    let log = logged(Server::builder().registry(&Registry::new()).max_connections(2), |addr| {
        for (sent, _) in faulty {
            let mut client = Client::connect(addr);
            client.send(sent);
            client.half_close();
            client.closed();
        }
        let _silent: Vec<Client> = (0..silent).map(|_| Client::connect(addr)).collect();
        assert_eq!(get(addr, "/-/healthy").status, 200);
    });
    assert!(!log.contains("forged"), "{log}");
    // Of all crates: a forged line has no level of its own.
    let is_below_info = |line: &&str| [" TRACE ", " DEBUG "].iter().any(|level| line.contains(level));
    let (below_info, above): (Vec<&str>, Vec<&str>) = log.lines().partition(is_below_info);
    assert_eq!(above.len(), 1, "only the line of the start: {log}");
    assert!(above[0].contains("serving metrics"), "{log}");

    let ours: Vec<&str> = below_info.into_iter().filter(|line| line.contains("prometheus_hyper")).collect();
    let (errors, others): (Vec<&str>, Vec<&str>) =
        ours.into_iter().partition(|line| line.contains("connection ended with an error"));
    assert_eq!(errors.len(), faulty.iter().filter(|(_, is_error)| *is_error).count(), "{log}");
    assert!(others.iter().all(|line| line.contains("connection limit reached")), "{log}");
    // The connections except two open ones and the served one. A connection that has just ended may still
    // count.
    assert!((silent - 1..=silent + 1).contains(&others.len()), "{} lines: {log}", others.len());
}

/// The text may quote the target, which the client has named, or names that the target sent.
#[test]
fn probes_log_foreign_text_at_debug_only() {
    let probe = |probe: ProbeRequest| async move {
        let target = probe.target()?.to_owned();
        let registry = Registry::new();
        registry.register(match probe.param("module").unwrap_or_default() {
            "panics" => panic!("no address in {target}"),
            "panics in collect" => Box::new(try_from_fn(move |_| panic!("no {target}"))),
            _ => Box::new(exposition(move |text| {
                text.push_str(&format!("# TYPE \"{target}.a\" gauge\n{{\"{target}.a\"}} 1\n"));
                text.push_str(&format!("# TYPE \"{target}/a\" gauge\n{{\"{target}/a\"}} 2\n"));
                Ok(())
            })),
        })?;
        Ok(registry)
    };
    let log = Log::default();
    log.follow_threads("prometheus-hyper-probe");
    logged_to(&log, Server::builder().registry(&Registry::new()).probe("/probe", probe), |addr| {
        for module in ["panics", "panics+in+collect", "skips"] {
            assert_eq!(get(addr, &format!("/probe?module={module}&target=forged")).status, 200, "{module}");
        }
    });
    let sentences = [
        "prober: probe panicked",
        "collector of a probe panicked",
        "probe: family name used twice: 1 skipped",
    ];
    for sentence in sentences {
        let lines = log.lines_with(sentence);
        let (quoting, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains("forged"));
        assert!(quoting.len() == 1 && quoting[0].contains(" DEBUG "), "{sentence}: {}", log.text());
        assert!(others.iter().any(|line| line.contains("at debug")), "{sentence}: {}", log.text());
    }
}
