//! Options of who may connect and ask.

use std::time::Duration;

use super::Builder;
use crate::auth::rate_limit::RateLimiter;

impl Builder {
    /// Admits only clients of this network, such as `10.0.0.0/8` or `2001:db8::1`; repeatable.
    ///
    /// The server checks a connection when it accepts it. It closes others before it reads a byte, counts them in
    /// `prometheus_exporter_denied_total{reason="address"}`, and logs them at debug level. An IPv4-mapped address counts as its IPv4
    /// address. Peers on a Unix socket pass. Behind a proxy the address is the proxy's.
    ///
    /// Default: all.
    pub fn allow_network(mut self, network: impl Into<String>) -> Self {
        let network = network.into();
        match network.parse() {
            Ok(network) => self.server.allow.push(network),
            Err(reason) => self.faults.add("allow_network", format!("allow_network: {network:?} {reason}")),
        }
        self.faults.of_server("allow_network");
        self
    }

    /// Sets whether `/-/healthy` and `/-/ready` need credentials and count for the [rate limit](Self::rate_limit), too.
    ///
    /// Default: `false`, because an orchestrator has no credentials, and frequent checks must not fail.
    pub fn auth_for_health(mut self, required: bool) -> Self {
        self.access.auth_for_health = required;
        self.faults.of_server("auth_for_health");
        self
    }

    /// Answers `burst` requests at once and one more each `interval`; others get a 429 with `Retry-After`.
    ///
    /// Both must be above zero. The limit is one for all clients. With credentials it counts only requests whose credentials are
    /// right, so that clients without them cannot use it up. Failed logins have a limit of their own for each address; see
    /// [`basic_auth`](#method.basic_auth).
    ///
    /// Default: no limit.
    pub fn rate_limit(mut self, interval: Duration, burst: u32) -> Self {
        let is_zero = interval.is_zero() || burst == 0;
        let fault = is_zero.then(|| "rate_limit: interval and burst must be above zero".to_owned());
        self.faults.check("rate_limit", fault);
        self.access.rate_limit = Some(RateLimiter::new(interval, burst));
        self
    }

    /// Answers only requests whose `Host` is one of these names, without case and port; others get a 403.
    ///
    /// This prevents DNS rebinding, which lets a foreign web page read the metrics through a browser in your network. The `Host` that
    /// such a browser sends is the page's own name.
    ///
    /// The names hold for every path except `/-/healthy` and `/-/ready`, before the credentials are checked, and for a
    /// [mounted handler](Self::into_handler). List what your scrapers ask by, too: Prometheus sends the target's address, such as
    /// `10.0.0.7`. A request without a `Host`, as HTTP/1.0 allows it, gets the 403.
    ///
    /// An empty list is an error of [`bind`](Self::bind) and [`into_handler`](Self::into_handler). To allow any host, do not set the
    /// option.
    ///
    /// Default: any.
    pub fn allowed_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        let mut is_empty = self.access.allowed_hosts.is_empty();
        for host in hosts.into_iter().map(Into::into) {
            is_empty = false;
            if !self.access.allowed_hosts.push(&host) {
                let fault = format!("allowed_hosts: {host:?} is no host name or address without a port");
                self.faults.add("allowed_hosts", fault);
            }
        }
        if is_empty {
            let fault = "allowed_hosts: an empty list (expected at least one name)";
            self.faults.add("allowed_hosts", fault.to_owned());
        }
        self
    }
}
