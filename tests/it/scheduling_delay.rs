//! Tests the metrics that show a blocked runtime.

use std::sync::mpsc;

use prometheus_hyper::prometheus::Registry;
use prometheus_hyper::{Guard, Server};

use crate::support::client::{get, wait_for};
use crate::support::runtime::current_thread;

/// During the block is when an operator needs the figure.
#[test]
fn scheduling_delay_grows_while_the_runtime_is_blocked() {
    const DELAY: &str = "tokio_scheduling_delay_seconds{runtime=\"default\"}";
    let (tell, told) = mpsc::channel::<Guard>();
    let (release, released) = mpsc::channel::<()>();
    let host = std::thread::spawn(move || {
        current_thread().block_on(async move {
            let server = Server::builder().registry(&Registry::new()).default_collectors(true);
            tell.send(server.listen("127.0.0.1:0").bind().unwrap().start().unwrap()).unwrap();
            released.recv().unwrap(); // blocks the runtime
            std::future::pending::<()>().await;
        });
    });
    let guard = told.recv().unwrap();
    let addr = guard.local_addr().unwrap();
    let delay = || get(addr, "/metrics").sample(DELAY);
    wait_for("a late wake-up", || delay() > Some(0.0));
    let early = delay();
    wait_for("a growing delay", || delay() > early.map(|early| early + 0.1));
    let late = delay();
    release.send(()).unwrap();

    // The histogram counts the block with its whole length.
    let sum = "tokio_scheduling_delay_distribution_seconds_sum{runtime=\"default\"}";
    wait_for("the end of the block", || get(addr, "/metrics").sample(sum) >= late);
    drop(guard);
    drop(host); // its runtime never ends
}
