//! The allow-list of peer addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks whose addresses may connect. An empty list admits every address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowList(Vec<Network>);

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The address, with all bits after the prefix zero.
    address: IpAddr,
    prefix: u32,
}

/// Reason why a text is not a network.
type Fault = &'static str;

const ADDRESS: Fault = "is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32";
const PREFIX: Fault = "has an invalid prefix length (expected 0 to 32 for IPv4, 0 to 128 for IPv6)";
const MAPPED: Fault = "is an IPv4-mapped network with a prefix below 96 (expected an IPv4 network)";

impl AllowList {
    pub(crate) fn push(&mut self, network: Network) {
        self.0.push(network);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether this peer may connect. A peer on a Unix socket has no address: the mode of the socket's file
    /// decides.
    pub(crate) fn allows(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| self.is_empty() || self.0.iter().any(|network| network.contains(peer)))
    }
}

impl Network {
    /// Returns whether the network contains the address. An IPv4-mapped address counts as IPv4, because a socket that
    /// listens on `[::]` reports IPv4 peers so.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from(v4.to_bits() & u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            Ipv6Addr::from(v6.to_bits() & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into()
        }
    }
}

impl FromStr for Network {
    type Err = Fault;

    /// Parses an address, with or without `/` and a prefix length. Bits after the prefix are ignored: Go's
    /// `netip.ParsePrefix` and nginx accept `10.1.2.3/8` too, and interfaces are written as `192.168.1.1/24`.
    ///
    /// Zones are rejected, because a peer's zone is a number that changes. Leading zeros are rejected, because some
    /// parsers read them as octal.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ADDRESS)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => read_prefix(prefix).filter(|prefix| *prefix <= width).ok_or(PREFIX)?,
            None => width,
        };
        // `::ffff:10.0.0.0/8` as an IPv6 network would match no peer, because peers are compared as IPv4.
        let (address, prefix) = match address.to_canonical() {
            v4 @ IpAddr::V4(_) => (v4, (prefix + 32).checked_sub(width).ok_or(MAPPED)?),
            v6 @ IpAddr::V6(_) => (v6, prefix),
        };
        Ok(Network { address: masked(address, prefix), prefix })
    }
}

