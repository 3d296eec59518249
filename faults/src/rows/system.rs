//! An operating system that is short of something, or lies.

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
        proves: "the cap is a quarter of the limit on descriptors",
        unprotected: Some("without=max_connections"),
        run: |bench| descriptors(bench, false),
    },
    Row {
        name: "descriptors-none",
        proves: "back-off and throttled log where the host itself has none left",
        unprotected: Some("naive"),
        run: |bench| descriptors(bench, true),
    },
    Row {
        name: "accept-ECONNABORTED",
        proves: "a client that gave up is passed over; naive goes on, too, and is not to be told from it",
        unprotected: None,
        run: |bench| accept_fails(bench, "ECONNABORTED"),
    },
    Row {
        name: "accept-EMFILE",
        proves: "accept goes on, with a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "EMFILE"),
    },
    Row {
        name: "accept-ENOBUFS",
        proves: "accept goes on, with a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "ENOBUFS"),
    },
    Row {
        name: "accept-EPERM",
        proves: "accept goes on, with a wait",
        unprotected: Some("naive"),
        run: |bench| accept_fails(bench, "EPERM"),
    },
    Row {
        name: "accept-EINVAL-for-ever",
        proves: "back-off up to a second, one line a minute, recovery",
        unprotected: Some("naive"),
        run: accept_never_works,
    },
    Row {
        name: "io-random",
        proves: "an error of a connection is that connection's end; a server that ends at it has none to scrape at the end",
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
        // Its opens fail because of itself.
        check(held >= 64, || format!("{held} descriptors: it is not short of them"))?;
        seen.log_is_short()?;
        host.tell("release")?;
    } else {
        seen.host_is_well(LAG)?;
    }
    seen.does_not_spin(0.05)?;
    let next = scrape(host.addr, 3 * SOON).map_err(|error| format!("the next scrape: {error}"))?;
    check(next.status == 200, || format!("the next scrape: {}", next.status))?;
    Ok(format!(
        "{held} descriptors with 150 idle connections, {} opens failed; the next scrape after {}; {}",
        seen.host.failed_opens,
        ms(next.took),
        seen.figures()
    ))
}

/// Ends with its owner, and lets its tracee go.
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
        wait_for(5 * SOON, "strace has attached to each thread", || all_are_traced(host.pid))?;
        Ok(tracer)
    }

    /// How many calls it has made fail.
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
        // SIGKILL would take the tracee along, where it is stopped.
        let _ = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        let _ = self.strace.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Every second call.
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
    check(injected > 20, || format!("{injected} calls have failed, so nothing is shown"))?;
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
    // One that waits all the time, so that the socket stays ready.
    let waiting = TcpStream::connect_timeout(&host.addr, SOON).map_err(|error| error.to_string())?;
    thread::sleep(6 * SOON);
    let unanswered = scrape(host.addr, SOON).is_err();
    let seen = watch.end(&mut host)?;
    drop(tracer);
    let next = scrape(host.addr, 3 * SOON).map_err(|error| format!("once it works again: {error}"))?;
    drop(waiting);
    check(unanswered, || "a scrape was answered, so nothing is shown".to_owned())?;
    seen.log_is_short()?;
    // The tracer stops each system call, of the heart's, too.
    seen.does_not_spin(0.2)?;
    let errors = errors_of_accept(host.addr)?;
    check(errors > 0, || "none was counted".to_owned())?;
    Ok(format!(
        "{errors} failures counted; once it works again answered after {}; {}",
        ms(next.took),
        seen.figures()
    ))
}

/// `recv`, `send` and `writev` fail by chance, with whatever error.
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
    check(host.is_alive(), || "the host program is gone".to_owned())?;
    check(answered > 0 && failed > 0, || format!("{answered} answered, {failed} failed: nothing is shown"))?;
    seen.host_is_well(LAG)?;
    for _ in 0..20 {
        scrape(host.addr, SOON).map_err(|error| format!("after it: {error}"))?;
    }
    // Within the head's limit and the write's.
    let pid = host.pid;
    let calm = wait_for(45 * SOON, "no connection is left", || {
        Usage::of(pid).is_some_and(|usage| usage.descriptors <= before.descriptors)
    })?;
    let _ = std::fs::remove_file(format!("{control}-{pid}.in"));
    let _ = std::fs::remove_file(format!("{control}-{pid}.out"));
    Ok(format!(
        "{answered} answered, {failed} failed; 20 of 20 after it; the last connection gone after {:.0} s; {}",
        calm.as_secs_f64(),
        seen.figures()
    ))
}
