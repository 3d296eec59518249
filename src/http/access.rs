//! What a request has to pass before it is answered.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;

use crate::auth::Verdict;
use crate::auth::authenticator::Gate;
use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimit;
use crate::http::allowed_hosts::Hosts;
use crate::telemetry::{Denial, Telemetry};
use crate::util::unwind::caught;

/// How often files are looked after while nobody asks for anything.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// The locks of a server.
pub(crate) struct Locks {
    /// The names in `Host` that are answered; any if there are none.
    pub(crate) hosts: Hosts,
    /// Whether `/-/healthy` and `/-/ready` are locked, too.
    pub(crate) auth_for_health: bool,
    /// Those in force.
    pub(crate) rules: RulesInForce,
    /// What connections are admitted by.
    pub(crate) grants: Grants,
    /// Whether the rules, or the certificates, come from files that are read again.
    pub(crate) follows_files: bool,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// What may change while the server runs.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// For every response.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Rules {
    pub(crate) fn new(
        gate: Option<Arc<Gate>>,
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
            telemetry.show_denials(&[Denial::Rate]);
        }
        Rules { gate, rate_limit, headers }
    }
}

/// Returns the rules of the moment.
pub(crate) type RulesInForce = Box<dyn Fn() -> Arc<Rules> + Send + Sync>;

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// With what `WWW-Authenticate` says.
    Unauthorized(Vec<HeaderValue>),
    TooMany(Duration),
    /// Its credentials could not be judged in time.
    Timeout,
}

impl Locks {
    pub(crate) fn rules(&self) -> Arc<Rules> {
        (self.rules)()
    }

    /// Looks after the files once a second, for ever. At requests and handshakes alone a change would not end the connections
    /// that are idle, and would count only at the second one after it.
    pub(crate) async fn follow_files(&self) {
        if !self.follows_files {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            // This is the accept loop's task, and a new version is logged: a layer of the host's that panics at an event must
            // not end the server.
            caught(|| drop(self.rules()));
        }
    }

    /// Lets a request pass, by this time.
    pub(crate) async fn pass(
        &self,
        rules: &Rules,
        peer: Option<IpAddr>,
        head: &Parts,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        if let Some(gate) = &rules.gate {
            let lines = head.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
            match tokio::time::timeout_at(deadline.into(), gate.check(peer, lines)).await {
                Ok(Verdict::Admitted) => {}
                Ok(Verdict::Unauthorized) => {
                    // They hold a constant.
                    let challenges = gate.challenges().filter_map(|challenge| challenge.try_into().ok());
                    return Err(Refusal::Unauthorized(challenges.collect()));
                }
                Ok(Verdict::TooMany { retry_after }) => return Err(Refusal::TooMany(retry_after)),
                Err(_) => return Err(Refusal::Timeout),
            }
        }
        // Behind the credentials: the bucket is one for all clients, and strangers would empty it. Their guesses have a
        // limit for each address.
        let Some(rate_limit) = &rules.rate_limit else { return Ok(()) };
        rate_limit.take(Instant::now()).map_err(|retry_after| {
            self.telemetry.count_denial(Denial::Rate);
            Refusal::TooMany(retry_after)
        })
    }

    /// Whether a request with the name in this head is answered; counts those that are not. The target's own name, if it has
    /// one, overrides Host (RFC 9112, section 3.2.2).
    pub(crate) fn allow_host(&self, head: &Parts) -> bool {
        let host = match head.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => head.headers.get(HOST).map(HeaderValue::as_bytes),
        };
        let allowed = self.hosts.allow(host);
        if !allowed {
            self.telemetry.count_denial(Denial::Host);
        }
        allowed
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").finish_non_exhaustive()
    }
}
