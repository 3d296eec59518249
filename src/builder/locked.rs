//! Who may come in, and by what they are told who they talk to.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::authenticator::Gate;
use crate::auth::credentials::Keyring;
use crate::auth::grants::Grants;
use crate::auth::rate_limit::RateLimit;
use crate::http::access::{Locks, Rules};
use crate::http::allowed_hosts::Hosts;
use crate::net::allow_list::AllowList;
use crate::net::allow_list::Network;
use crate::net::stream::Secure;
use crate::telemetry::{Denial, Telemetry};

use super::tls::TlsOptions;
use super::web_config;

/// Why a handler can not do what a web-config file says of TLS.
const NO_CONNECTIONS: &str = "a handler sees no connections: let the server around it secure them";

#[derive(Debug, Default)]
pub(super) struct Locked {
    pub(super) allow: Vec<String>,
    pub(super) keyring: Keyring,
    /// The time in which one more request may come, and how many may come at once.
    pub(super) rate_limit: Option<(Duration, u32)>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) auth_for_health: bool,
    pub(super) tls: TlsOptions,
    pub(super) web_config: Option<ConfigFile>,
}

/// The web-config file, and the option or flag that it comes from, with which errors and warnings begin.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) option: &'static str,
}

/// What a request passes, and what a connection is secured with, at the moment.
pub(super) struct InForce {
    pub(super) rules: Box<dyn Fn() -> Arc<Rules> + Send + Sync>,
    pub(super) tls: Option<Arc<dyn Secure>>,
    /// Whether the web-config file lets nobody in without a certificate that it can verify.
    pub(super) verifies_clients: bool,
}

impl Locked {
    /// What makes no sense, beginning with the option's name.
    pub(super) fn fault(&self) -> Option<String> {
        for network in &self.allow {
            if let Err(reason) = network.parse::<Network>() {
                return Some(format!("allow_network: {network:?} {reason}"));
            }
        }
        let mut hosts = Hosts::default();
        if let Some(host) = self.allowed_hosts.iter().find(|host| !hosts.push(host)) {
            return Some(format!("allowed_hosts: {host:?} is no host name or address without a port"));
        }
        if let Some(ConfigFile { path, option }) = &self.web_config {
            let others = [
                ("tls_config, tls_files, tls_client_ca", self.tls.is_set()),
                ("bearer_token, basic_auth", self.keyring.is_locked()),
                ("rate_limit", self.rate_limit.is_some()),
            ];
            if let Some((others, _)) = others.iter().find(|(_, is_set)| *is_set) {
                let path = path.display();
                return Some(format!("{option}: {path}: {others}: the file says that, or the builder"));
            }
        }
        self.tls.fault().or_else(|| self.keyring.fault().map(str::to_owned))
    }

    /// What was asked for, and a handler can not do.
    pub(super) fn not_for_handlers(&self) -> Option<&'static str> {
        let table = [
            (
                !self.allow.is_empty(),
                "allow_network: a handler sees no addresses: let the server around it look at them",
            ),
            (
                self.tls.is_set(),
                "tls_config: a handler sees no connections: let the server around it secure them",
            ),
        ];
        table.into_iter().find_map(|(asked_for, sentence)| asked_for.then_some(sentence))
    }

    /// Those who may connect.
    pub(super) fn allow_list(&self, telemetry: &Telemetry) -> AllowList {
        let mut list = AllowList::default();
        if !self.allow.is_empty() {
            telemetry.show_denials(&[Denial::Address]);
        }
        self.allow.iter().filter_map(|network| network.parse().ok()).for_each(|network| list.push(network));
        list
    }

    /// Reads what is in files, if anything is.
    pub(super) fn open(self, telemetry: &Arc<Telemetry>) -> io::Result<(Locks, Option<Arc<dyn Secure>>)> {
        let Locked { allow: _, keyring, rate_limit, allowed_hosts, auth_for_health, tls, web_config } = self;
        let grants = Grants::default();
        let follows_files = web_config.is_some() || tls.has_files();
        let InForce { rules, tls, verifies_clients: _ } = match web_config {
            Some(file) => web_config::open(file, telemetry, &grants)?,
            None => settled(keyring, rate_limit, tls.open(telemetry, &grants)?, telemetry),
        };
        let locks = locks(rules, &allowed_hosts, auth_for_health, telemetry);
        Ok((Locks { grants, follows_files, ..locks }, tls))
    }

    /// The same without connections; where that, or a fault, would leave a lock away, nobody is let in.
    pub(super) fn open_for_handler(self, telemetry: &Arc<Telemetry>) -> Locks {
        let fault = self.fault();
        let Locked { allow: _, keyring, rate_limit, allowed_hosts, auth_for_health, tls: _, web_config } =
            self;
        let nobody = || settled(Keyring::default(), Some((Duration::MAX, 0)), None, telemetry);
        let in_force = match web_config {
            None => settled(keyring, rate_limit, None, telemetry),
            Some(file) => {
                let named = format!("{}: {}", file.option, file.path.display());
                // Connections are the surrounding server's.
                match (web_config::open(file, telemetry, &Grants::default()), fault) {
                    (Ok(in_force), None) => {
                        if in_force.tls.is_some() {
                            tracing::error!("{named}: tls_server_config: {NO_CONNECTIONS}");
                        }
                        if in_force.verifies_clients {
                            tracing::error!("{named}: client_auth_type: nobody is let in");
                            nobody()
                        } else {
                            in_force
                        }
                    }
                    (Err(error), _) => {
                        tracing::error!(%error, "nobody is let in");
                        nobody()
                    }
                    // What stands beside it has been told, and one of the two locks would be left away.
                    (Ok(_), Some(_)) => nobody(),
                }
            }
        };
        locks(in_force.rules, &allowed_hosts, auth_for_health, telemetry)
    }
}

/// What does not change while the server runs, but for certificates.
fn settled(
    keyring: Keyring,
    rate_limit: Option<(Duration, u32)>,
    tls: Option<Arc<dyn Secure>>,
    telemetry: &Arc<Telemetry>,
) -> InForce {
    let rate_limit = rate_limit.filter(|(interval, _)| !interval.is_zero());
    let rate_limit = rate_limit.map(|(interval, burst)| RateLimit::new(interval, burst));
    let rules =
        Arc::new(Rules::new(Gate::of(keyring, telemetry).map(Arc::new), rate_limit, Vec::new(), telemetry));
    let of_rules = tls.clone();
    let rules = move || {
        // A connection that is kept for weeks has no handshake, and what is told of the certificate is to be true.
        if let Some(tls) = &of_rules {
            tls.look();
        }
        Arc::clone(&rules)
    };
    InForce { rules: Box::new(rules), tls, verifies_clients: false }
}

fn locks(
    rules: Box<dyn Fn() -> Arc<Rules> + Send + Sync>,
    allowed_hosts: &[String],
    auth_for_health: bool,
    telemetry: &Arc<Telemetry>,
) -> Locks {
    let mut hosts = Hosts::default();
    for host in allowed_hosts {
        hosts.push(host);
    }
    if !hosts.is_empty() {
        telemetry.show_denials(&[Denial::Host]);
    }
    let (grants, follows_files) = (Grants::default(), false);
    Locks { hosts, auth_for_health, rules, grants, follows_files, telemetry: Arc::clone(telemetry) }
}
