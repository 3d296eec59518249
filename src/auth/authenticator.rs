//! Who has shown credentials that are accepted. Passwords are verified on a thread of their own, one at a time.

mod queue;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::auth::Verdict;
use crate::auth::credentials::{Claim, Entry, Failures, Keyring, Known, Login, Origin, Remembered};
use crate::telemetry::{Denial, Telemetry};
use crate::util::throttle::Throttle;

use queue::{Queue, Reply, Turn};

/// Rounds of bcrypt per turn: one or two milliseconds, in which a newcomer waits.
const ROUNDS: u64 = 32;
/// For whom there was no place: by then there will be, for one of the usual costs.
const NO_PLACE: Duration = Duration::from_secs(1);
/// How long the thread waits for more, by default.
const IDLE: Duration = Duration::from_secs(10);

/// Judges credentials.
///
/// Tokens, and passwords that were right before and from there, are judged at once, whatever else goes on. A password that
/// is new is verified on a thread, `prometheus-hyper-login`: started when it is needed, one per server, detached, gone when
/// it has had nothing to do for a while. Not on the host's blocking pool: a bcrypt there keeps `#[tokio::main]` from
/// returning.
///
/// At most eight are under way, and they take turns, so that the host loses one core to logins at most, and one hash of a
/// high cost holds up nobody.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keyring: Keyring,
    telemetry: Arc<Telemetry>,
    no_thread: Throttle,
    /// How long the thread waits for more.
    idle: Duration,
    state: Mutex<State>,
    /// Told of logins, and of the end.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    failures: Failures,
    remembered: Remembered,
    queue: Queue<oneshot::Sender<Verdict>>,
    /// Whether there is a thread.
    served: bool,
    /// The gate is gone: the thread ends at its next turn.
    closed: bool,
}

impl Reply for oneshot::Sender<Verdict> {
    fn has_gone(&self) -> bool {
        self.is_closed()
    }
}

/// A verdict, or where it will be told.
enum Answer {
    Now(Verdict, Option<Denial>),
    Later(oneshot::Receiver<Verdict>),
}

impl Gate {
    /// If there is a lock at all.
    pub(crate) fn of(keyring: Keyring, telemetry: &Arc<Telemetry>) -> Option<Gate> {
        keyring.is_locked().then(|| Gate::new(keyring, Arc::clone(telemetry)))
    }

    fn new(keyring: Keyring, telemetry: Arc<Telemetry>) -> Self {
        let reasons = [Denial::NoCredentials, Denial::WrongCredentials, Denial::Failures, Denial::Logins];
        telemetry.show_denials(&reasons);
        let state = State {
            failures: Failures::default(),
            remembered: Remembered::new(keyring.users()),
            queue: Queue::new(),
            served: false,
            closed: false,
        };
        let (no_thread, changed) = (Throttle::default(), Condvar::new());
        let (idle, state) = (IDLE, Mutex::new(state));
        Gate { shared: Arc::new(Shared { keyring, telemetry, no_thread, idle, state, changed }) }
    }

