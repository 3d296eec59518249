//! Listening sockets. Accepting never fails: the server skips an error or backs off.

#[cfg(unix)]
mod no_signal;
mod socket;
#[cfg(all(feature = "systemd", target_os = "linux"))]
pub(crate) mod systemd;
pub(crate) mod tcp;
#[cfg(unix)]
pub(crate) mod unix;

/// Without the platform's support, `bind` returns the error.
#[cfg(all(feature = "systemd", not(target_os = "linux")))]
pub(crate) mod systemd {
    pub(crate) fn sockets() -> std::io::Result<Vec<super::Socket>> {
        let sentence = "systemd sockets are not supported on this platform";
        Err(crate::util::io_error::new(std::io::ErrorKind::Unsupported, sentence))
    }

    pub(crate) fn tell(_: &str) {}
}

#[cfg(not(unix))]
pub(crate) mod unix {
    pub(crate) fn bind(path: &std::path::Path, _: u32) -> std::io::Result<super::Socket> {
        let sentence = format!("cannot listen on {}: Unix sockets are not supported here", path.display());
        Err(crate::util::io_error::new(std::io::ErrorKind::Unsupported, sentence))
    }
}

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use crate::net::stream::Stream;
use crate::telemetry::{Cause, Reporter, Telemetry};

pub(crate) use socket::{Accept, Address, Socket};

/// First back-off after a failed accept. It doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// How many connections in a row may fail before their accept without a back-off.
const PASSED_OVER: u32 = 32;

/// All listeners of a server.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    /// The listener that is polled first, so that a busy listener does not starve the others.
    first: usize,
}

impl Listeners {
    /// Registers the sockets with the current runtime, which needs its I/O driver.
    pub(crate) fn new(sockets: Vec<Socket>, telemetry: &Arc<Telemetry>) -> io::Result<Self> {
        let enter = |socket: Socket| Ok(Listener::new((socket.enter)()?, telemetry));
        let listeners = sockets.into_iter().map(enter).collect::<io::Result<_>>()?;
        Ok(Listeners { listeners, first: 0 })
    }

    /// Accepts the next connection of any listener. Returns it with its peer's address. A peer on a Unix socket has
    /// none: it is on this host, and the mode of the file admitted it. Cancel-safe.
    pub(crate) async fn accept(&mut self) -> (Stream, Option<IpAddr>) {
        std::future::poll_fn(|cx| {
            for n in 0..self.listeners.len() {
                let at = (self.first + n) % self.listeners.len();
                if let Poll::Ready(accepted) = self.listeners[at].poll_accept(cx) {
                    self.first = at + 1;
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

struct Listener {
    socket: Box<dyn Accept>,
    errors: Reporter,
    failures: u32,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    fn new(socket: Box<dyn Accept>, telemetry: &Arc<Telemetry>) -> Self {
        Listener { socket, errors: telemetry.reporter(Cause::Accept), failures: 0, waiting: None }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(Stream, Option<IpAddr>)> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            match ready!(self.socket.poll_accept(cx)) {
                Ok(stream) => {
                    self.failures = 0;
                    return Poll::Ready(stream);
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.failures = self.failures.saturating_add(1);
        if is_the_connections_own(error) && self.failures <= PASSED_OVER {
            return;
        }
        // EMFILE and ENOMEM persist while the socket stays readable. Without a back-off this would spin.
        let doubled = FIRST_BACKOFF.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        self.waiting = Some(Box::pin(tokio::time::sleep(doubled.min(LONGEST_BACKOFF))));
        // Last, because a subscriber of the host program may panic here.
        self.errors.report(1, || tracing::warn!(%error, "failed to accept a connection; retrying"));
    }
}

/// Returns whether the error is that of one connection. accept(2) also returns errors that a connection had before
/// its accept: a client that closed it, or "already-pending network errors on the new socket".
fn is_the_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use tokio::time::Instant;

    use super::*;

    /// Returns scripted results, then pends. The last byte of the peer's address identifies a connection.
    struct Script(RefCell<VecDeque<io::Result<u8>>>);

    impl Accept for Script {
        fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(Stream, Option<IpAddr>)>> {
            self.0.borrow_mut().pop_front().map_or(Poll::Pending, |answer| {
                let (stream, _) = tokio::io::duplex(1);
                Poll::Ready(answer.map(|peer| (Box::new(stream) as Stream, Some([192, 0, 2, peer].into()))))
            })
        }
    }

    fn script(answers: impl IntoIterator<Item = Result<u8, i32>>) -> Listener {
        let answers = answers.into_iter().map(|answer| answer.map_err(io::Error::from_raw_os_error));
        let script = Script(RefCell::new(answers.collect()));
        Listener::new(Box::new(script), &Arc::new(Telemetry::new()))
    }

    async fn accept(listener: &mut Listener) -> u8 {
        match std::future::poll_fn(|cx| listener.poll_accept(cx)).await.1 {
            Some(IpAddr::V4(peer)) => peer.octets()[3],
            peer => panic!("{peer:?}"),
        }
    }

    const ECONNABORTED: i32 = 103;
    const EMFILE: i32 = 24;
    const EINVAL: i32 = 22;

    #[tokio::test(start_paused = true)]
    async fn skips_aborted_connections_without_a_back_off() {
        let start = Instant::now();
        let mut listener = script([Err(ECONNABORTED), Err(ECONNABORTED), Ok(7)]);
        assert_eq!(accept(&mut listener).await, 7);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn backs_off_longer_with_each_shortage_in_a_row() {
        let start = Instant::now();
        let mut listener = script([Err(EMFILE), Err(EMFILE), Err(EMFILE), Ok(7), Err(EMFILE), Ok(8)]);
        assert_eq!(accept(&mut listener).await, 7);
        assert_eq!(start.elapsed(), 7 * FIRST_BACKOFF, "5 + 10 + 20 ms");
        assert_eq!(accept(&mut listener).await, 8);
        assert_eq!(start.elapsed(), 8 * FIRST_BACKOFF, "a success resets the back-off");
    }

    #[tokio::test(start_paused = true)]
    async fn retries_a_permanent_failure_once_a_second() {
        for errno in [EINVAL, ECONNABORTED] {
            let start = Instant::now();
            let answers = (0..10_000).map(|_| Err(errno)).chain([Ok(7)]);
            let mut listener = script(answers);
            assert_eq!(accept(&mut listener).await, 7);
            assert!(start.elapsed() > Duration::from_secs(9_900), "{errno}: {:?}", start.elapsed());
        }
    }
}
