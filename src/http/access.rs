//! What a request has to pass before it is answered.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;
#[cfg(feature = "auth")]
use http::header::AUTHORIZATION;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;

#[cfg(feature = "auth")]
use crate::auth::authenticator::{Authenticator, Decision};
use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimit;
use crate::http::allowed_hosts::AllowedHosts;
use crate::http::body::Body;
use crate::http::responses;
use crate::telemetry::{Cause, RejectReason, Telemetry};
use crate::util::unwind::caught;

/// How often files are checked while there are no requests.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The access control of a server.
pub(crate) struct AccessControl {
    /// The names in `Host` that are answered; any if there are none.
    pub(crate) hosts: AllowedHosts,
    /// Whether `/-/healthy` and `/-/ready` need credentials, too.
    pub(crate) auth_for_health: bool,
    /// The one in force.
    pub(crate) policy: PolicyInForce,
    /// Ends connections whose policy no longer holds.
    pub(crate) grants: Grants,
    /// Whether the policy, or the certificates, come from files that are read again.
    pub(crate) follows_files: bool,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// Checks the credentials of requests.
pub(crate) trait Authenticate: Send + Sync {
    /// Passes or rejects a request from this peer.
    fn authenticate<'a>(&'a self, peer: Option<IpAddr>, head: &'a Parts) -> Authentication<'a>;
}

type Authentication<'a> = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send + 'a>>;

/// What may change while the server runs.
#[derive(Default)]
pub(crate) struct Policy {
    /// None: requests need no credentials.
    pub(crate) authenticator: Option<Arc<dyn Authenticate>>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// For every response.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    pub(crate) fn new(
        authenticator: Option<Arc<dyn Authenticate>>,
        rate_limit: Option<RateLimit>,
        headers: Vec<(&'static str, String)>,
        telemetry: &Telemetry,
    ) -> Self {
        // Whatever a header's value may be, the file's reader has let nothing else pass.
        let header = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        };
        let headers = headers.into_iter().filter_map(header).collect();
        if rate_limit.is_some() {
            telemetry.show_rejections(&[RejectReason::Rate]);
        }
        Policy { authenticator, rate_limit, headers }
    }
}

/// Returns the rules of the moment.
pub(crate) type PolicyInForce = Box<dyn Fn() -> Arc<Policy> + Send + Sync>;

/// Why a request is not answered.
#[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "there are no credentials"))]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Its Host is not on the list.
    Host,
    /// With what `WWW-Authenticate` says.
    Unauthorized {
        challenges: Vec<HeaderValue>,
        has_credentials: bool,
    },
    TooMany(Duration),
    /// Its credentials could not be checked in time.
    Timeout,
}

impl AccessControl {
    pub(crate) fn policy(&self) -> Arc<Policy> {
        (self.policy)()
    }

    /// Checks the files once a second, for ever. If only requests and handshakes did, a change would not end idle connections, and
    /// would count only at the second one after it.
    pub(crate) async fn follow_files(&self) {
        if !self.follows_files {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            // This is the accept loop's task, and a new version is logged: a panic in a layer of the host program must not end
            // the server.
            caught(|| drop(self.policy()));
        }
    }

    /// Admits or rejects a request, before this time.
    ///
    /// # Errors
    ///
    /// Why it is rejected.
    pub(crate) async fn admit(
        &self,
        policy: &Policy,
        peer: Option<IpAddr>,
        head: &Parts,
        is_health: bool,
        deadline: Instant,
    ) -> Result<(), Rejection> {
        // An orchestrator asks for health by address, and there is nothing to read in it. Before the credentials, so that a page
        // elsewhere cannot make a browser guess with the ones it remembers.
        if !is_health && !self.allow_host(head) {
            self.telemetry.count_rejection(RejectReason::Host);
            return Err(Rejection::Host);
        }
        if is_health && !self.auth_for_health {
            return Ok(());
        }
        if let Some(authenticator) = &policy.authenticator {
            let authentication = authenticator.authenticate(peer, head);
            tokio::time::timeout_at(deadline.into(), authentication).await.unwrap_or_else(|_| {
                self.telemetry.count_error(Cause::Timeout);
                Err(Rejection::Timeout)
            })?;
        }
        // After the credentials: there is one bucket for all clients, and strangers would empty it. Their guesses are limited by
        // address.
        let Some(rate_limit) = &policy.rate_limit else { return Ok(()) };
        rate_limit.take(Instant::now()).map_err(|retry_after| {
            self.telemetry.count_rejection(RejectReason::Rate);
            Rejection::TooMany(retry_after)
        })
    }

    /// Whether a request with the name in this head is answered. The target's own name, if it has one, overrides Host
    /// (RFC 9112, section 3.2.2).
    fn allow_host(&self, head: &Parts) -> bool {
        let host = match head.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => head.headers.get(HOST).map(HeaderValue::as_bytes),
        };
        self.hosts.allow(host)
    }
}

impl From<Rejection> for Response<Body> {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Host => responses::host_not_allowed(),
            Rejection::Unauthorized { challenges, has_credentials } => {
                responses::unauthorized(challenges, has_credentials)
            }
            Rejection::TooMany(retry_after) => responses::too_many_requests(retry_after),
            Rejection::Timeout => {
                responses::unavailable("503: the credentials were not verified in time. Try again.\n")
            }
        }
    }
}

#[cfg(feature = "auth")]
impl Authenticate for Authenticator {
    fn authenticate<'a>(&'a self, peer: Option<IpAddr>, head: &'a Parts) -> Authentication<'a> {
        Box::pin(async move {
            let lines = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
            match self.check(peer, lines).await {
                Decision::Granted => Ok(()),
                Decision::Unauthorized => {
                    // Constants, which are valid.
                    let challenges = self.challenges().filter_map(|challenge| challenge.try_into().ok());
                    Err(Rejection::Unauthorized {
                        challenges: challenges.collect(),
                        has_credentials: head.headers.contains_key(AUTHORIZATION),
                    })
                }
                Decision::TooMany { retry_after } => Err(Rejection::TooMany(retry_after)),
            }
        })
    }
}
