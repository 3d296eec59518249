//! Who may ask, and how connections are secured.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimiter;
use crate::http::access::{AccessControl, Authenticate, Policies, Policy};
use crate::http::allowed_hosts::AllowedHosts;
use crate::net::stream::Secure;
use crate::telemetry::{RejectReason, Telemetry};
use crate::util::io_error;

/// Reads certificates from files. Another client CA, if there is one, revokes the grants.
type OpenTls =
    dyn FnOnce(Option<PathBuf>, &Arc<Telemetry>, &Grants) -> io::Result<Arc<dyn Secure>> + Send + Sync;

/// Reads a web-config file.
type OpenWebConfig = dyn FnOnce(&Arc<Telemetry>, &Grants) -> io::Result<(Arc<dyn Policies>, Option<Arc<dyn Secure>>)>
    + Send
    + Sync;

/// Tokens and users. One that has a fault is required all the same, and opens nothing.
#[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "nothing adds to them"))]
pub(crate) trait CredentialOptions: Send + Sync {
    fn add_token(&mut self, token: &[u8]);

    fn add_user(&mut self, name: &str, hash: &str);

    /// What cannot be used, beginning with the option's name.
    fn faults(&self) -> &[String];

    fn authenticator(self: Box<Self>, telemetry: &Arc<Telemetry>) -> Option<Arc<dyn Authenticate>>;
}

#[derive(Default)]
pub(crate) struct AccessOptions {
    pub(crate) credentials: Option<Box<dyn CredentialOptions>>,
    pub(crate) rate_limit: Option<RateLimiter>,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) auth_for_health: bool,
    /// The user's own configuration.
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) tls_files: Option<Box<OpenTls>>,
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// With the option or flag that it comes from, and its path.
    pub(crate) web_config: Option<(String, Box<OpenWebConfig>)>,
}

impl AccessOptions {
    /// What is wrong with all of it together.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults =
            self.credentials.as_ref().map(|credentials| credentials.faults().to_vec()).unwrap_or_default();
        let tls = match (&self.tls, &self.tls_files, &self.tls_client_ca) {
            (Some(_), Some(_), _) => "tls_files: tls_config has a certificate already",
            (Some(_), None, Some(_)) => "tls_client_ca: tls_config has a verifier of its own",
            (None, None, Some(_)) => "tls_client_ca: without tls_files there is no TLS to verify clients in",
            _ => "",
        };
        if !tls.is_empty() {
            faults.push(tls.to_owned());
        }
        if let Some((file, _)) = &self.web_config {
            let has_tls = self.tls.is_some() || self.tls_files.is_some() || self.tls_client_ca.is_some();
            let others = [
                ("tls_config, tls_files, tls_client_ca", has_tls),
                ("bearer_token, basic_auth", self.credentials.is_some()),
                ("rate_limit", self.rate_limit.is_some()),
            ];
            let others = others.iter().filter(|(_, is_set)| *is_set);
            faults.extend(
                others.map(|(others, _)| format!("{file}: {others}: the file says that, or the builder")),
            );
        }
        faults
    }

    /// Reads what is in files, if anything is.
    pub(crate) fn open(
        self,
        telemetry: &Arc<Telemetry>,
    ) -> io::Result<(AccessControl, Option<Arc<dyn Secure>>)> {
        let AccessOptions {
            credentials,
            rate_limit,
            allowed_hosts,
            auth_for_health,
            tls,
            tls_files,
            tls_client_ca,
            web_config,
        } = self;
        if !allowed_hosts.is_empty() {
            telemetry.show_rejections(&[RejectReason::Host]);
        }
        let authenticator = credentials.and_then(|credentials| credentials.authenticator(telemetry));
        let grants = Grants::default();
        let has_files = web_config.is_some() || tls_files.is_some();
        let (policies, tls) = if let Some((_, open)) = web_config {
            open(telemetry, &grants)?
        } else {
            let tls = match tls_files {
                Some(open) => Some(open(tls_client_ca, telemetry, &grants)?),
                None => tls,
            };
            let rate_limit = rate_limit.map(|limit| Arc::new(limit.into()));
            let policy = Arc::new(Policy::new(authenticator, rate_limit, Vec::new(), telemetry));
            (Arc::new(Settled { policy, tls: tls.clone() }) as _, tls)
        };
        let telemetry = Arc::clone(telemetry);
        Ok((
            AccessControl { hosts: allowed_hosts, auth_for_health, policies, grants, has_files, telemetry },
            tls,
        ))
    }

    /// The same for a mounted handler, which has no connections to secure.
    pub(crate) fn open_for_handler(self, telemetry: &Arc<Telemetry>) -> io::Result<AccessControl> {
        let file = self.web_config.as_ref().map(|(file, _)| file.clone());
        let (access, tls) = self.open(telemetry)?;
        match (tls, file) {
            (Some(_), Some(file)) => {
                let reason = "a mounted handler has no connections: secure them in the server around it";
                let sentence = format!("{file}: tls_server_config: {reason}");
                Err(io_error::new(io::ErrorKind::InvalidInput, sentence))
            }
            _ => Ok(access),
        }
    }
}

/// A policy that does not change while the server runs. Certificates may.
struct Settled {
    policy: Arc<Policy>,
    tls: Option<Arc<dyn Secure>>,
}

impl Policies for Settled {
    fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    fn check_files(&self) {
        if let Some(tls) = &self.tls {
            tls.look();
        }
    }
}
