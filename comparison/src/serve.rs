//! The child: one server in a host program. It obeys lines on stdin until stdin ends.

use std::future::pending;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, yield_now};

use crate::launch::{Gathers, Prepare, Threads};
use crate::load::Load;
use crate::outcome::Outcome;
use crate::stats::quantile;

/// Timeout until the server listens, longer than any needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Interval of the host program's ticker.
const TICK: Duration = Duration::from_millis(1);

pub(crate) fn serve(prepare: Prepare, load: Load, threads: Threads) -> Outcome<()> {
    let commands = commands();
    runtime(threads)?.block_on(host(prepare, load, commands))
}

fn runtime(threads: Threads) -> io::Result<Runtime> {
    match threads {
        Threads::One => Builder::new_current_thread().enable_all().build(),
        Threads::Many => Builder::new_multi_thread().enable_all().build(),
    }
}

/// The lines of stdin. The process exits when stdin ends.
pub(crate) fn commands() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        process::exit(0);
    });
    receiver
}

async fn host(prepare: Prepare, load: Load, mut commands: UnboundedReceiver<String>) -> Outcome<()> {
    let gathers = Gathers::default();
    let launch = prepare(load, &gathers)?;
    let address = free()?;
    let start = Instant::now();
    let mut running = launch(address)?;
    let launched = Instant::now();
    while let Err(failure) = TcpStream::connect(address).await {
        if launched.elapsed() > PATIENCE {
            return Err(format!("the server does not listen: {failure}").into());
        }
        yield_now().await;
    }
    println!("ready {} {}", address.port(), (start.elapsed() - running.filling).as_nanos());

    let mut ticker = Ticker::default();
    while let Some(command) = commands.recv().await {
        match command.as_str() {
            "gathers" if running.counts => println!("{}", gathers.load(Ordering::Relaxed)),
            "tick" => {
                ticker.start();
                println!("ok");
            }
            "tock" => {
                ticker.stop().await;
                println!("ok");
            }
            "ticks" => println!("{}", ticker.report()),
            "stop" => match running.stop.take() {
                None => println!("-"),
                Some(stop) => {
                    let start = Instant::now();
                    stop().await;
                    println!("{}", start.elapsed().as_nanos());
                }
            },
            _ => println!("-"),
        }
    }
    pending().await
}

/// Most of the other servers cannot report the port that they got.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The host program's own work: it ticks each millisecond and notes its delay.
#[derive(Default)]
struct Ticker {
    late: Arc<Mutex<Vec<f64>>>,
    stopped: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(&mut self) {
        let late = Arc::clone(&self.late);
        self.stopped = Arc::default();
        let stopped = Arc::clone(&self.stopped);
        self.task = Some(tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                tokio::time::sleep(TICK).await;
                let late_by = start.elapsed().saturating_sub(TICK).as_secs_f64();
                late.lock().unwrap_or_else(PoisonError::into_inner).push(late_by);
            }
        }));
    }

    /// Waits for one more tick, because that one may be the late one.
    async fn stop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }

    /// Reports, in nanoseconds, the p99.9 and the maximum of the delays, and the number of ticks.
    fn report(&self) -> String {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).clone();
        format!("{:.0} {:.0} {}", quantile(&late, 0.999) * 1e9, quantile(&late, 1.0) * 1e9, late.len())
    }
}
