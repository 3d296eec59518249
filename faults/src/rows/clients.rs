//! Clients that may scrape, and their effect on other clients. No protection here can be switched off, so no
//! row has a host program without one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::watch::{Over, Watch};
use super::{Bench, Outcome, Row, check, ms, wait_for};
use crate::client::{Connection, Response};
use crate::driver::HostProgram;

pub const ROWS: &[Row] = &[
    Row {
        name: "impatient-during-hook",
        proves: "hooks have the longest timeout of the waiting clients; a client with 0.1 s shortens no other timeout, and logs nothing",
        unprotected: None,
        run: |bench| {
            with_other_scrapes(bench, &["current", "hook=0.2"], "calm", &["0.1"], ("10", 15), Some(1.0))
        },
    },
    Row {
        name: "endless-during-hook",
        proves: "a hanging hook has half of the default timeout, even if a client waits for 120 s",
        unprotected: None,
        run: |bench| {
            with_other_scrapes(bench, &["current", "hook=1000"], "calm", &["120"], ("10", 3), Some(0.0))
        },
    },
    Row {
        name: "impatient-during-collector",
        proves: "a gather serves all scrapes that joined it, even if the first client has disconnected",
        unprotected: None,
        run: |bench| with_other_scrapes(bench, &["current"], "sleep 3", &["0.1"], ("5", 5), None),
    },
    Row {
        name: "selections-120",
        proves: "one flight gathers the selections of all its scrapes",
        unprotected: None,
        run: |bench| {
            with_other_scrapes(bench, &["current", "registries=8"], "calm", &["10"; 120], ("10", 4), None)
        },
    },
    Row {
        name: "hangs-log",
        proves: "a hang logs one warning, and one line at its end",
        unprotected: None,
        run: hangs,
    },
];

const SECOND: Duration = Duration::from_secs(1);

fn scrape(addr: SocketAddr, query: &str, timeout: &str) -> Result<Response, String> {
    let request = format!(
        "GET /metrics{query} HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
    );
    let limit = Duration::from_secs_f64(timeout.parse().expect("seconds")) + 5 * SECOND;
    Connection::open(addr, SECOND)
        .and_then(|mut it| it.ask(request.as_bytes(), limit))
        .map_err(|error| error.to_string())
}

/// Scrapes like Prometheus, with a timeout, that many times, while others scrape repeatedly with their own.
fn with_other_scrapes(
    bench: &Bench,
    options: &[&str],
    order: &str,
    others: &[&str],
    (timeout, scrapes): (&str, usize),
    hooked: Option<f64>,
) -> Outcome {
    let mut host = bench.host(options)?;
    host.tell(order)?;
    let (over, addr) = (AtomicBool::new(false), host.addr);
    let watch = Watch::begin(&mut host)?;
    let answers: Vec<_> = thread::scope(|scope| {
        let ends = Over(&over);
        for (n, timeout) in others.iter().enumerate() {
            let query = if others.len() > 1 { part(n + 1) } else { String::new() };
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let _ = scrape(addr, &query, timeout);
                }
            });
        }
        // The other clients have started.
        thread::sleep(SECOND / 2);
        let answers = (0..scrapes).map(|_| {
            thread::sleep(SECOND / 20);
            scrape(addr, "", timeout)
        });
        let answers = answers.collect();
        drop(ends);
        answers
    });
    let seen = watch.end(&mut host)?;
    let (mut good, mut slowest) = (0, Duration::ZERO);
    for answer in &answers {
        let answer = answer.as_ref().map_err(String::clone)?;
        let has = answer.text().lines().find_map(|line| line.strip_prefix("hooked ")?.parse().ok());
        good += usize::from(answer.status == 200 && has == hooked);
        slowest = slowest.max(answer.took);
    }
    let lines = seen.host.log_lines;
    let figures =
        format!("{good} of {scrapes} scrapes succeeded, the slowest in {}; {lines} log lines", ms(slowest));
    // A hanging hook is one line.
    check(good == scrapes && lines <= u64::from(hooked == Some(0.0)), || figures.clone())?;
    Ok(format!("{figures}; {}", seen.figures()))
}

/// The query for the registries whose bits are set in this number.
fn part(bits: usize) -> String {
    let chosen: Vec<String> =
        (0..8).filter(|n| bits >> n & 1 == 1).map(|n| format!("registry[]={n}")).collect();
    format!("?{}", chosen.join("&"))
}

fn hangs(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell("block")?;
    host.tell("reset")?;
    for (timeout, lines) in [("1", 0), ("10", 1), ("1", 1), ("1", 1)] {
        let answer = scrape(host.addr, "", timeout)?;
        check(answer.status == 503, || format!("status {}", answer.status))?;
        let seen = host.report()?.log_lines;
        check(seen == lines, || format!("{seen} log lines after a scrape of {timeout} s"))?;
    }
    host.tell("calm")?;
    let status = scrape(host.addr, "", "10")?.status;
    check(status == 200, || format!("status {status}"))?;
    let two_lines = |host: &mut HostProgram| host.report().is_ok_and(|report| report.log_lines == 2);
    wait_for(5 * SECOND, "a log line at the end of the hang", || two_lines(&mut host))?;
    Ok("four times 503 and one log line, then 200 and another line".to_owned())
}
