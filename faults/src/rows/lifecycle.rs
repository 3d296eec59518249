//! Starts and stops, and leftovers of them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, Outcome, Row, check, ms};
use crate::client::{Connection, GET, scrape};
use crate::driver::number;
use testing::usage::{descriptors, mib};

pub const ROWS: &[Row] = &[
    Row {
        name: "drops",
        proves: "a drop never blocks and never panics; the naive server has no guard",
        unprotected: None,
        run: drops,
    },
    Row {
        name: "child",
        proves: "every socket has O_CLOEXEC; std and tokio set it, so it cannot be switched off",
        unprotected: None,
        run: child,
    },
    Row {
        name: "restarts-1000",
        proves: "a stopped server leaves nothing; a leaked thread, socket or registration would exist 1,000 times",
        unprotected: None,
        run: restarts,
    },
];

const SECOND: Duration = Duration::from_secs(1);

fn drops(bench: &Bench) -> Outcome {
    let mut slowest = (String::new(), 0);
    for options in [["current"], ["multi"]] {
        let mut host = bench.host(&options)?;
        let before = host.usage()?;
        let times = host.tell("drops")?;
        for (place, time) in times.as_object().ok_or("no times")? {
            let time = time.as_u64().unwrap_or(u64::MAX);
            check(time < 100_000, || format!("{place}: {time} µs"))?;
            if time > slowest.1 {
                slowest = (place.clone(), time);
            }
        }
        let left = || host.usage().map_or(u64::MAX, |usage| usage.threads + usage.descriptors);
        let before = before.threads + before.descriptors;
        super::wait_for(5 * SECOND, "the earlier numbers of threads and descriptors", || left() <= before)?;
    }
    Ok(format!("8 places in 2 host programs; the slowest drop {} µs, {}", slowest.1, slowest.0))
}

/// The descriptors that a child process of the host program inherits.
fn child(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    let open: Result<Vec<_>, _> = (0..10).map(|_| Connection::open(host.addr, SECOND)).collect();
    let mut open = open.map_err(|error| error.to_string())?;
    for connection in &mut open {
        connection.ask(GET.as_bytes(), SECOND).map_err(|error| error.to_string())?;
    }
    let child = host.tell("child")?;
    let own = descriptors(host.pid).ok_or("the host program has exited")?;
    let sockets = |open: &[String]| open.iter().filter(|what| what.starts_with("socket:")).count();
    check(sockets(&own) >= 11, || format!("{own:?}: no sockets to inherit"))?;
    let inherited = descriptors(number(&child, "child") as u32).ok_or("the child has exited")?;
    check(sockets(&inherited) == 0, || format!("{inherited:?}"))?;
    Ok(format!("a child inherits none of {} sockets: {inherited:?}", sockets(&own)))
}

/// Restarts on one port. Each start has a connection that the server closes, so TIME_WAIT is on its side.
fn restarts(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["multi"])?;
    let closing = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut marks = Vec::new();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for n in 0..=1000 {
        let ask = |connection: &mut Connection| connection.ask(closing.as_bytes(), SECOND);
        let answer = Connection::open(host.addr, SECOND).and_then(|mut connection| ask(&mut connection));
        answer.map_err(|error| format!("start {n}: {error}"))?;
        if n % 250 == 0 {
            marks.push(host.usage()?);
        }
        slowest = slowest.max(Duration::from_micros(number(&host.tell("stop")?, "us")));
        // Fails if the port is not free.
        host.tell("start").map_err(|error| format!("start {n}: {error}"))?;
    }
    scrape(host.addr, SECOND).map_err(|error| error.to_string())?;
    let (first, last) = (marks[1], marks[4]);
    check(last.threads <= first.threads, || format!("{} threads, then {}", first.threads, last.threads))?;
    check(last.descriptors <= first.descriptors + 1, || {
        format!("{} descriptors, then {}", first.descriptors, last.descriptors)
    })?;
    // 750 servers, each of which takes some hundred KiB.
    check(last.memory < first.memory + 1024 * 1024, || {
        format!("memory {:.2} MiB, then {:.2}", mib(first.memory), mib(last.memory))
    })?;
    Ok(format!(
        "{} a cycle, the slowest stop {}; after 250 and 1,000: {} and {} threads, {} and {} descriptors, {:.2} and {:.2} MiB",
        ms(start.elapsed() / 1001),
        ms(slowest),
        first.threads,
        last.threads,
        first.descriptors,
        last.descriptors,
        mib(first.memory),
        mib(last.memory)
    ))
}

/// Returns the warnings of Prometheus' linter, which must be able to parse the text.
pub fn promtool_checks(text: &str) -> Result<String, String> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut promtool = command.spawn().map_err(|error| format!("promtool: {error}"))?;
    promtool.stdin.take().ok_or("no stdin")?.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    let output = promtool.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // 3 is a lint, and 1 a text that it cannot parse.
    check(matches!(output.status.code(), Some(0 | 3)), || format!("promtool: {said}"))?;
    Ok("promtool parses it".to_owned())
}
