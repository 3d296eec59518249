//! Names that `Host` may have.
//!
//! They prevent DNS rebinding. An attacker's page makes its own name resolve to this server. A browser inside the
//! network then reads the metrics for the page. Such a request carries the attacker's name as its Host.

use core::net::Ipv6Addr;

use super::host::{UriHost, split};

/// Exact names, compared without case and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowedHosts(Vec<Host>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// A name in lower case, or an IPv4 address, which has only one notation.
    Name(Vec<u8>),
    /// An IPv6 address, which has many notations.
    V6(Ipv6Addr),
}

impl AllowedHosts {
    /// Adds a name or an address. An IPv6 address may have brackets. Returns false if the text is not valid or has a
    /// port.
    pub(crate) fn push(&mut self, host: &str) -> bool {
        let v6 = host.parse().map(Host::V6).ok();
        let host = v6
            .or_else(|| Host::read(host.as_bytes()).filter(|(_, port)| port.is_none()).map(|(host, _)| host));
        let usable = match &host {
            Some(Host::Name(name)) => {
                let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
                !name.is_empty() && name.iter().all(legal)
            }
            Some(Host::V6(_)) => true,
            None => false,
        };
        self.0.extend(host.filter(|_| usable));
        usable
    }

    /// Returns whether a request with this Host is allowed. A request without Host, as in HTTP/1.0, is allowed only
    /// without a list.
    pub(crate) fn allow(&self, host: Option<&[u8]>) -> bool {
        self.0.is_empty() || host.and_then(Host::read).is_some_and(|(host, _)| self.0.contains(&host))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Host {
    /// Reads a host and its port.
    fn read(value: &[u8]) -> Option<(Host, Option<&[u8]>)> {
        let (host, port) = split(value)?;
        let host = match host {
            UriHost::Literal(literal) => Host::V6(std::str::from_utf8(literal).ok()?.parse().ok()?),
            UriHost::Name(name) => Host::Name(name.to_ascii_lowercase()),
        };
        Some((host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses_without_ports() {
        let table: &[(&str, bool)] = &[
            ("metrics.example", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
            ("my_host-1", true),
            ("", false),
            ("metrics.example:9184", false),
            ("[::1]:9184", false),
            ("[::1", false),
            ("[]", false),
            ("metrics.example:", false),
            ("*.example", false),
            ("http://metrics.example", false),
            ("metrics.example/", false),
            ("metrics example", false),
            ("bücher.example", false),
        ];
        for (host, expected) in table {
            assert_eq!(AllowedHosts::default().push(host), *expected, "{host:?}");
        }
    }

    #[test]
    fn allows_listed_hosts_on_any_port() {
        let listed = ["metrics.example", "127.0.0.1", "::1", "[2001:DB8::1]"];
        let table: &[(Option<&str>, bool)] = &[
            (Some("metrics.example"), true),
            (Some("Metrics.Example"), true),
            (Some("metrics.example:9184"), true),
            (Some("metrics.example:"), true),
            (Some("127.0.0.1:80"), true),
            (Some("[::1]"), true),
            (Some("[::1]:9184"), true),
            (Some("[0:0:0:0:0:0:0:1]"), true),
            (Some("[2001:db8:0::1]"), true),
            (None, false),
            (Some(""), false),
            (Some(":80"), false),
            (Some("evil.example"), false),
            (Some("metrics.example.evil.example"), false),
            (Some("evil.metrics.example"), false),
            (Some("metrics.example."), false),
            (Some("metrics.example:80@evil.example"), false),
            (Some("metrics.example:8x"), false),
            (Some("metrics%2Eexample"), false),
            (Some("[::2]"), false),
            (Some("[::1]x"), false),
            (Some("[::1"), false),
            (Some("::1"), false),
            (Some("localhost"), false),
        ];
        let mut hosts = AllowedHosts::default();
        listed.iter().for_each(|host| assert!(hosts.push(host), "{host:?}"));
        for (host, expected) in table {
            assert_eq!(hosts.allow(host.map(str::as_bytes)), *expected, "{host:?}");
        }
        for (host, _) in table {
            assert!(AllowedHosts::default().allow(host.map(str::as_bytes)), "no list: {host:?}");
        }
    }
}
