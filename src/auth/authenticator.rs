//! Decides whether a request has shown credentials that are accepted. Passwords are verified on a thread of their own, one at a
//! time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::credentials::{Credentials, Evaluation, Login};
use super::failed_logins::{FailedLogins, Origin};
use super::login_cache::{Cached, LoginCache, LoginDigest};
use super::login_queue::{LoginQueue, Waiting};
use crate::telemetry::{RejectReason, Telemetry};
use crate::util::throttle::Throttle;
use crate::util::worker::Workers;

/// When a login may be tried again for which there is no room in the queue. By then there is, with the usual costs.
const QUEUE_FULL: Duration = Duration::from_secs(1);
/// How long the thread waits for the next login.
const IDLE: Duration = Duration::from_secs(10);

/// Checks credentials.
///
/// Tokens, and passwords that were right before from the same address, are decided at once, whatever else goes on. Another
/// password is verified on the thread `prometheus-hyper-login`, so all logins together take one core of the host at most.
#[derive(Debug)]
pub(crate) struct Authenticator {
    shared: Arc<Shared>,
    worker: Workers,
    no_thread: Throttle,
}

#[derive(Debug)]
struct Shared {
    credentials: Credentials,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failed: FailedLogins,
    cache: LoginCache,
    queue: LoginQueue<Decision>,
}

/// What credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Granted,
    /// 401
    Unauthorized,
    /// 429
    TooMany {
        retry_after: Duration,
    },
}

/// A decision, or who will send it.
enum Answer {
    Now(Decision, Option<RejectReason>),
    Later(oneshot::Receiver<Decision>),
}

impl Authenticator {
    /// None if no credentials are required.
    pub(crate) fn of(credentials: Credentials, telemetry: &Arc<Telemetry>) -> Option<Arc<Self>> {
        credentials.are_required().then(|| Arc::new(Self::new(credentials, Arc::clone(telemetry))))
    }

    fn new(credentials: Credentials, telemetry: Arc<Telemetry>) -> Self {
        let reasons = [
            RejectReason::NoCredentials,
            RejectReason::WrongCredentials,
            RejectReason::Failures,
            RejectReason::Logins,
        ];
        telemetry.show_rejections(&reasons);
        let cache = LoginCache::new(credentials.users());
        let state = Mutex::new(State { failed: FailedLogins::default(), cache, queue: LoginQueue::new() });
        Authenticator {
            shared: Arc::new(Shared { credentials, telemetry, state }),
            worker: Workers::new("prometheus-hyper-login", 1, IDLE),
            no_thread: Throttle::default(),
        }
    }

    /// What `WWW-Authenticate` says with a 401, line by line.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = String> {
        self.shared.credentials.challenges()
    }

    /// Checks the lines of `Authorization` of a request from this peer; one without an address is on a Unix socket.
    ///
    /// A login takes as long as bcrypt does, times those in front of it: up to nine. If this is dropped meanwhile, the login may
    /// be evicted for others; if it is not, and the password is right, it is remembered.
    pub(crate) async fn check<'h>(
        &self,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
    ) -> Decision {
        let (decision, reason) = match self.evaluate(peer, authorization, Instant::now()) {
            Answer::Now(decision, reason) => (decision, reason),
            Answer::Later(decision) => {
                // The sender is gone if the login was evicted, and if there is no thread.
                let decision = decision.await.unwrap_or(Decision::TooMany { retry_after: QUEUE_FULL });
                let reason = match decision {
                    Decision::Granted => None,
                    Decision::Unauthorized => Some(RejectReason::WrongCredentials),
                    Decision::TooMany { .. } => Some(RejectReason::Logins),
                };
                (decision, reason)
            }
        };
        if let Some(reason) = reason {
            self.shared.telemetry.count_rejection(reason);
            // Without the credentials, and without the user: people type their password where the name belongs.
            tracing::debug!(?peer, ?reason, "a request was not admitted");
        }
        decision
    }

    fn evaluate<'h>(
        &self,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
        now: Instant,
    ) -> Answer {
        // A token is long and random, so guessing is hopeless at any speed, and a right one needs no limit.
        let login = match self.shared.credentials.evaluate(authorization) {
            Evaluation::Accepted => return Answer::Now(Decision::Granted, None),
            Evaluation::Missing => {
                return Answer::Now(Decision::Unauthorized, Some(RejectReason::NoCredentials));
            }
            Evaluation::Wrong => None,
            Evaluation::Login(login) => Some(login),
        };
        let origin = Origin::of(peer);
        let mut state = self.shared.state.lock();
        let cached = login.as_ref().map_or(Cached::No, |login| state.cache.find(&login.digest, origin));
        if cached == Cached::Here {
            return Answer::Now(Decision::Granted, None);
        }
        if let Err(retry_after) = state.failed.count(origin, now) {
            return Answer::Now(Decision::TooMany { retry_after }, Some(RejectReason::Failures));
        }
        match login {
            Some(Login { user: Some(user), digest, .. }) if cached == Cached::Elsewhere => {
                state.grant(origin, user, digest, now);
                Answer::Now(Decision::Granted, None)
            }
            Some(login) => {
                let (reply, decision) = oneshot::channel();
                let evicted = state.queue.push(Waiting { origin, login, reply });
                if let Some(Waiting { origin, .. }) = &evicted {
                    // It was not verified, so it has not failed.
                    state.failed.take_back(*origin, now);
                }
                drop(state);
                // Whose sender is dropped hears of it.
                if evicted.is_none() {
                    self.wake();
                }
                Answer::Later(decision)
            }
            None => Answer::Now(Decision::Unauthorized, Some(RejectReason::WrongCredentials)),
        }
    }

    /// Has one more login verified.
    fn wake(&self) {
        let shared = Arc::clone(&self.shared);
        if let Err(error) = self.worker.run(move || shared.verify_next()) {
            let unverified = {
                let mut state = self.shared.state.lock();
                let unverified = state.queue.clear();
                // They were not verified, so they have not failed.
                let now = Instant::now();
                unverified.iter().for_each(|waiting| state.failed.take_back(waiting.origin, now));
                unverified
            };
            drop(unverified);
            if self.no_thread.allows() {
                tracing::error!(%error, "failed to spawn the password verifier thread; basic auth is unavailable");
            }
        }
    }
}

impl Drop for Authenticator {
    fn drop(&mut self) {
        // The thread ends after the login that it is at.
        drop(self.shared.clear_queue());
    }
}

impl Shared {
    fn clear_queue(&self) -> Vec<Waiting<Decision>> {
        self.state.lock().queue.clear()
    }

    fn verify_next(&self) {
        let next = self.state.lock().queue.pop();
        // Several with the same password are one verification.
        let Some(first) = next else { return };
        let user = first.login.verify();
        let now = Instant::now();
        let mut state = self.state.lock();
        let same = state.queue.take_same(first.login.digest);
        for Waiting { origin, login, reply } in std::iter::once(first).chain(same) {
            let decision = match user {
                Some(user) => {
                    state.grant(origin, user, login.digest, now);
                    Decision::Granted
                }
                None => Decision::Unauthorized,
            };
            // Nobody may wait for it any more.
            let _ = reply.send(decision);
        }
    }
}

impl State {
    fn grant(&mut self, origin: Origin, user: usize, digest: LoginDigest, now: Instant) {
        self.cache.insert(user, digest, origin);
        self.failed.take_back(origin, now);
    }
}

#[cfg(test)]
mod tests;
