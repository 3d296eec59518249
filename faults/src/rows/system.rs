//! An operating system that lacks a resource or returns errors.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::watch::{Over, Steady, Watch};
use super::{Bench, Outcome, Row, check, ms, output, wait_for};
use crate::client::scrape;
use crate::driver::HostProgram;
use testing::usage::Usage;

pub const ROWS: &[Row] = &[
    Row {
        name: "descriptors-64",
        proves: "the connection limit is a quarter of the descriptor limit",
        unprotected: Some("without=max_connections"),
        run: |bench| descriptors(bench, false),
    },
    Row {
        name: "descriptors-none",
        proves: "the server backs off and throttles its log if the host program has no descriptors left",
        unprotected: Some("naive"),
        run: |bench| descriptors(bench, true),
    },
    Row {
        name: "accept-ECONNABORTED",
        proves: "accept goes on after a client that gave up; naive passes, too",
        unprotected: None,
        run: |bench| accept_fails(bench, "ECONNABORTED"),
    },
    Row {
        name: "accept-EMFILE",
        proves: "accept goes on after a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "EMFILE"),
    },
    Row {
        name: "accept-ENOBUFS",
        proves: "accept goes on after a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "ENOBUFS"),
    },
    Row {
        name: "accept-EPERM",
        proves: "accept goes on after a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "EPERM"),
    },
    Row {
        name: "accept-EINVAL-for-ever",
        proves: "the server backs off for up to a second, logs one line a minute, and recovers",
        unprotected: Some("naive"),
        run: accept_never_works,
    },
    Row {
        name: "io-random",
        proves: "an I/O error ends only its connection; a server that ended would not answer the last scrape",
        unprotected: None,
        run: io_fails_at_random,
    },
];

const SOON: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_millis(20);

fn descriptors(bench: &Bench, hogged: bool) -> Outcome {
    let mut host = bench.host_in(&["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"], &["current"])?;
    scrape(host.addr, SOON).map_err(|error| error.to_string())?;
    if hogged {
        host.tell("hog")?;
    }
    let watch = Watch::begin(&mut host)?;
    let connect = |_| TcpStream::connect_timeout(&host.addr, SOON).map_err(|error| error.to_string());
    let idle: Vec<TcpStream> = (0..150).map(connect).collect::<Result<_, _>>()?;
    thread::sleep(Duration::from_secs(8));
    let held = host.usage()?.descriptors;
    drop(idle);
    let seen = watch.end(&mut host)?;
    if hogged {
        // Its own descriptors make its opens fail.
        check(held >= 64, || format!("{held} descriptors: there is no shortage"))?;
        seen.log_is_short()?;
        host.tell("release")?;
    } else {
        seen.host_is_well(LAG)?;
    }
    seen.does_not_spin(0.05)?;
    let next = scrape(host.addr, 3 * SOON).map_err(|error| format!("next scrape: {error}"))?;
    check(next.status == 200, || format!("next scrape: {}", next.status))?;
    Ok(format!(
        "{held} descriptors with 150 idle connections, {} opens failed; next scrape after {}; {}",
        seen.host.failed_opens,
        ms(next.took),
        seen.figures()
    ))
}

/// Detaches from the traced process when it is dropped.
struct Tracer {
    strace: Child,
    log: PathBuf,
}

impl Tracer {
    /// Makes `accept4` of the running host program fail.
    fn inject(host: &HostProgram, what: &str) -> Result<Self, String> {
        let inject = format!("inject=accept4:{what}");
        let pid = host.pid.to_string();
        let mut command = Command::new("strace");
        let log = std::env::temp_dir().join(format!("faults-strace-{pid}"));
        command.args(["-f", "-qq", "-e", "trace=accept4", "-e", &inject, "-p", &pid, "-o"]).arg(&log);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let strace = command.spawn().map_err(|error| format!("strace: {error}"))?;
        let tracer = Tracer { strace, log };
        wait_for(5 * SOON, "strace to attach to each thread", || all_are_traced(host.pid))?;
        Ok(tracer)
    }

    /// Returns the number of calls that it has made fail.
    fn injected(&self) -> usize {
        std::fs::read_to_string(&self.log).unwrap_or_default().matches("(INJECTED)").count()
    }
}

fn all_are_traced(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    })
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // SIGKILL would also kill a traced process that is stopped.
        let _ = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        let _ = self.strace.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Every second call fails.