    /// What `WWW-Authenticate` says with a 401, line by line.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = String> {
        self.shared.keyring.challenges()
    }

    /// Judges the lines of `Authorization` of a request from this peer; one without an address is on a Unix socket.
    ///
    /// It takes as long as bcrypt does, times those who wait: up to eight. Who stops waiting gives way to others, but what is
    /// right is remembered still.
    pub(crate) async fn check<'h>(
        &self,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
    ) -> Verdict {
        let (verdict, denial) = match self.shared.judge(peer, authorization, Instant::now()) {
            Answer::Now(verdict, denial) => (verdict, denial),
            Answer::Later(verdict) => {
                // No word: it had to give up its place, or the thread has died.
                let verdict = verdict.await.unwrap_or(Verdict::TooMany { retry_after: NO_PLACE });
                let denial = match verdict {
                    Verdict::Admitted => None,
                    Verdict::Unauthorized => Some(Denial::WrongCredentials),
                    Verdict::TooMany { .. } => Some(Denial::Logins),
                };
                (verdict, denial)
            }
        };
        if let Some(denial) = denial {
            self.shared.telemetry.count_denial(denial);
            // Without the credentials, and without the user: people type their password where the name belongs.
            tracing::debug!(?peer, ?denial, "a request was not admitted");
        }
        verdict
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn judge<'h>(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
        now: Instant,
    ) -> Answer {
        // A token is long and random: guesses at the speed of the network find none, and so a right one needs no limit.
        let login = match self.keyring.judge(authorization) {
            Claim::Proven => return Answer::Now(Verdict::Admitted, None),
            Claim::None => return Answer::Now(Verdict::Unauthorized, Some(Denial::NoCredentials)),
            Claim::Wrong => None,
            Claim::Login(login) => Some(login),
        };
        let (mut state, origin) = (self.state(), Origin::of(peer));
        let known = login.as_ref().map_or(Known::Not, |login| state.remembered.knows(&login.entry, origin));
        if known == Known::Here {
            return Answer::Now(Verdict::Admitted, None);
        }
        if let Err(retry_after) = state.failures.guess(origin, now) {
            return Answer::Now(Verdict::TooMany { retry_after }, Some(Denial::Failures));
        }
        match login {
            Some(Login { user: Some(user), entry, .. }) if known == Known::Elsewhere => {
                state.admit(origin, user, entry, now);
                Answer::Now(Verdict::Admitted, None)
            }
            Some(login) => self.enqueue(state, origin, login, now),
            None => Answer::Now(Verdict::Unauthorized, Some(Denial::WrongCredentials)),
        }
    }

    fn enqueue(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        origin: Origin,
        login: Login,
        now: Instant,
    ) -> Answer {
        let (reply, verdict) = oneshot::channel();
        let loser = state.queue.join(origin, login, reply);
        if let Some((origin, _)) = &loser {
            // Nobody has looked at that guess.
            state.failures.take_back(*origin, now);
        }
        let served = self.serve(&mut state);
        let orphans = if served.is_err() { state.queue.clear() } else { Vec::new() };
        drop(state);
        // Who has lost his place hears it by the end of his channel.
        drop((loser, orphans));
        self.changed.notify_one();
        if let Err(error) = served {
            if self.no_thread.allows() {
                tracing::error!(%error, "no thread for logins: nobody can log in");
            }
        }
        Answer::Later(verdict)
    }

    /// Sees to it that there is a thread.
    fn serve(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if !state.served {
            let shared = Arc::clone(self);
            thread::Builder::new().name("prometheus-hyper-login".to_owned()).spawn(move || {
                let _unserved = Unserved(&shared);
                shared.verify();
            })?;
            state.served = true;
        }
        Ok(())
    }

    /// The thread's life: turn after turn, until there has been nothing to do for a while.
    fn verify(&self) {
        while let Some(mut turn) = self.next_turn() {
            let verdict = turn.verification.advance(ROUNDS);
            let mut state = self.state();
            match verdict {
                Some(right) => state.tell(&turn, right, Instant::now()),
                None => state.queue.put_back(turn),
            }
        }
    }

    fn next_turn(&self) -> Option<Turn> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(turn) = state.queue.turn() {
                return Some(turn);
            }
            let waited = self.changed.wait_for(&mut state, self.idle);
            if waited.timed_out() && state.queue.is_empty() {
                // In one step with the look: who comes now starts another.
                state.served = false;
                return None;
            }
        }
    }
}

impl State {
    fn admit(&mut self, origin: Origin, user: usize, entry: Entry, now: Instant) {
        self.remembered.remember(user, entry, origin);
        self.failures.take_back(origin, now);
    }

    fn tell(&mut self, turn: &Turn, right: bool, now: Instant) {
        for job in self.queue.finish(turn) {
            // An unknown user may have hit upon the password of the known one whose hash was lent to him.
            let verdict = match job.user.filter(|_| right) {
                Some(user) => {
                    self.admit(job.origin, user, job.entry, now);
                    Verdict::Admitted
                }
                None => Verdict::Unauthorized,
            };
            // Nobody may be there any more.
            let _ = job.reply.send(verdict);
        }
    }
}

/// Notes the end of the thread, if it was none of its own will, so that the next login starts another.
struct Unserved<'s>(&'s Shared);

impl Drop for Unserved<'_> {
    fn drop(&mut self) {
        if thread::panicking() || self.0.state().closed {
            let mut state = self.0.state();
            state.served = false;
            let orphans = state.queue.clear();
            drop(state);
            drop(orphans);
        }
    }
}

#[cfg(test)]
mod tests;
