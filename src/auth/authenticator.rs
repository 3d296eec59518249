//! Decides whether a request's credentials are accepted. Passwords are verified on a separate thread, one at a time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::credentials::{Credentials, Evaluation, Login};
use super::failed_logins::{FailedLogins, Origin};
use super::login_cache::{Cached, LoginCache, LoginDigest};
use super::login_queue::{LoginQueue, QueuedLogin};
use crate::telemetry::{RejectReason, Telemetry};
use crate::util::throttle::Throttle;
use crate::util::worker::Workers;

/// `Retry-After` of a login that finds the queue full. At usual bcrypt costs the queue has a free entry by then.
const QUEUE_FULL: Duration = Duration::from_secs(1);
/// How long the thread waits for the next login.
const IDLE: Duration = Duration::from_secs(10);

/// Checks credentials.
///
/// Tokens, and passwords that succeeded before from the same address, are decided at once, under any load. The thread
/// `prometheus-hyper-login` verifies all other passwords, so logins take at most one core of the host.
#[derive(Debug)]
pub(crate) struct Authenticator {
    verifier: Arc<LoginVerifier>,
    worker: Workers,
    no_thread: Throttle,
}

#[derive(Debug)]
struct LoginVerifier {
    credentials: Credentials,
    telemetry: Arc<Telemetry>,
    state: Mutex<LoginState>,
}

#[derive(Debug)]
struct LoginState {
    failed: FailedLogins,
    cache: LoginCache,
    queue: LoginQueue<Decision>,
}

/// The result of a check.
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

/// A check whose decision is made, or is sent through the channel.
enum Check {
    Now(Decision, Option<RejectReason>),
    Later(oneshot::Receiver<Decision>),
}

impl Authenticator {
    /// Creates an authenticator. Returns `None` if no credentials are required.
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
        let state =
            Mutex::new(LoginState { failed: FailedLogins::default(), cache, queue: LoginQueue::new() });
        Authenticator {
            verifier: Arc::new(LoginVerifier { credentials, telemetry, state }),
            worker: Workers::new("prometheus-hyper-login", 1, IDLE),
            no_thread: Throttle::default(),
        }
    }

    /// Returns the values of `WWW-Authenticate` for a 401 to these `Authorization` lines, one per line.
    pub(crate) fn challenges<'h>(&self, lines: impl Iterator<Item = &'h [u8]>) -> Vec<String> {
        self.verifier.credentials.challenges(lines)
    }

    /// Checks the `Authorization` lines of a request from this peer. A peer on a Unix socket has no address.
    ///
    /// A login takes as long as bcrypt does, up to nine times that if others are queued. If this future is dropped,
    /// the queue may evict the login. Otherwise it is verified, and cached if the password is right.
    pub(crate) async fn check<'h>(
        &self,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
    ) -> Decision {
        let (decision, reason) = match self.evaluate(peer, authorization, Instant::now()) {
            Check::Now(decision, reason) => (decision, reason),
            Check::Later(decision) => {
                // The sender is dropped if the login was evicted, or if no thread can be started.
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
            self.verifier.telemetry.count_rejection(reason);
            // Logs neither credentials nor user, because people type their password as the user name.
            tracing::debug!(?peer, ?reason, "request rejected");
        }
        decision
    }

    fn evaluate<'h>(
        &self,
        peer: Option<IpAddr>,
        authorization: impl Iterator<Item = &'h [u8]>,
        now: Instant,
    ) -> Check {
        // A token is long and random, so guessing is hopeless at any speed. A valid token needs no limit.
        let login = match self.verifier.credentials.evaluate(authorization) {
            Evaluation::Accepted => return Check::Now(Decision::Granted, None),
            Evaluation::Missing => {
                return Check::Now(Decision::Unauthorized, Some(RejectReason::NoCredentials));
            }
            Evaluation::Wrong => None,
            Evaluation::Login(login) => Some(login),
        };
        let origin = Origin::of(peer);
        let mut state = self.verifier.state.lock();
        let cached = login.as_ref().map_or(Cached::No, |login| state.cache.find(&login.digest, origin));
        if cached == Cached::Here {
            return Check::Now(Decision::Granted, None);
        }
        if let Err(retry_after) = state.failed.count(origin, now) {
            return Check::Now(Decision::TooMany { retry_after }, Some(RejectReason::Failures));
        }
        match login {
            Some(Login { user: Some(user), digest, .. }) if cached == Cached::Elsewhere => {
                state.grant(origin, user, digest, now);
                Check::Now(Decision::Granted, None)
            }
            Some(login) => {
                let (reply, decision) = oneshot::channel();
                let evicted = state.queue.push(QueuedLogin { origin, login, reply });
                if let Some(QueuedLogin { origin, .. }) = &evicted {
                    // The login was not verified, so it does not count as failed.
                    state.failed.take_back(*origin, now);
                }
                drop(state);
                // An evicted login's receiver notices that its sender was dropped.
                if evicted.is_none() {
                    self.wake();
                }
                Check::Later(decision)
            }
            None => Check::Now(Decision::Unauthorized, Some(RejectReason::WrongCredentials)),
        }
    }

    /// Starts the verification of one more login.
    fn wake(&self) {
        let verifier = Arc::clone(&self.verifier);
        if let Err(error) = self.worker.run(move || verifier.verify_next()) {
            let mut state = self.verifier.state.lock();
            let unverified = state.queue.clear();
            // The logins were not verified, so they do not count as failed.
            let now = Instant::now();
            unverified.iter().for_each(|waiting| state.failed.take_back(waiting.origin, now));
            drop(state);
            drop(unverified);
            if self.no_thread.allows() {
                tracing::error!(%error, "failed to spawn the password verifier thread; basic auth is unavailable");
            }
        }
    }
}

impl Drop for Authenticator {
    fn drop(&mut self) {
        // The thread ends after its current login.
        let unverified = self.verifier.state.lock().queue.clear();
        drop(unverified);
    }
}

impl LoginVerifier {
    fn verify_next(&self) {
        let next = self.state.lock().queue.pop();
        // Logins with the same user and password share one verification.
        let Some(first) = next else { return };
        let user = first.login.verify();
        let now = Instant::now();
        let mut state = self.state.lock();
        let same = state.queue.take_same(first.login.digest);
        for QueuedLogin { origin, login, reply } in std::iter::once(first).chain(same) {
            let decision = match user {
                Some(user) => {
                    state.grant(origin, user, login.digest, now);
                    Decision::Granted
                }
                None => Decision::Unauthorized,
            };
            // The receiver may be gone.
            let _ = reply.send(decision);
        }
    }
}

impl LoginState {
    fn grant(&mut self, origin: Origin, user: usize, digest: LoginDigest, now: Instant) {
        self.cache.insert(user, digest, origin);
        self.failed.take_back(origin, now);
    }
}

#[cfg(test)]
mod tests;
