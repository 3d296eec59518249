//! Tests expositions of other metrics libraries, as a server serves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_hyper::Server;
use prometheus_hyper::collector::exposition;
use prometheus_hyper::prometheus::{IntCounter, Registry};

use crate::support::client::{ask, get};
use crate::support::log::logged;
use crate::support::server::start;

const SKIPPED: &str = "prometheus_exporter_errors_total{cause=\"skipped\"}";

/// Returns a registry with a collector that writes this text.
fn writing(text: &'static str) -> Registry {
    let registry = Registry::new();
    let write = move |to: &mut String| {
        to.push_str(text);
        Ok(())
    };
    registry.register(Box::new(exposition(write))).unwrap();
    registry
}

#[test]
fn one_port_serves_expositions_of_several_libraries() {
    let registry =
        writing("# TYPE peers gauge\npeers 3\n# TYPE messages counter\nmessages_total 17\n# EOF\n");
    let other = |to: &mut String| {
        to.push_str("# TYPE requests counter\nrequests{path=\"/\"} 5\n");
        Ok(())
    };
    registry.register(Box::new(exposition(other))).unwrap();
    let own = IntCounter::new("own_total", "help").unwrap();
    registry.register(Box::new(own)).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).openmetrics(true).self_metrics(false));

    let answer = get(addr, "/metrics");
    let page = "\
        # TYPE messages_total counter\n\
        messages_total 17\n\
        # HELP own_total help\n\
        # TYPE own_total counter\n\
        own_total 0\n\
        # TYPE peers gauge\n\
        peers 3\n\
        # TYPE requests counter\n\
        requests{path=\"/\"} 5\n";
    assert_eq!(answer.body, page);
    assert_eq!(get(addr, "/metrics?name[]=peers").body, "# TYPE peers gauge\npeers 3\n");
    let openmetrics = "Accept: application/openmetrics-text\r\n";
    let answer = ask(addr, "/metrics?name[]=messages_total", openmetrics).answer(false);
    assert_eq!(answer.body, "# TYPE messages counter\nmessages_total 17\n# EOF\n");
}

#[test]
fn bad_line_is_counted_in_each_scrape_and_logged_once() {
    let registry = writing("# TYPE good gauge\ngood 1\nbad one\nworse\n");
    let log = logged(Server::builder().registry(&registry), |addr| {
        for scrape in 1..=3 {
            let answer = get(addr, "/metrics");
            assert!(answer.body.starts_with("# TYPE good gauge\ngood 1\n# HELP"), "{}", answer.body);
            assert_eq!(answer.sample(SKIPPED), Some(2.0 * f64::from(scrape)), "{}", answer.body);
        }
    });
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("skipped lines of an exposition")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("line=3") && lines[0].contains("value is not a number"), "{lines:?}");
}

#[test]
fn failing_exposition_is_skipped_in_its_scrape() {
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&scrapes);
    let write = move |to: &mut String| {
        to.push_str("a 1\n");
        if counted.fetch_add(1, Ordering::Relaxed) == 1 { Err("out of order".into()) } else { Ok(()) }
    };
    let registry = writing("b 2\n");
    registry.register(Box::new(exposition(write))).unwrap();
    let log = logged(Server::builder().registry(&registry), |addr| {
        for (is_there, errors) in [(true, 0.0), (false, 1.0), (true, 1.0)] {
            let answer = get(addr, "/metrics");
            assert_eq!(answer.sample("a"), is_there.then_some(1.0), "{}", answer.body);
            assert_eq!(answer.sample("b"), Some(2.0), "{}", answer.body);
            assert_eq!(answer.sample(SKIPPED), Some(errors), "{}", answer.body);
        }
    });
    let lines = log.lines().filter(|line| line.contains("out of order"));
    assert_eq!(lines.count(), 1, "{log}");
}

/// Regression: the log had the full names, and all of those with two types.
#[test]
fn log_shows_the_beginning_of_long_names_and_of_many() {
    let texts = ["gauge", "counter"].map(|kind| {
        let repeated = format!("{} 1\n", "a".repeat(10_000)).repeat(2);
        let families = (0..1000).map(|n| format!("# TYPE b{n} {kind}\nb{n} 1\n"));
        format!("# TYPE {} {kind}\n{repeated}{}", "a".repeat(10_000), families.collect::<String>())
    });
    let [gauges, counters] = texts.map(|text| writing(text.leak()));
    let log = logged(Server::builder().registry(&gauges).registry(&counters), |addr| {
        assert_eq!(get(addr, "/metrics").sample("b999"), Some(1.0));
    });
    for word in ["series repeated", "different types"] {
        let line = log.lines().find(|line| line.contains(word)).unwrap();
        assert!(line.contains("aaaa") && line.len() < 1000, "{word}: {} bytes", line.len());
    }
    assert!(log.contains("count=1001"), "{log}");
}

#[test]
fn exposition_is_read_as_openmetrics_if_selected() {
    let registry = Registry::new();
    let write = |to: &mut String| {
        to.push_str("# TYPE a gauge\na 1 2.5\n");
        Ok(())
    };
    registry.register(Box::new(exposition(write).openmetrics())).unwrap();
    let (_guard, addr) = start(Server::builder().registry(&registry).self_metrics(false));
    assert_eq!(get(addr, "/metrics").body, "# TYPE a gauge\na 1 2500\n");
}

#[test]
fn clone_of_a_collector_is_the_same_collector() {
    let write: fn(&mut String) -> Result<(), prometheus_hyper::BoxError> = |_| Ok(());
    let (one, other) = (exposition(write), exposition(write));
    let registry = Registry::new();
    registry.register(Box::new(one.clone())).unwrap();
    registry.register(Box::new(other)).unwrap();
    assert!(registry.register(Box::new(one.clone())).is_err());
    registry.unregister(Box::new(one)).unwrap();
}
