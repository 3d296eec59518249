//! Sockets that accept. Accepting can not fail: what goes wrong is passed over or backed off.

mod socket;
#[cfg_attr(not(all(feature = "systemd", target_os = "linux")), path = "listener/systemd/disabled.rs")]
pub(crate) mod systemd;
#[cfg_attr(not(unix), path = "listener/unix/absent.rs")]
mod unix;

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Sleep;

use crate::net::stream::Stream;
use crate::telemetry::{Cause, Telemetry};
use crate::util::throttle::Throttle;

pub(crate) use socket::{Address, Socket};
pub(crate) use unix::UnixSocket;

/// The first wait after a failed accept; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// How many connections in a row that ended before they were accepted are passed over without a wait.
const PASSED_OVER: u32 = 32;

/// All listeners of a server.
#[derive(Debug)]
pub(crate) struct Listeners {
    listeners: Vec<Listener<Listening>>,
    /// Where the next look begins, so that a busy listener does not starve the others.
    first: usize,
}

impl Listeners {
    /// Needs a runtime with its I/O enabled.
    pub(crate) fn new(sockets: Vec<Socket>, telemetry: &Arc<Telemetry>) -> io::Result<Self> {
        let listeners = sockets
            .into_iter()
            .map(|socket| Ok(Listener::new(Listening::new(socket)?, Arc::clone(telemetry))))
            .collect::<io::Result<_>>()?;
        Ok(Listeners { listeners, first: 0 })
    }

    /// The next connection, from whichever listener, and its peer's address, which one on a Unix socket has not: that is on
    /// this host, and let in by the mode of the file. Nothing is lost if the wait is dropped.
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

/// What accepts: a seam, so that failures can be tested.
trait Accept {
    type Stream;
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>>;
}

/// A socket on a runtime.
#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(unix::Listening),
}

impl Listening {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => TcpListener::from_std(listener).map(Listening::Tcp),
            Socket::Unix(socket) => socket.enter().map(Listening::Unix),
        }
    }
}

impl Accept for Listening {
    type Stream = (Stream, Option<IpAddr>);

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Stream>> {
        match self {
            Listening::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, peer)| {
                socket::prepare(&stream);
                (Box::new(stream) as Stream, Some(peer.ip()))
            }),
            Listening::Unix(listener) => listener.poll_accept(cx).map_ok(|stream| (stream, None)),
        }
    }
}

#[derive(Debug)]
struct Listener<A> {
    socket: A,
    telemetry: Arc<Telemetry>,
    throttle: Throttle,
    failures: u32,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<A: Accept> Listener<A> {
    fn new(socket: A, telemetry: Arc<Telemetry>) -> Self {
        Listener { socket, telemetry, throttle: Throttle::default(), failures: 0, waiting: None }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<A::Stream> {
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
        self.telemetry.count_error(Cause::Accept);
        // What is short (descriptors, memory) is short for a while, and the socket stays ready: without a wait
        // this would spin.
        let doubled = FIRST_BACKOFF.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        self.waiting = Some(Box::pin(tokio::time::sleep(doubled.min(LONGEST_BACKOFF))));
        // Last, for a subscriber of the host's that panics here takes nothing of the above along.
        if self.throttle.allows() {
            tracing::warn!(%error, "cannot accept connections; trying again until it works");
        }
    }
}

/// accept(2) hands on what went wrong with a connection before it was accepted: its client gave it up, or "already-pending
/// network errors on the new socket".
fn is_the_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable,
    };
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

    /// Answers from a script, then never.
    struct Script(RefCell<VecDeque<io::Result<u32>>>);

    impl Accept for Script {
        type Stream = u32;
        fn poll_accept(&self, _cx: &mut Context<'_>) -> Poll<io::Result<u32>> {
            self.0.borrow_mut().pop_front().map_or(Poll::Pending, Poll::Ready)
        }
    }

    fn script(answers: impl IntoIterator<Item = Result<u32, i32>>) -> Listener<Script> {
        let answers = answers.into_iter().map(|answer| answer.map_err(io::Error::from_raw_os_error));
        Listener::new(Script(RefCell::new(answers.collect())), Arc::new(Telemetry::new()))
    }

    async fn accept(listener: &mut Listener<Script>) -> u32 {
        std::future::poll_fn(|cx| listener.poll_accept(cx)).await
    }

    const ECONNABORTED: i32 = 103;
    const EMFILE: i32 = 24;
    const EINVAL: i32 = 22;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_given_up_is_passed_over_at_once() {
        let start = Instant::now();
        let mut listener = script([Err(ECONNABORTED), Err(ECONNABORTED), Ok(7)]);
        assert_eq!(accept(&mut listener).await, 7);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_waited_out_and_each_wait_is_longer() {
        let start = Instant::now();
        let mut listener = script([Err(EMFILE), Err(EMFILE), Err(EMFILE), Ok(7), Err(EMFILE), Ok(8)]);
        assert_eq!(accept(&mut listener).await, 7);
        assert_eq!(start.elapsed(), 7 * FIRST_BACKOFF, "5 + 10 + 20 ms");
        assert_eq!(accept(&mut listener).await, 8);
        assert_eq!(start.elapsed(), 8 * FIRST_BACKOFF, "after a success the first wait is short again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_never_ends_is_tried_once_a_second() {
        for errno in [EINVAL, ECONNABORTED] {
            let start = Instant::now();
            let answers = (0..10_000).map(|_| Err(errno)).chain([Ok(7)]);
            let mut listener = script(answers);
            assert_eq!(accept(&mut listener).await, 7);
            assert!(start.elapsed() > Duration::from_secs(9_900), "{errno}: {:?}", start.elapsed());
        }
    }
}
