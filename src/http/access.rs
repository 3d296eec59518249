//! Access control of requests: host, credentials, rate limit.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::Response;
#[cfg(feature = "auth")]
use http::header::AUTHORIZATION;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use parking_lot::Mutex;
use tokio::sync::oneshot;

#[cfg(feature = "auth")]
use crate::auth::authenticator::{Authenticator, Decision};
use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimiter;
use crate::http::allowed_hosts::AllowedHosts;
use crate::http::body::Body;
use crate::http::responses;
use crate::telemetry::{Cause, RejectReason, Telemetry};
use crate::util::throttle::Throttle;
use crate::util::unwind::caught;
use crate::util::worker::Workers;

/// How often the server checks its files.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Time after which a check is logged as hanging. The files are small.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// The access control of a server.
pub(crate) struct AccessControl {
    /// Names that `Host` may have. Empty: any name.
    pub(crate) hosts: AllowedHosts,
    /// Whether `/-/healthy` and `/-/ready` need credentials too.
    pub(crate) auth_for_health: bool,
    pub(crate) policies: Arc<dyn Policies>,
    /// Ends connections whose policy has been replaced.
    pub(crate) grants: Grants,
    /// Whether the policy or the certificates come from files that are reloaded.
    pub(crate) has_files: bool,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// Authenticator of requests.
pub(crate) trait Authenticate: Send + Sync {
    /// Passes or rejects a request from this peer.
    fn authenticate<'a>(&'a self, peer: Option<IpAddr>, head: &'a Parts) -> Authentication<'a>;
}

type Authentication<'a> = Pin<Box<dyn Future<Output = Result<(), Response<Body>>> + Send + 'a>>;

/// The part of the access control that may change while the server runs.
#[derive(Default)]
pub(crate) struct Policy {
    /// `None`: requests need no credentials.
    pub(crate) authenticator: Option<Arc<dyn Authenticate>>,
    /// Shared by all clients, and by versions of the policy with the same limit.
    pub(crate) rate_limit: Option<Arc<Mutex<RateLimiter>>>,
    /// Headers of every response.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    pub(crate) fn new(
        authenticator: Option<Arc<dyn Authenticate>>,
        rate_limit: Option<Arc<Mutex<RateLimiter>>>,
        headers: Vec<(HeaderName, HeaderValue)>,
        telemetry: &Telemetry,
    ) -> Self {
        if rate_limit.is_some() {
            telemetry.show_rejections(&[RejectReason::Rate]);
        }
        Policy { authenticator, rate_limit, headers }
    }
}

/// The policy, and the files that it comes from.
pub(crate) trait Policies: Send + Sync {
    /// Returns the current policy. Never blocks.
    fn current(&self) -> Arc<Policy>;

    /// Checks the files, if the last check is a second old and has ended. Reads them on this thread.
    fn check_files(&self);
}

