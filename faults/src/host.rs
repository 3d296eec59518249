//! A host program with the server in it. Its heartbeat runs on its own runtime and opens a file each time, so
//! harm shows as late beats and failed opens. One collector has a selectable fault.
//!
//! It reads orders on stdin, one a line, and answers each with one line of JSON on stdout.

mod drops;
mod heartbeat;
mod log;
mod naive;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use prometheus_hyper::prometheus::{Gauge, Registry};
use prometheus_hyper::{CancellationToken, Guard, ProbeRequest, Server};
use serde_json::{Value, json};
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use heartbeat::Heart;
use naive::Naive;
use testing::collectors::unruly::{Manner, Unruly};

/// Counts live bytes, except those of zstd, a C library.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The command line.
struct Options {
    multi_thread: bool,
    flavour: Flavour,
    addr: SocketAddr,
    /// Protections to switch off, with which a row must fail.
    without: Vec<String>,
    tls: Option<(PathBuf, PathBuf)>,
    /// The duration of a hook that sets `hooked` to 1. Without it there is no hook.
    hook: Option<Duration>,
    /// The number of additional registries, named `0` and so on. Each has a collector that takes 50 ms.
    registries: usize,
    /// A request without this token gets a 401.
    token: Option<String>,
    /// The connection limit of the naive server.
    connections: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    /// `start`: no part of the server runs on the program's runtime.
    Started,
    /// `serve`: the same threads. The program's runtime polls only the future that waits for the end.
    Served,
    /// A server without this crate, to compare with.
    Naive,
    /// Only the heartbeat without a server, to compare with.
    Alone,
}

impl Options {
    fn of(words: &[&str]) -> Options {
        let mut options = Options {
            multi_thread: false,
            flavour: Flavour::Started,
            addr: ([127, 0, 0, 1], 0).into(),
            without: Vec::new(),
            tls: None,
            hook: None,
            registries: 0,
            token: None,
            connections: None,
        };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("multi", _) => options.multi_thread = true,
                ("current", _) => options.multi_thread = false,
                ("serve", _) => options.flavour = Flavour::Served,
                ("naive", connections) => {
                    options.flavour = Flavour::Naive;
                    options.connections = connections.parse().ok();
                }
                ("alone", _) => options.flavour = Flavour::Alone,
                ("listen", addr) => options.addr = addr.parse().expect("an address"),
                ("without", protection) => options.without.push(protection.to_owned()),
                ("hook", seconds) => {
                    options.hook = Some(Duration::from_secs_f64(seconds.parse().expect("seconds")));
                }
                ("registries", count) => options.registries = count.parse().expect("a number"),
                ("tls", folder) => {
                    let folder = PathBuf::from(folder);
                    options.tls = Some((folder.join("cert.pem"), folder.join("key.pem")));
                }
                ("token", token) => options.token = Some(token.to_owned()),
                _ => panic!("unknown option {word}"),
            }
        }
        options
    }
}

/// The host program. Its `main` is that of `#[tokio::main]`: it returns when the runtime has shut down.
pub fn main(words: &[&str]) -> ExitCode {
    let options = Options::of(words);
    log::count();
    let mut builder = match options.multi_thread {
        true => runtime::Builder::new_multi_thread(),
        false => runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let heart = Heart::beat_on(&Handle::current());
        let (exit, exits) = oneshot::channel();
        let host = Host::new(options, heart, Handle::current());
        thread::Builder::new().name("orders".to_owned()).spawn(|| host.obey(exit)).expect("a thread");
        let _ = exits.await;
    });
    ExitCode::SUCCESS
}

struct Host {
    options: Options,
    heart: Arc<Heart>,
    runtime: Handle,
    registry: Registry,
    unruly: Unruly,
    running: Option<Running>,
    hogged: Vec<File>,
}

enum Running {
    Started(Guard),
    Spawned { stop: CancellationToken, task: tokio::task::JoinHandle<()> },
}

impl Host {
    fn new(options: Options, heart: Arc<Heart>, runtime: Handle) -> Self {
        let registry = Registry::new();
        let unruly = Unruly::new(registry.clone());
        registry.register(Box::new(unruly.clone())).expect("a new name");
        Host { options, heart, runtime, registry, unruly, running: None, hogged: Vec::new() }
    }