fn accept_fails(bench: &Bench, error: &str) -> Outcome {
    let mut host = bench.host(&["current"])?;
    scrape(host.addr, SOON).map_err(|error| error.to_string())?;
    let tracer = Tracer::inject(&host, &format!("error={error}:when=1+2"))?;
    let watch = Watch::begin(&mut host)?;
    let (addr, over) = (host.addr, AtomicBool::new(false));
    let steady = thread::scope(|scope| {
        let steady = scope.spawn(|| Steady::scrape_until(&over, addr, 2 * SOON));
        let ends = Over(&over);
        thread::sleep(6 * SOON);
        drop(ends);
        steady.join().map_err(|_| "panicked".to_owned())
    })?;
    let seen = watch.end(&mut host)?;
    let (injected, errors) = (tracer.injected(), errors_of_accept(addr)?);
    drop(tracer);
    check(injected > 20, || format!("only {injected} calls failed, so the row proves nothing"))?;
    steady.is_well()?;
    seen.log_is_short()?;
    seen.does_not_spin(0.2)?;
    Ok(format!("{injected} calls failed, {errors} of them counted; {}; {}", steady.figures(), seen.figures()))
}

fn errors_of_accept(addr: SocketAddr) -> Result<u64, String> {
    let text = scrape(addr, 2 * SOON).map_err(|error| error.to_string())?.text();
    let row = |line: &str| {
        line.strip_prefix("prometheus_exporter_errors_total{cause=\"accept\"} ")?.trim().parse::<f64>().ok()
    };
    Ok(text.lines().find_map(row).unwrap_or_default() as u64)
}

fn accept_never_works(bench: &Bench) -> Outcome {
    let mut host = bench.host(&["current"])?;
    scrape(host.addr, SOON).map_err(|error| error.to_string())?;
    let tracer = Tracer::inject(&host, "error=EINVAL")?;
    let watch = Watch::begin(&mut host)?;
    // A connection that waits all the time, so that the socket stays readable.
    let waiting = TcpStream::connect_timeout(&host.addr, SOON).map_err(|error| error.to_string())?;
    thread::sleep(6 * SOON);
    let unanswered = scrape(host.addr, SOON).is_err();
    let seen = watch.end(&mut host)?;
    drop(tracer);
    let next = scrape(host.addr, 3 * SOON).map_err(|error| format!("after the fault: {error}"))?;
    drop(waiting);
    check(unanswered, || "a scrape was answered, so the row proves nothing".to_owned())?;
    seen.log_is_short()?;
    // The tracer stops each system call, also those of the heartbeat.
    seen.does_not_spin(0.2)?;
    let errors = errors_of_accept(host.addr)?;
    check(errors > 0, || "no failure was counted".to_owned())?;
    Ok(format!(
        "{errors} failures counted; after the fault a response in {}; {}",
        ms(next.took),
        seen.figures()
    ))
}

/// `recv`, `send` and `writev` fail at random with any error.
fn io_fails_at_random(bench: &Bench) -> Outcome {
    let control = std::env::temp_dir().join(format!("faults-fiu-{}", std::process::id()));
    let control = control.to_string_lossy().into_owned();
    let mut host = bench.host_in(&["fiu-run", "-x", "-f", &control], &["current"])?;
    scrape(host.addr, SOON).map_err(|error| error.to_string())?;
    let pid = host.pid.to_string();
    let command = |words: &[&str]| {
        let mut command = Command::new("fiu-ctrl");
        for word in words {
            command.args(["-c", word]);
        }
        output(command.args(["-f", &control, &pid]))
    };
    let before: Usage = host.usage()?;
    let watch = Watch::begin(&mut host)?;
    command(&[
        "enable_random name=posix/io/net/recv,probability=0.2",
        "enable_random name=posix/io/net/send,probability=0.2",
        "enable_random name=posix/io/rw/writev,probability=0.2",
    ])?;
    let (mut answered, mut failed) = (0, 0);
    for _ in 0..200 {
        match scrape(host.addr, SOON / 4) {
            Ok(_) => answered += 1,
            Err(_) => failed += 1,
        }
    }
    command(&[
        "disable name=posix/io/net/recv",
        "disable name=posix/io/net/send",
        "disable name=posix/io/rw/writev",
    ])?;
    let seen = watch.end(&mut host)?;
    check(host.is_alive(), || "the host program has exited".to_owned())?;
    check(answered > 0 && failed > 0, || {
        format!("{answered} answered, {failed} failed, so the row proves nothing")
    })?;
    seen.host_is_well(LAG)?;
    for _ in 0..20 {
        scrape(host.addr, SOON).map_err(|error| format!("after the fault: {error}"))?;
    }
    // Within the timeouts of head and write.
    let pid = host.pid;
    let calm = wait_for(45 * SOON, "the end of all connections", || {
        Usage::of(pid).is_some_and(|usage| usage.descriptors <= before.descriptors)
    })?;
    let _ = std::fs::remove_file(format!("{control}-{pid}.in"));
    let _ = std::fs::remove_file(format!("{control}-{pid}.out"));
    Ok(format!(
        "{answered} answered, {failed} failed; 20 of 20 after the fault; the last connection ended after {:.0} s; {}",
        calm.as_secs_f64(),
        seen.figures()
    ))
}
