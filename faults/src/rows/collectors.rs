//! Collectors that hang, panic and register; many scrapers at the same time.

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::watch::{Over, Watch, most_memory};
use super::{Bench, Outcome, Row, check, ms};
use crate::client::{Connection, GET, Response, scrape};
use crate::driver::HostProgram;
use testing::usage::mib;

pub const ROWS: &[Row] = &[
    Row {
        name: "blocks-current",
        proves: "the server has threads of its own and a deadline, and uses no blocking pool of the host program",
        unprotected: Some("naive"),
        run: |bench| hangs(bench, "block", &["current"]),
    },
    Row {
        name: "blocks-multi",
        proves: "the same",
        unprotected: Some("naive"),
        run: |bench| hangs(bench, "block", &["multi"]),
    },
    Row {
        name: "blocks-serve",
        proves: "the same with `serve`, polled on the host program's current-thread runtime",
        unprotected: Some("naive"),
        run: |bench| hangs(bench, "block", &["current", "serve"]),
    },
    Row {
        name: "blocks-at-last",
        proves: "the other thread takes over the I/O if a collector hangs after a hundred fast gathers",
        unprotected: Some("naive"),
        run: |bench| hangs_after(100, bench, "block", &["current"]),
    },
    Row {
        name: "registers-current",
        proves: "the same, with a registry's lock that is never released",
        unprotected: Some("naive"),
        run: |bench| hangs(bench, "register", &["current"]),
    },
    Row {
        name: "registers-multi",
        proves: "the same",
        unprotected: Some("naive"),
        run: |bench| hangs(bench, "register", &["multi"]),
    },
    Row {
        name: "takes-2-s-current",
        proves: "a slow collector delays only its own scrape",
        unprotected: Some("naive"),
        run: |bench| is_slow(bench, &["current", "serve"]),
    },
    Row {
        name: "takes-2-s-multi",
        proves: "the same; naive passes too, because a worker thread is free",
        unprotected: None,
        run: |bench| is_slow(bench, &["multi", "serve"]),
    },
    Row {
        name: "panics",
        proves: "a panic is caught, and the body does not contain its message",
        unprotected: Some("naive"),
        run: panics,
    },
    Row {
        name: "rubbish",
        proves: "samples that no format can express are skipped",
        unprotected: Some("naive"),
        run: rubbish,
    },
    Row {
        name: "scrapers-100",
        proves: "concurrent scrapes share gathers and bodies",
        unprotected: Some("naive"),
        run: |bench| hundred(bench, &["current"]),
    },
    Row {
        name: "scrapers-100-serve",
        proves: "the same with `serve`, polled on the host program's current-thread runtime",
        unprotected: Some("naive"),
        run: |bench| hundred(bench, &["current", "serve"]),
    },
];

const SECOND: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_millis(20);

/// Sends Prometheus' header with a timeout of two seconds. The deadline is half a second less.
fn ask_for_two_seconds(host: &HostProgram) -> Result<Response, String> {
    let request = GET.replace("\r\n\r\n", "\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n");
    let answer =
        Connection::open(host.addr, SECOND).and_then(|mut it| it.ask(request.as_bytes(), 4 * SECOND));
    answer.map_err(|error| format!("scrape: {error}"))
}

