//! Tests the signals that end a program. A signal affects the whole process, so each test runs in its own.

use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Server, shutdown_signal};

use crate::support::client::get;
use crate::support::log::Log;
use crate::support::runtime::current_thread;
use crate::support::{CHILD, run_alone};

/// Sends a signal to this process. It is received before this returns.
fn send(signal: &str) {
    let kill = format!("kill -s {signal} {}", std::process::id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn each_signal_stops_the_server() {
    for signal in ["TERM", "INT"] {
        run_alone("signal::child_that_serves", signal, &[]);
    }
}

#[test]
#[ignore = "run by another test"]
fn child_that_serves() {
    let Ok(signal) = std::env::var(CHILD) else { return };
    let server = Server::builder().registry(&Registry::new()).listen("127.0.0.1:0").bind().unwrap();
    let addr = server.local_addr().unwrap();
    // Outside of the runtime. The future registers its handlers when it is first polled.
    let shutdown = shutdown_signal();
    let client = std::thread::spawn(move || {
        // Once the server responds, it has polled the future.
        assert_eq!(get(addr, "/-/healthy").status, 200);
        send(&signal);
    });
    current_thread().block_on(server.serve(shutdown)).unwrap();
    client.join().unwrap();
}

/// A program must also stop if the signal comes while it starts.
#[test]
fn signal_before_the_first_poll_is_not_lost() {
    for signal in ["TERM", "INT"] {
        run_alone("signal::child_that_is_stopped_early", signal, &[]);
    }
}

#[test]
#[ignore = "run by another test"]
fn child_that_is_stopped_early() {
    let Ok(signal) = std::env::var(CHILD) else { return };
    current_thread().block_on(async {
        let shutdown = shutdown_signal();
        send(&signal);
        shutdown.await;
        // The handler stays registered, so a second signal does not kill the process.
        send(&signal);
        shutdown_signal_is_pending();
    });
}

fn shutdown_signal_is_pending() {
    let shutdown = pin!(shutdown_signal());
    assert_eq!(shutdown.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
}

#[test]
fn shutdown_signal_logs_missing_runtime_or_driver() {
    run_alone("signal::child_without_drivers", "", &[]);
}

#[test]
#[ignore = "run by another test"]
fn child_without_drivers() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let log = Log::default();
    log.capture(shutdown_signal_is_pending);
    let text = log.text();
    assert!(text.contains("ERROR") && text.contains("SIGINT") && text.contains("SIGTERM"), "{text}");
    assert!(text.contains("no tokio runtime"), "{text}");

    let log = Log::default();
    let without_drivers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    log.capture(|| without_drivers.block_on(async { shutdown_signal_is_pending() }));
    let text = log.text();
    assert!(text.contains("ERROR") && text.contains("SIGINT") && text.contains("SIGTERM"), "{text}");
    assert!(text.contains("enable_all"), "{text}");
}
