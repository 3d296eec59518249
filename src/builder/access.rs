//! Options of who may connect and ask.

use std::time::Duration;

use super::Builder;
use crate::auth::rate_limit::RateLimit;

impl Builder {
    /// Lets only this network connect, such as `10.0.0.0/8` or `2001:db8::1`; repeatable. Default: all.
    ///
    /// Checked when a connection is accepted, before a byte of it is read: others are closed, counted in
    /// `prometheus_exporter_denied_total{reason="address"}` and logged at debug level. An IPv4-mapped address counts as its IPv4 address;
    /// peers on a Unix socket pass. Behind a proxy the address is the proxy's.
    pub fn allow_network(mut self, network: impl Into<String>) -> Self {
        let network = network.into();
        match network.parse() {
            Ok(network) => self.server.allow.push(network),
            Err(reason) => self.faults.add("allow_network", format!("allow_network: {network:?} {reason}")),
        }
        self.faults.of_server("allow_network");
        self
    }

    /// Admits clients that send this token (RFC 6750); repeatable, so that one can replace another. With
    /// [`basic_auth`](Self::basic_auth) either is enough. Default: none, and everybody is admitted.
    ///
    /// A token is of ASCII letters, digits and `-._~+/`; let it be long and random. Its digest is kept, and compared in constant
    /// time. A client that sends none, or a wrong one, gets a 401. `/-/healthy` and `/-/ready` stay open; see
    /// [`auth_for_health`](Self::auth_for_health). Without TLS the token can be read on the way.
    #[cfg(feature = "auth")]
    pub fn bearer_token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.access.credentials.add_token(token.as_ref());
        self
    }

    /// Admits this user with the password of which this is the bcrypt hash (RFC 7617; `htpasswd -nBC 10 USER` makes one);
    /// repeatable. Default: none, and everybody is admitted.
    ///
    /// Passwords are verified on a thread of their own, one at a time, and at most eight logins wait. Beyond that, and after ten wrong
    /// passwords from one address, the response is a 429 with `Retry-After`. A login that succeeded is remembered, as a digest, and
    /// costs nothing from then on from the addresses it came from. An unknown user costs what a known one does.
    ///
    /// The cost of the hash is 16 at most, which takes some four seconds; a higher one is an error of [`bind`](Self::bind).
    #[cfg(feature = "auth")]
    pub fn basic_auth(mut self, user: impl AsRef<str>, bcrypt_hash: impl AsRef<str>) -> Self {
        self.access.credentials.add_user(user.as_ref(), bcrypt_hash.as_ref());
        self
    }

    /// Sets whether `/-/healthy` and `/-/ready` need credentials and count for the [rate limit](Self::rate_limit), too. Default: `false`,
    /// because an orchestrator has no credentials, and a program that is asked often is not unhealthy.
    pub fn auth_for_health(mut self, required: bool) -> Self {
        self.access.auth_for_health = required;
        self.faults.of_server("auth_for_health");
        self
    }

    /// Answers `burst` requests at once and one more each `interval`; others get a 429 with `Retry-After`. Both are above zero.
    /// Default: no limit.
    ///
    /// The limit is one for all clients. With credentials it counts only requests whose credentials are right, so that clients without
    /// them cannot use it up. Failed logins have a limit of their own for each address; see [`basic_auth`](Self::basic_auth).
    pub fn rate_limit(mut self, interval: Duration, burst: u32) -> Self {
        let is_zero = interval.is_zero() || burst == 0;
        let fault = is_zero.then(|| "rate_limit: interval and burst must be above zero".to_owned());
        self.faults.check("rate_limit", fault);
        self.access.rate_limit = Some(RateLimit::new(interval, burst));
        self
    }

    /// Answers only requests whose `Host` is one of these names, exactly, without the port; others get a 403. Default: any.
    ///
    /// Prevents DNS rebinding: a page elsewhere can give its own name your address, and so make a browser inside your network
    /// read what is served here. The `Host` that this browser sends is the page's own name.
    ///
    /// The names hold for every path except `/-/healthy` and `/-/ready`, before the credentials are looked at, and for a
    /// [mounted handler](Self::into_handler). List what your scrapers ask by, too: Prometheus sends the target's address as
    /// `Host`, such as `10.0.0.7`. A request without a `Host`, as HTTP/1.0 allows it, gets the 403.
    pub fn allowed_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        for host in hosts.into_iter().map(Into::into) {
            if !self.access.allowed_hosts.push(&host) {
                let fault = format!("allowed_hosts: {host:?} is no host name or address without a port");
                self.faults.add("allowed_hosts", fault);
            }
        }
        self
    }
}
