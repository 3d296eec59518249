//! The signals that ask a program to end.

use std::io;

#[cfg(unix)]
use std::task::Poll;
#[cfg(unix)]
use tokio::runtime::Handle;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(unix)]
use crate::util::unwind::caught;

/// Completes at SIGINT (ctrl-c) or SIGTERM, whichever comes first; elsewhere than on Unix at ctrl-c.
///
/// Kubernetes, Docker and systemd stop a program with SIGTERM. Process 1 of a container ignores SIGTERM unless the program
/// handles it. Some seconds later it is killed, and its open connections are cut.
///
/// Within a tokio runtime this call installs the handlers; elsewhere the first poll does. Until then the signals have their
/// default effect. So call this function first and await the future last: a signal in between completes the future.
///
/// Once installed, the handlers stay until the process ends, because tokio never removes them. From then on neither signal
/// ends the process by itself, even if you drop this future.
///
/// # Without a runtime
///
/// The future does not complete at a signal whose handler the system refuses. It completes at neither if it is polled without a
/// tokio runtime that has an I/O driver. Such a signal keeps its default effect, and an error is logged. tokio reports a missing
/// driver by a panic. This function catches it, but your panic hook still runs.
///
/// ```no_run
/// use prometheus_hyper::{prometheus::Registry, shutdown_signal};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let registry = Registry::new();
/// prometheus_hyper::run(&registry, ([0, 0, 0, 0], 8080), shutdown_signal()).await
/// # }
/// ```
#[cfg(unix)]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + use<> {
    // A failure is not logged yet, because the first poll tries again, maybe within a runtime.
    let mut signals = SIGNALS.map(|(_, kind)| listen(kind()).ok());
    async move {
        for (listening, (name, kind)) in signals.iter_mut().zip(SIGNALS) {
            if listening.is_none() {
                *listening = listen(kind()).map_err(|error| report(name, &error)).ok();
            }
        }
        std::future::poll_fn(|cx| {
            let mut received = false;
            // Polls all of them, so that each wakes this task.
            for listening in signals.iter_mut().flatten() {
                received |= listening.poll_recv(cx) == Poll::Ready(Some(()));
            }
            if received { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Completes at ctrl-c. A failure to listen for it is logged at level error, and then this future does not complete.
#[cfg(not(unix))]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + use<> {
    async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            report("ctrl-c", &error);
            std::future::pending::<()>().await;
        }
    }
}

/// A signal's name, and tokio's constructor of it.
#[cfg(unix)]
type Named = (&'static str, fn() -> SignalKind);

#[cfg(unix)]
const SIGNALS: [Named; 2] = [("SIGINT", SignalKind::interrupt), ("SIGTERM", SignalKind::terminate)];

/// tokio panics where there is no runtime, or one without its I/O driver.
#[cfg(unix)]
fn listen(kind: SignalKind) -> io::Result<Signal> {
    Handle::try_current().map_err(|_| io::Error::other("no tokio runtime"))?;
    caught(|| signal(kind)).unwrap_or_else(|| {
        Err(io::Error::other("the tokio runtime lacks its I/O driver: build it with `enable_all`"))
    })
}

fn report(signal: &str, error: &io::Error) {
    tracing::error!(signal, %error, "cannot listen for a signal; it keeps its default effect");
}
