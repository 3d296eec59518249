//! The signals by which a program is asked to end.

use std::future::Future;
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
/// Kubernetes, Docker and systemd send SIGTERM to stop a program. The first process of a container ignores it unless the
/// program listens for it, and is killed some seconds later, its connections with it.
///
/// It listens from this call on if there is a tokio runtime around it, else from its first poll on. So call it first, and
/// await it last: a signal in between is not lost. Before that a signal has its default effect. Afterwards, until the process
/// ends, neither signal ends the process by itself, also if this future is dropped: tokio keeps its handlers.
///
/// # Without a runtime
///
/// If the system refuses the handler, or there is no tokio runtime with an I/O driver, the future never completes and the
/// signal keeps its default effect. An error is logged. tokio reports a missing driver by a panic, which is caught; your panic
/// hook still runs.
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
    // A failure is not told yet: where it is polled it may work.
    let mut signals = SIGNALS.map(|(_, kind)| listen(kind()).ok());
    async move {
        for (listening, (name, kind)) in signals.iter_mut().zip(SIGNALS) {
            if listening.is_none() {
                *listening = listen(kind()).map_err(|error| report(name, &error)).ok();
            }
        }
        std::future::poll_fn(|cx| {
            let mut received = false;
            // All are polled, so that each of them wakes.
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

/// Its name, and what tokio calls it.
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