impl AccessControl {
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policies.current()
    }

    /// Checks the files once a second, forever. If only requests and handshakes did, a change would not end idle
    /// connections.
    ///
    /// The checks run on a thread of their own. If the file system hangs, all others go on with the last good version.
    pub(crate) async fn follow_files(&self) {
        if !self.has_files {
            std::future::pending::<()>().await;
        }
        // With the name of the server's other threads.
        let workers =
            Workers::new(thread::current().name().unwrap_or("prometheus-hyper"), 1, 2 * FOLLOW_EVERY);
        let throttle = Throttle::default();
        let warn = |reason: &dyn fmt::Display| {
            if throttle.allows() {
                caught(
                    || tracing::warn!(%reason, "failed to check the certificate and web-config files for changes"),
                );
            }
        };
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            let policies = Arc::clone(&self.policies);
            let (end, mut ended) = oneshot::channel::<()>();
            let checks = workers.run(move || {
                let _end = end;
                policies.check_files();
            });
            if let Err(error) = checks {
                warn(&error);
            } else if tokio::time::timeout(HANGS_AFTER, &mut ended).await.is_err() {
                warn(&"the file system does not answer");
                let _ = ended.await;
            }
        }
    }

    /// Admits or rejects a request before the deadline.
    ///
    /// # Errors
    ///
    /// Returns the response to the rejected request.
    pub(crate) async fn admit(
        &self,
        policy: &Policy,
        peer: Option<IpAddr>,
        head: &Parts,
        is_health: bool,
        deadline: Instant,
    ) -> Result<(), Response<Body>> {
        // Health checks are exempt: an orchestrator uses an address, and the response contains no data. The host is
        // checked before the credentials, so that a foreign page cannot make a browser send cached credentials.
        if !is_health && !self.allow_host(head) {
            self.telemetry.count_rejection(RejectReason::Host);
            return Err(responses::host_not_allowed());
        }
        if is_health && !self.auth_for_health {
            return Ok(());
        }
        if let Some(authenticator) = &policy.authenticator {
            let authentication = authenticator.authenticate(peer, head);
            let Ok(authenticated) = tokio::time::timeout_at(deadline.into(), authentication).await else {
                self.telemetry.count_error(Cause::Timeout);
                let sentence = "503: the credentials were not verified in time. Try again.\n";
                return Err(responses::unavailable(sentence));
            };
            authenticated?;
        }
        // The rate limit comes after the credentials. All clients share one bucket, which unauthenticated clients
        // could empty. Their guesses are limited per address.
        let Some(rate_limit) = &policy.rate_limit else { return Ok(()) };
        let taken = rate_limit.lock().take(Instant::now());
        taken.map_err(|retry_after| {
            self.telemetry.count_rejection(RejectReason::Rate);
            responses::too_many("requests", retry_after)
        })
    }

    /// Returns whether the host of this request is allowed. The authority of the target, if any, overrides Host (RFC
    /// 9112, section 3.2.2).
    fn allow_host(&self, head: &Parts) -> bool {
        let host = match head.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => head.headers.get(HOST).map(HeaderValue::as_bytes),
        };
        self.hosts.allow(host)
    }
}

#[cfg(feature = "auth")]
impl Authenticate for Authenticator {
    fn authenticate<'a>(&'a self, peer: Option<IpAddr>, head: &'a Parts) -> Authentication<'a> {
        Box::pin(async move {
            let lines = || head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
            match self.check(peer, lines()).await {
                Decision::Granted => Ok(()),
                Decision::Unauthorized => {
                    // The challenges are constants and valid.
                    let challenges = self.challenges(lines()).into_iter();
                    let challenges = challenges.filter_map(|challenge| challenge.try_into().ok());
                    let has_credentials = head.headers.contains_key(AUTHORIZATION);
                    Err(responses::unauthorized(challenges.collect(), has_credentials))
                }
                Decision::TooMany { retry_after } => {
                    Err(responses::too_many("logins, or failed logins from this address", retry_after))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A file system that does not answer before the end.
    struct Hangs(Mutex<Option<oneshot::Sender<()>>>, Mutex<mpsc::Receiver<()>>);

    impl Policies for Hangs {
        fn current(&self) -> Arc<Policy> {
            Arc::default()
        }

        fn check_files(&self) {
            if let Some(begun) = self.0.lock().take() {
                begun.send(()).unwrap();
            }
            let _ = self.1.lock().recv();
        }
    }

    /// The checks ran on the thread of all connections.
    #[tokio::test]
    async fn a_hanging_file_system_blocks_nothing_else() {
        let (begun, has_begun) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let access = Arc::new(AccessControl {
            hosts: AllowedHosts::default(),
            auth_for_health: false,
            policies: Arc::new(Hangs(Mutex::new(Some(begun)), Mutex::new(ended))),
            grants: Grants::default(),
            has_files: true,
            telemetry: Arc::new(Telemetry::new()),
        });
        let followed = Arc::clone(&access);
        let following = tokio::spawn(async move { followed.follow_files().await });
        has_begun.await.unwrap();
        assert!(access.policy().authenticator.is_none());
        following.abort();
        assert!(following.await.unwrap_err().is_cancelled());
        drop(end);
    }
}
