//! Tests the replacement of certificates under load.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use prometheus_hyper::rustls::ClientConfig;
use prometheus_hyper::rustls::pki_types::CertificateDer;

use super::certificates::{Authority, Pair, scrape};
use super::start;
use crate::support::Scratch;
use testing::process::poll;

/// The number of threads that scrape continuously, each scrape on a separate connection.
const CLIENTS: usize = 3;

/// The certificates that a client has seen, by their index, each with its number of responses.
type Seen = Vec<(usize, u32)>;

/// Returns `reload_success` and `expiry_timestamp_seconds` of a scrape.
fn gauges(body: &str) -> [Option<f64>; 2] {
    ["reload_success", "expiry_timestamp_seconds"].map(|name| {
        let name = format!("prometheus_exporter_tls_certificate_{name} ");
        body.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    })
}

/// Replaces a file by a rename, so that no reader sees half of it.
fn put(scratch: &Scratch, name: &str, text: &str) {
    fs::write(scratch.path("new"), text).unwrap();
    fs::rename(scratch.path("new"), scratch.path(name)).unwrap();
}

/// Makes `current` a link to a folder with certificate and key, as Kubernetes does: both in one step.
fn put_both(scratch: &Scratch, folder: &str, pair: &Pair) {
    fs::create_dir(scratch.path(folder)).unwrap();
    fs::write(scratch.path(folder).join("tls.crt"), &pair.certificate).unwrap();
    fs::write(scratch.path(folder).join("tls.key"), &pair.key).unwrap();
    symlink(folder, scratch.path("new-link")).unwrap();
    fs::rename(scratch.path("new-link"), scratch.path("current")).unwrap();
}

/// Scrapes until `stop` is set.
fn load(
    config: &Arc<ClientConfig>,
    addr: SocketAddr,
    row: &[CertificateDer<'static>],
    stop: &AtomicBool,
) -> Result<Seen, String> {
    let mut seen: Seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (_, shown) = scrape(config, addr).map_err(|error| format!("after {seen:?}: {error}"))?;
        let index = row.iter().position(|certificate| *certificate == shown);
        let index = index.ok_or_else(|| format!("after {seen:?}: an unknown certificate"))?;
        match seen.last_mut() {
            Some((last, count)) if *last == index => *count += 1,
            _ => seen.push((index, 1)),
        }
    }
    Ok(seen)
}

/// Stops the load, even if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
#[ignore = "takes a quarter of a minute: .ci/run programs"]
fn certificate_replacement_under_load_loses_no_scrape() {
    let scratch = Scratch::new("interop");
    let ours = Authority::new("ours");
    // Each ends in another year, so the gauge distinguishes them.
    let pairs: Vec<Pair> = (2040..2047).map(|year| ours.issue_until(year, &["localhost"])).collect();
    let row: Vec<CertificateDer<'static>> = pairs.iter().map(|pair| pair.der().0).collect();
    put_both(&scratch, "0", &pairs[0]);
    let (current, config) = (scratch.path("current"), ours.client());
    let (_guard, addr) = start(|builder| builder.tls_files(current.join("tls.crt"), current.join("tls.key")));

    // Waits until the gauges and the handshake show this certificate.
    let wait_for = |what: &str, success: f64, index: usize| {
        let expected = [Some(success), Some(pairs[index].not_after as f64)];
        poll(what, || {
            let (body, shown) = scrape(&config, addr).map_err(|error| error.to_string())?;
            let (gauges, shown) = (gauges(&body), row.iter().position(|certificate| *certificate == shown));
            if gauges == expected && shown == Some(index) {
                Ok(())
            } else {
                Err(format!("gauges {gauges:?}, expected {expected:?}; shown {shown:?}, expected {index}"))
            }
        });
    };
    wait_for("the first certificate", 1.0, 0);
    let stop = AtomicBool::new(false);
    let seen: Vec<Result<Seen, String>> = thread::scope(|scope| {
        let (config, row, stop) = (&config, &row, &stop);
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(move || load(config, addr, row, stop))).collect();
        {
            let _stop = Stop(stop);
            for (index, pair) in (1..).zip(&pairs[1..3]) {
                put_both(&scratch, &index.to_string(), pair);
                wait_for("certificate and key in one step", 1.0, index);
            }
            // One file after the other. The pair does not match in between, and the test waits until the
            // server reports it.
            for (index, [first, second]) in (3..).zip([["crt", "key"], ["key", "crt"]]) {
                for (part, success, force) in [(first, 0.0, index - 1), (second, 1.0, index)] {
                    let Pair { certificate, key, .. } = &pairs[index];
                    put(
                        &scratch,
                        &format!("current/tls.{part}"),
                        if part == "crt" { certificate } else { key },
                    );
                    wait_for(&format!("{first}, then {second}: {part}"), success, force);
                }
            }
            // One file directly after the other, as certbot does.
            for (index, pair) in (5..).zip(&pairs[5..]) {
                put(&scratch, "current/tls.key", &pair.key);
                put(&scratch, "current/tls.crt", &pair.certificate);
                wait_for("one file after the other", 1.0, index);
            }
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    println!("{seen:?}");
    for seen in seen {
        let seen = seen.unwrap();
        // Each certificate appears in order, and none returns.
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
        assert_eq!((seen[0].0, seen[seen.len() - 1].0 + 1), (0, pairs.len()), "{seen:?}");
        let scrapes: u32 = seen.iter().map(|(_, count)| count).sum();
        assert!(scrapes >= 100, "too little load: {seen:?}");
    }
    // The server has counted no errors.
    let (body, _) = scrape(&config, addr).unwrap();
    for cause in ["handshake", "connection", "evicted", "timeout"] {
        let errors = format!("prometheus_exporter_errors_total{{cause=\"{cause}\"}} ");
        let errors = body.lines().find_map(|line| line.strip_prefix(&errors));
        assert_eq!(errors, Some("0"), "{cause}: {body}");
    }
}