/// Parses a prefix length. `parse` alone accepts a plus sign and leading zeros too.
fn read_prefix(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;

    use super::*;

    impl fmt::Display for Network {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }

    #[test]
    fn parses_networks_and_rejects_other_texts() {
        let table: &[(&str, Result<&str, Fault>)] = &[
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("10.1.2.3/8", Ok("10.0.0.0/8")),
            ("10.1.2.3", Ok("10.1.2.3/32")),
            ("10.1.2.3/32", Ok("10.1.2.3/32")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("2001:DB8::1/32", Ok("2001:db8::/32")),
            ("::1", Ok("::1/128")),
            ("::/0", Ok("::/0")),
            ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
            ("::ffff:10.0.0.1", Ok("10.0.0.1/32")),
            ("::ffff:0.0.0.0/96", Ok("0.0.0.0/0")),
            ("::ffff:10.0.0.0/8", Err(MAPPED)),
            ("::ffff:10.0.0.0/95", Err(MAPPED)),
            ("10.0.0.0/33", Err(PREFIX)),
            ("::/129", Err(PREFIX)),
            ("10.0.0.0/", Err(PREFIX)),
            ("10.0.0.0/08", Err(PREFIX)),
            ("10.0.0.0/00", Err(PREFIX)),
            ("10.0.0.0/+8", Err(PREFIX)),
            ("10.0.0.0/-8", Err(PREFIX)),
            ("10.0.0.0/8 ", Err(PREFIX)),
            ("10.0.0.0/8/8", Err(PREFIX)),
            ("10.0.0.0/99999999999999999999", Err(PREFIX)),
            ("10.0.0.0/255.0.0.0", Err(PREFIX)),
            ("", Err(ADDRESS)),
            ("/", Err(ADDRESS)),
            ("/8", Err(ADDRESS)),
            ("10/8", Err(ADDRESS)),
            ("10.0.0/8", Err(ADDRESS)),
            ("010.0.0.0/8", Err(ADDRESS)),
            (" 10.0.0.0/8", Err(ADDRESS)),
            ("10.0.0.256", Err(ADDRESS)),
            ("10.0.0.1:80", Err(ADDRESS)),
            ("[::1]", Err(ADDRESS)),
            ("fe80::1%eth0", Err(ADDRESS)),
            ("fe80::1%1/64", Err(ADDRESS)),
            ("localhost", Err(ADDRESS)),
            ("*", Err(ADDRESS)),
        ];
        for (text, expected) in table {
            let network = text.parse::<Network>().map(|network| network.to_string());
            assert_eq!(network, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn admits_peers_in_a_listed_network() {
        let table: &[(&[&str], Option<&str>, bool)] = &[
            (&[], Some("192.0.2.1"), true),
            (&[], None, true),
            (&["10.0.0.0/8"], Some("10.255.0.1"), true),
            (&["10.0.0.0/8"], Some("11.0.0.1"), false),
            (&["10.0.0.0/8"], Some("::ffff:10.0.0.1"), true),
            (&["10.0.0.0/8"], Some("::ffff:11.0.0.1"), false),
            (&["::ffff:10.0.0.0/104"], Some("10.0.0.1"), true),
            (&["10.0.0.0/8"], Some("::10.0.0.1"), false),
            (&["10.0.0.0/8"], None, true),
            (&["10.0.0.0/8", "2001:db8::/32"], Some("2001:db8:1::1"), true),
            (&["10.0.0.0/8", "2001:db8::/32"], Some("2001:db9::1"), false),
            (&["0.0.0.0/0"], Some("192.0.2.1"), true),
            (&["0.0.0.0/0"], Some("2001:db8::1"), false),
            (&["::/0"], Some("2001:db8::1"), true),
            (&["::/0"], Some("192.0.2.1"), false),
            (&["::/0"], Some("::ffff:192.0.2.1"), false),
            (&["::1"], Some("::1"), true),
            (&["::1"], Some("127.0.0.1"), false),
            (&["127.0.0.1"], Some("127.0.0.2"), false),
        ];
        for (networks, peer, expected) in table {
            let mut list = AllowList::default();
            networks.iter().for_each(|network| list.push(network.parse().unwrap()));
            let peer = peer.map(|peer| peer.parse().unwrap());
            assert_eq!(list.allows(peer), *expected, "{networks:?} {peer:?}");
        }
    }

    /// Returns the address in binary, as the reference for the comparison of prefixes.
    fn digits(address: IpAddr) -> String {
        match address {
            IpAddr::V4(v4) => format!("v4 {:032b}", u32::from(v4)),
            IpAddr::V6(v6) => {
                let binary = format!("{:0128b}", u128::from(v6));
                let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
                match binary.strip_prefix(&mapped) {
                    Some(v4) => format!("v4 {v4}"),
                    None => format!("v6 {binary}"),
                }
            }
        }
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
            any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
            any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from(bits).to_ipv6_mapped())),
        ]
    }

    proptest! {
        #[test]
        fn contains_addresses_with_its_prefix(base in address(), prefix in 0u32..=128, flip in 0u32..128, other in address()) {
            let width = if base.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.min(width);
            // Two random addresses seldom share a prefix, so this one differs in one bit.
            let near = match base {
                IpAddr::V4(v4) => IpAddr::from((u32::from(v4) ^ 1u32 << (flip % 32)).to_be_bytes()),
                IpAddr::V6(v6) => IpAddr::from((u128::from(v6) ^ 1u128 << flip).to_be_bytes()),
            };
            let network = format!("{base}/{prefix}").parse::<Network>();
            let own = digits(base);
            let is_mapped = base.is_ipv6() && own.starts_with("v4");
            let own_prefix = if is_mapped { prefix.checked_sub(96) } else { Some(prefix) };
            let Some(own_prefix) = own_prefix else {
                prop_assert_eq!(network, Err(MAPPED));
                return Ok(());
            };
            let network = network.unwrap();
            let start = &own[..3 + own_prefix as usize];
            for peer in [base, near, other] {
                prop_assert_eq!(network.contains(peer), digits(peer).starts_with(start), "{} {}", network, peer);
            }
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }

        #[test]
        fn never_panics_on_any_text(text in "[0-9a-f:./%+ ]{0,40}") {
            let _ = text.parse::<Network>();
        }
    }
}