    /// Obeys until stdin ends, or until the order to exit.
    fn obey(mut self, exit: oneshot::Sender<()>) {
        let _runtime = self.runtime.clone();
        let _entered = _runtime.enter();
        let hello = self.start().map(|()| json!({"pid": std::process::id(), "addr": self.options.addr}));
        answer(hello);
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if words == ["exit"] {
                answer(Ok(json!({})));
                break;
            }
            answer(self.order(&words));
        }
        // As in a `main` that returns: the guard is dropped before the runtime.
        drop(self.running);
        let _ = exit.send(());
    }

    fn order(&mut self, words: &[&str]) -> Result<Value, String> {
        match words {
            ["report"] => {
                let mut report = self.heart.report();
                report["log_lines"] = json!(log::lines());
                report["debug_lines"] = json!(log::debug_lines());
                report["gathers"] = json!(self.unruly.gathers());
                return Ok(report);
            }
            ["allocated"] => return Ok(json!({"bytes": ALLOCATED.current_usage()})),
            ["reset"] => {
                self.heart.reset();
                log::reset();
                self.unruly.reset();
            }
            ["calm"] => self.unruly.behave(Manner::Calm),
            ["panic", "once"] => self.unruly.behave(Manner::PanicOnce),
            ["panic", "always"] => self.unruly.behave(Manner::PanicAlways),
            ["block"] => self.unruly.behave(Manner::Block),
            ["sleep", seconds] => {
                let seconds = seconds.parse().map_err(|error| format!("{error}"))?;
                self.unruly.behave(Manner::Sleep(Duration::from_secs_f64(seconds)));
            }
            ["register"] => self.unruly.behave(Manner::Register),
            ["rubbish"] => self.unruly.behave(Manner::Rubbish),
            ["body", mib] => self.unruly.weigh(mib.parse().map_err(|error| format!("{error}"))?),
            ["start"] => self.start()?,
            ["stop"] => {
                let start = Instant::now();
                self.stop();
                return Ok(json!({"us": start.elapsed().as_micros() as u64}));
            }
            ["hog"] => {
                // All descriptors that are left.
                while let Ok(file) = File::open("/dev/null") {
                    self.hogged.push(file);
                }
            }
            ["release"] => self.hogged.clear(),
            ["child"] => {
                let child =
                    Command::new("sleep").arg("20").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
                let child = child.map_err(|error| format!("sleep: {error}"))?;
                return Ok(json!({"child": child.id()}));
            }
            ["drops"] => return drops::all(&self.registry),
            _ => return Err(format!("unknown order {words:?}")),
        }
        Ok(json!({}))
    }

    fn start(&mut self) -> Result<(), String> {
        let Options { multi_thread: _, flavour, addr, without, tls, hook, registries, token, connections } =
            &self.options;
        let flavour = *flavour;
        if flavour == Flavour::Alone {
            return Ok(());
        }
        if flavour == Flavour::Naive {
            let naive =
                Naive { registry: self.registry.clone(), connections: *connections, tls: tls.clone() };
            let (addr, stop, task) = naive::serve(*addr, naive, &self.runtime)?;
            self.options.addr = addr;
            self.running = Some(Running::Spawned { stop, task });
            return Ok(());
        }
        let mut builder = Server::builder().registry(&self.registry).default_collectors(true);
        builder = builder.openmetrics(true).protobuf(true).listen(*addr);
        builder = builder.probe("/probe", |probe: ProbeRequest| async move {
            let length = Gauge::new("target_length_bytes", "The length of the target's name.")?;
            length.set(probe.target()?.len() as f64);
            let registry = Registry::new();
            registry.register(Box::new(length))?;
            Ok(registry)
        });
        if let Some(time) = *hook {
            let hooked =
                Gauge::new("hooked", "Whether the hook has run.").map_err(|error| error.to_string())?;
            self.registry.register(Box::new(hooked.clone())).map_err(|error| error.to_string())?;
            builder = builder.before_scrape("told", move |_| {
                hooked.set(0.0);
                let hooked = hooked.clone();
                async move {
                    tokio::time::sleep(time).await;
                    hooked.set(1.0);
                    Ok(())
                }
            });
        }
        for n in 0..*registries {
            let label = HashMap::from([("registry".to_owned(), n.to_string())]);
            let registry = Registry::new_custom(None, Some(label)).map_err(|error| error.to_string())?;
            let slow = Unruly::new(registry.clone());
            slow.behave(Manner::Sleep(Duration::from_millis(50)));
            registry.register(Box::new(slow)).map_err(|error| error.to_string())?;
            builder = builder.registry_named(n.to_string(), &registry);
        }
        if let Some((certificate, key)) = tls {
            builder = builder.tls_files(certificate, key);
        }
        if let Some(token) = token {
            builder = builder.bearer_token(token);
        }
        for protection in without {
            builder = match protection.as_str() {
                "head_timeout" => builder.head_timeout(None),
                "write_timeout" => builder.write_timeout(None),
                "max_connections" => builder.max_connections(None),
                "max_unsent" => builder.max_unsent(None),
                _ => return Err(format!("unknown protection {protection}")),
            };
        }
        let server = builder.bind().map_err(|error| error.to_string())?;
        // A restart uses the same port.
        self.options.addr = server.local_addr().ok_or("no address")?;
        self.running = Some(match flavour {
            Flavour::Started => Running::Started(server.start().map_err(|error| error.to_string())?),
            Flavour::Served | Flavour::Naive | Flavour::Alone => {
                let stop = CancellationToken::new();
                let stopped = stop.clone();
                let task = self.runtime.spawn(async move {
                    let _ = server.serve(stopped.cancelled()).await;
                });
                Running::Spawned { stop, task }
            }
        });
        Ok(())
    }

    /// Stops the server and waits for its end.
    fn stop(&mut self) {
        match self.running.take() {
            Some(Running::Started(guard)) => guard.shutdown_blocking(),
            Some(Running::Spawned { stop, task }) => {
                stop.cancel();
                let _ = self.runtime.block_on(task);
            }
            None => {}
        }
    }
}

fn answer(answer: Result<Value, String>) {
    let answer = answer.unwrap_or_else(|error| json!({"error": error}));
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{answer}").and_then(|()| stdout.flush());
}
