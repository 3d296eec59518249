//! Serves a counter and a histogram with one line. The server adds metrics of the process and of the tokio runtime.
//!
//! Run `cargo run --example hello`, and `curl -i localhost:9184/metrics` in another terminal. Open <http://localhost:9184/>
//! in a browser to see the values move. Ctrl-c ends the program. To listen elsewhere, give an address:
//! `cargo run --example hello -- 127.0.0.1:9999`.

use std::error::Error;
use std::time::Duration;

use prometheus_hyper::prometheus::{register_histogram, register_int_counter};
use prometheus_hyper::shutdown_signal;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:9184".to_owned());
    let shutdown = shutdown_signal();

    let guard = prometheus_hyper::start(addr)?;
    println!("{guard}");
    println!("{}", guard.page_urls().join(", "));

    let greetings = register_int_counter!("hello_greetings_total", "Greetings said.")?;
    let lengths = register_histogram!("hello_greeting_seconds", "How long a greeting took, in seconds.")?;
    let work = async {
        for n in 0u32.. {
            greetings.inc();
            lengths.observe(0.005 * f64::from(n % 100));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown => {} // ctrl-c or SIGTERM
    }
    guard.shutdown().await;
    Ok(())
}
