//! Serves the metrics of child processes at one address, each with a label of its own.
//!
//! Before each scrape the parent fetches the endpoint of each child. A child that does not answer in time has no series in that
//! scrape, and `child_up` is 0. Such programs are servers that fork workers, and supervisors.
//!
//! Run `cargo run --example child_processes`, and `curl localhost:9192/metrics` in another terminal. Ctrl-c ends the program
//! and its children.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_hyper::prometheus::{IntCounter, Registry};
use prometheus_hyper::{Server, collector, shutdown_signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// How many children there are.
const CHILDREN: usize = 3;

/// A child's exposition is no longer than this.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

fn main() {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let argument = env::args().nth(1);
    let ended = match argument.as_deref() {
        Some("--child") => child(),
        addr => parent(addr.unwrap_or("0.0.0.0:9192")),
    };
    if let Err(error) = ended {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// Serves on a port of its own, prints the address, and ends when its parent does.
fn child() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let jobs = IntCounter::new("worker_jobs_total", "Jobs done.")?;
    registry.register(Box::new(jobs.clone()))?;
    jobs.inc();
    let guard = Server::builder().registry(&registry).self_metrics(false).listen("127.0.0.1:0").start()?;
    println!("{}", guard.local_addrs()[0]);
    // The parent holds the other end, also if it is killed.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// What a child said in the last scrape, if it did.
type Exposition = Arc<Mutex<Option<String>>>;

fn put(exposition: &Exposition, text: Option<String>) {
    *exposition.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

#[tokio::main(flavor = "current_thread")]
async fn parent(addr: &str) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal();
    let mut builder = Server::builder().listen(addr.to_owned());
    let (mut children, mut endpoints) = (Vec::new(), Vec::<(SocketAddr, Exposition)>::new());
    for number in 0..CHILDREN {
        let (child, endpoint) = spawn()?;
        let exposition = Exposition::default();
        builder =
            builder.registry_named(format!("child{number}"), registry_of(number, Arc::clone(&exposition))?);
        endpoints.push((endpoint, exposition));
        children.push(child);
    }

    let guard = builder
        .collect("children", move |scrape, mut samples| {
            let endpoints = endpoints.clone();
            async move {
                // Drops the expositions that no scrape has served, because they are out of date.
                endpoints.iter().for_each(|(_, exposition)| put(exposition, None));
                // Stops before the deadline, so that a slow child does not lose the answers of the others.
                let deadline = scrape.deadline() - (scrape.deadline() - Instant::now()) / 4;
                let fetching = endpoints.iter().map(|(endpoint, _)| tokio::spawn(fetch(*endpoint, deadline)));
                let fetching: Vec<_> = fetching.collect();
                for (number, (fetched, (_, exposition))) in fetching.into_iter().zip(&endpoints).enumerate() {
                    let text = fetched.await?.ok();
                    let labels = &[("child", &*number.to_string())];
                    let up = f64::from(text.is_some());
                    samples.gauge("child_up", "Whether a child answered in this scrape.", labels, up);
                    put(exposition, text);
                }
                Ok(samples)
            }
        })
        .start()?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));
    for (number, child) in children.iter().enumerate() {
        println!("child {number} is process {}", child.id());
    }

    shutdown.await;
    guard.shutdown().await;
    for mut child in children {
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(())
}

/// Starts a child, and waits for its address.
fn spawn() -> io::Result<(Child, SocketAddr)> {
    let mut command = Command::new(env::current_exe()?);
    let mut child = command.arg("--child").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let endpoint = line.trim().parse().map_err(|_| io::Error::other("the child has no address"))?;
    Ok((child, endpoint))
}

/// A registry adds its labels to all series that are gathered from it.
fn registry_of(child: usize, exposition: Exposition) -> Result<Registry, Box<dyn Error>> {
    let labels = HashMap::from([("child".to_owned(), child.to_string())]);
    let registry = Registry::new_custom(None, Some(labels))?;
    registry.register(Box::new(collector::exposition(move |text| {
        // Taken, so that no later scrape serves it again.
        let exposition = exposition.lock().unwrap_or_else(PoisonError::into_inner).take();
        text.push_str(&exposition.unwrap_or_default());
        Ok(())
    })))?;
    Ok(registry)
}

/// The body of a response to HTTP/1.0, which ends with the connection.
async fn fetch(endpoint: SocketAddr, deadline: Instant) -> io::Result<String> {
    let fetched = async {
        let mut connection = TcpStream::connect(endpoint).await?;
        connection.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        let mut response = String::new();
        connection.take(MAX_BYTES).read_to_string(&mut response).await?;
        match response.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
            _ => Err(io::Error::other("no 200")),
        }
    };
    timeout_at(deadline.into(), fetched).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