fn is_healthy(host: &HostProgram) -> Result<(), String> {
    let health = Connection::open(host.addr, SECOND)
        .and_then(|mut it| it.ask(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", SECOND))
        .map_err(|error| format!("health: {error}"))?;
    check(health.status == 200, || format!("health: {}", health.status))
}

fn hangs(bench: &Bench, order: &str, options: &[&str]) -> Outcome {
    hangs_after(0, bench, order, options)
}

/// Hangs after that many fast scrapes, on which the server bases its expectation. So it hangs on the thread
/// that does the I/O.
fn hangs_after(scrapes: usize, bench: &Bench, order: &str, options: &[&str]) -> Outcome {
    let mut host = bench.host(options)?;
    for _ in 0..scrapes {
        scrape(host.addr, SECOND).map_err(|error| error.to_string())?;
    }
    // The server answers, so its threads have started.
    is_healthy(&host)?;
    let before = host.usage()?.threads;
    host.tell(order)?;
    let watch = Watch::begin(&mut host)?;
    let mut slowest = Duration::ZERO;
    for n in 0..3 {
        let answer = ask_for_two_seconds(&host)?;
        check(answer.status == 503, || format!("scrape {n}: status {}", answer.status))?;
        // The first one may wait for the other thread, which takes over within two seconds.
        let limit = if n == 0 && scrapes > 0 { 3 * SECOND } else { 2 * SECOND };
        check(answer.took < limit, || format!("scrape {n}: too late, after {:?}", answer.took))?;
        slowest = slowest.max(answer.took);
    }
    is_healthy(&host)?;
    let seen = watch.end(&mut host)?;
    seen.host_is_well(LAG)?;
    let threads = seen.after.threads - before;
    check(threads == 0, || format!("{threads} additional threads"))?;
    let exit = host.exit(SECOND)?;
    Ok(format!(
        "three times 503, the slowest after {} of 2 s; no additional thread; the process exits in {}; {}",
        ms(slowest),
        ms(exit),
        seen.figures()
    ))
}

fn is_slow(bench: &Bench, options: &[&str]) -> Outcome {
    let mut host = bench.host(options)?;
    host.tell("sleep 2")?;
    let watch = Watch::begin(&mut host)?;
    let answer = scrape(host.addr, 5 * SECOND).map_err(|error| error.to_string())?;
    check(answer.status == 200, || format!("status {}", answer.status))?;
    let seen = watch.end(&mut host)?;
    seen.host_is_well(LAG)?;
    Ok(format!("200 after {}; {}", ms(answer.took), seen.figures()))
}

fn panics(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    let watch = Watch::begin(&mut host)?;
    let mut statuses = Vec::new();
    for order in ["panic once", "panic always"] {
        host.tell(order)?;
        for _ in 0..2 {
            let answer = scrape(host.addr, SECOND).map_err(|error| format!("{order}: {error}"))?;
            check(!answer.text().contains("told to"), || {
                "the body contains the message of the panic".to_owned()
            })?;
            statuses.push(answer.status);
        }
    }
    // The registry's lock is poisoned now, and still works.
    host.tell("calm")?;
    statuses.push(scrape(host.addr, SECOND).map_err(|error| error.to_string())?.status);
    let seen = watch.end(&mut host)?;
    seen.log_is_short()?;
    check(statuses == [500, 200, 500, 500, 200], || format!("{statuses:?}"))?;
    Ok(format!("one panic, then panics, then none: {statuses:?}; {}", seen.figures()))
}

fn rubbish(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    host.tell("rubbish")?;
    let first = scrape(host.addr, SECOND).map_err(|error| error.to_string())?;
    check(first.status == 200, || format!("status {}", first.status))?;
    let lines = host.report()?.log_lines;
    // One line that it serves, and one line for the first of each skip reason.
    check(lines == 3, || format!("{lines} log lines at the first scrape"))?;
    let watch = Watch::begin(&mut host)?;
    let mut text = String::new();
    for _ in 0..100 {
        let answer = scrape(host.addr, SECOND).map_err(|error| error.to_string())?;
        check(answer.status == 200, || format!("status {}", answer.status))?;
        text = answer.text();
    }
    let seen = watch.end(&mut host)?;
    // A repeated message is suppressed for a minute.
    check(seen.host.log_lines == 0, || format!("{} further log lines", seen.host.log_lines))?;
    check(text.contains("unruly_total{series=\"nan\"} NaN\n"), || "the valid sample is missing".to_owned())?;
    let checked = super::lifecycle::promtool_checks(&text)?;
    let same = text.matches("unruly_total{series=\"same\\n\\\"\\\\\"}").count();
    check(same == 1, || format!("a series appears {same} times"))?;
    Ok(format!(
        "200, {} bytes, {checked}; {lines} log lines at the first scrape; 100 scrapes: {}",
        text.len(),
        seen.figures()
    ))
}

/// A hundred scrapes at once, on open connections.
fn hundred(bench: &Bench, options: &[&str]) -> Outcome {
    let mut host = bench.host(options)?;
    host.tell("body 4")?;
    let mut body = 0;
    for _ in 0..5 {
        body = scrape(host.addr, 4 * SECOND).map_err(|error| error.to_string())?.body.len() as u64;
    }
    let connections: Result<Vec<_>, _> = (0..100).map(|_| Connection::open(host.addr, SECOND)).collect();
    let connections = connections.map_err(|error| error.to_string())?;
    let watch = Watch::begin(&mut host)?;
    let (over, pid) = (AtomicBool::new(false), host.pid);
    let start = Instant::now();
    // One thread sends all requests, because a hundred threads do not wake at once.
    for connection in &connections {
        connection.stream().write_all(GET.as_bytes()).map_err(|error| error.to_string())?;
    }
    let (answers, most) = thread::scope(|scope| {
        let most = scope.spawn(|| most_memory(&over, pid));
        let ends = Over(&over);
        let ask = |mut connection: Connection| {
            // Small stacks, because there are a hundred.
            let thread = thread::Builder::new().stack_size(256 * 1024);
            thread.spawn_scoped(scope, move || connection.ask(b"", 20 * SECOND))
        };
        let threads: Vec<_> = connections.into_iter().map(ask).collect();
        let mut answers = Vec::new();
        for thread in threads {
            let thread = thread.map_err(|error| error.to_string())?;
            let answer = thread.join().map_err(|_| "panicked".to_owned())?;
            answers.push(answer.map_err(|error| error.to_string())?);
        }
        drop(ends);
        Ok::<_, String>((answers, most.join().map_err(|_| "panicked".to_owned())?))
    })?;
    let took = start.elapsed();
    let seen = watch.end(&mut host)?;
    check(answers.iter().all(|answer| answer.status == 200), || "not all statuses are 200".to_owned())?;
    let gathers = seen.host.gathers;
    check(gathers <= 2, || format!("{gathers} gathers"))?;
    let allowed = seen.before.memory + 2 * body;
    check(most < allowed, || {
        format!("memory {:.1} MiB, before {:.1}, body {:.1}", mib(most), mib(seen.before.memory), mib(body))
    })?;
    seen.host_is_well(Duration::from_millis(50))?;
    Ok(format!(
        "{gathers} gathers; all 200 in {}; memory {:.1} → {:.1} MiB at most (a body is {:.1}); {}",
        ms(took),
        mib(seen.before.memory),
        mib(most),
        mib(body),
        seen.figures()
    ))
}
