//! Who may come in.

use std::sync::Arc;
use std::time::Duration;

use crate::access::credentials::Keyring;
use crate::access::{AllowList, Hosts, Network, RateLimit};
use crate::authentication::Gate;
use crate::locks::{Locks, Rules};
use crate::telemetry::{Denial, Telemetry};

#[derive(Debug, Default)]
pub(super) struct Locked {
    pub(super) allow: Vec<String>,
    pub(super) keyring: Keyring,
    /// The time in which one more request may come, and how many may come at once.
    pub(super) rate_limit: Option<(Duration, u32)>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) protect_health: bool,
}

impl Locked {
    /// What makes no sense, beginning with the option's name.
    pub(super) fn fault(&self) -> Option<String> {
        for network in &self.allow {
            if let Err(reason) = network.parse::<Network>() {
                return Some(format!("allow: {network:?} {reason}"));
            }
        }
        let mut hosts = Hosts::default();
        if let Some(host) = self.allowed_hosts.iter().find(|host| !hosts.push(host)) {
            return Some(format!("allowed_hosts: {host:?} is no host name or address without a port"));
        }
        self.keyring.fault().map(str::to_owned)
    }

    /// What was asked for, and a handler can not do.
    pub(super) fn not_for_handlers(&self) -> Option<String> {
        let first = self.allow.first()?;
        Some(format!("allow: {first:?}: a handler sees no addresses; let the server around it look at them"))
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

    pub(super) fn locks(self, telemetry: &Arc<Telemetry>) -> Locks {
        let Locked { allow: _, keyring, rate_limit, allowed_hosts, protect_health } = self;
        let mut hosts = Hosts::default();
        for host in &allowed_hosts {
            hosts.push(host);
        }
        if !hosts.is_empty() {
            telemetry.show_denials(&[Denial::Host]);
        }
        let rate_limit = rate_limit.filter(|(interval, _)| !interval.is_zero());
        let rate_limit = rate_limit.map(|(interval, burst)| RateLimit::new(interval, burst));
        let rules = Arc::new(Rules::new(Gate::of(keyring, telemetry), rate_limit, Vec::new(), telemetry));
        Locks {
            hosts,
            protect_health,
            rules: Box::new(move || Arc::clone(&rules)),
            telemetry: Arc::clone(telemetry),
        }
    }
}
