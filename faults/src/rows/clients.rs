//! Clients who may scrape, and what one of them can do to the others. None of it can be switched off, so that no row here has a
//! host program without its protection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::watch::{Over, Watch};
use super::{Bench, Outcome, Row, check, ms, wait_for};
use crate::client::{Answer, Connection};
use crate::driver::HostProgram;

pub const ROWS: &[Row] = &[
    Row {
        name: "impatient-beside-hook",
        proves: "hooks have the time of those who wait now; whose timeout is 0.1 s takes it from nobody, nor logs",
        unprotected: None,
        run: |bench| beside(bench, &["current", "hook=0.2"], "calm", &["0.1"], ("10", 15), Some(1.0)),
    },
    Row {
        name: "endless-beside-hook",
        proves: "a hook that hangs has half of the default timeout, also if a client waits for 120 s",
        unprotected: None,
        run: |bench| beside(bench, &["current", "hook=1000"], "calm", &["120"], ("10", 3), Some(0.0)),
    },
    Row {
        name: "impatient-beside-collector",
        proves: "a gather is for all who joined it, also if the one for whom it began is gone",
        unprotected: None,
        run: |bench| beside(bench, &["current"], "sleep 3", &["0.1"], ("5", 5), None),
    },
    Row {
        name: "selections-120",
        proves: "one flight gathers what all of its scrapes want",
        unprotected: None,
        run: |bench| beside(bench, &["current", "registries=8"], "calm", &["10"; 120], ("10", 4), None),
    },
    Row { name: "hangs-log", proves: "one warning, and one line at the end", unprotected: None, run: hangs },
];

const SECOND: Duration = Duration::from_secs(1);

fn scrape(addr: SocketAddr, query: &str, timeout: &str) -> Result<Answer, String> {
    let request = format!(
        "GET /metrics{query} HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
    );
    let limit = Duration::from_secs_f64(timeout.parse().expect("seconds")) + 5 * SECOND;
    Connection::open(addr, SECOND)
        .and_then(|mut it| it.ask(request.as_bytes(), limit))
        .map_err(|error| error.to_string())
}

/// Scrapes as Prometheus does, with a timeout and so many times, while others scrape over and over with their own.
fn beside(
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
        // They are at it.
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
    let figures = format!("{good} of {scrapes} scrapes good, the slowest {}; {lines} log lines", ms(slowest));
    // A hook that hangs is one line.
    check(good == scrapes && lines <= u64::from(hooked == Some(0.0)), || figures.clone())?;
    Ok(format!("{figures}; {}", seen.figures()))
}

/// The query for the registries that are the bits of this number.
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
    wait_for(5 * SECOND, "a line at the end", || two_lines(&mut host))?;
    Ok("503 four times and one line, then 200 and another".to_owned())
}
