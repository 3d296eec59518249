//! What `--web.listen-address` takes.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::builder::server::resolve;
use crate::net::listener::{self, Socket};

/// Somewhere to listen; nothing has been resolved or opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListenAddress {
    /// All interfaces.
    Port(u16),
    Tcp(SocketAddr),
    /// To be resolved: a name, or an address with a zone, of which the operating system knows the number.
    Named(String, u16),
    Unix(PathBuf),
}

impl ListenAddress {
    /// Opens it. A Unix socket's file gets this mode.
    pub(super) fn open(&self, mode: u32) -> io::Result<Socket> {
        match self {
            // IPv6 takes IPv4 along. IPv4 alone is for systems without IPv6, and not for a port that is in use.
            ListenAddress::Port(port) => {
                let bind = |ip: IpAddr| listener::tcp::bind(vec![(ip, *port).into()]);
                match bind(Ipv6Addr::UNSPECIFIED.into()) {
                    Err(error) if error.kind() != ErrorKind::AddrInUse => bind(Ipv4Addr::UNSPECIFIED.into()),
                    bound => bound,
                }
            }
            ListenAddress::Tcp(addr) => listener::tcp::bind(vec![*addr]),
            ListenAddress::Named(host, port) => listener::tcp::bind(resolve(&(host.as_str(), *port))?),
            ListenAddress::Unix(path) => listener::unix::bind(path, mode),
        }
    }
}

/// Says in a sentence what is wrong; clap names flag and value before it.
pub(super) fn parse(value: &str) -> Result<ListenAddress, &'static str> {
    if value.starts_with("vsock:") {
        return Err("vsock is not served here: give an address, or the path of a Unix socket");
    }
    if value.starts_with("unix:") {
        return Err("give the path of a Unix socket alone");
    }
    if value.contains("://") {
        return Err("give the address alone, without a scheme");
    }
    // An abstract socket's name, or whatever else a path is not.
    if value.contains('\0') {
        return Err("must not contain a zero byte");
    }
    if value.contains('/') {
        return Ok(ListenAddress::Unix(value.into()));
    }
    if let Ok(addr) = value.parse() {
        return Ok(ListenAddress::Tcp(addr));
    }
    if value.parse::<Ipv6Addr>().is_ok() {
        return Err("an IPv6 address needs brackets and a port, such as [::1]:9184");
    }
    let Some((host, port)) = value.rsplit_once(':') else {
        return Err("it has no port: give HOST:PORT, :PORT or the path of a Unix socket, which has a slash");
    };
    let port = port_number(port).ok_or("the port must be a number from 0 to 65535")?;
    if host.is_empty() {
        return Ok(ListenAddress::Port(port));
    }
    let zoned = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).filter(|host| is_zoned(host));
    let named = zoned.or(Some(host).filter(|host| is_name(host)));
    let host = named.ok_or("the host is neither an address nor a name")?;
    Ok(ListenAddress::Named(host.to_owned(), port))
}

/// `parse` alone takes a sign, too.
fn port_number(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())?
}

/// An IPv6 address with a zone, `fe80::1%eth0` (RFC 4007, section 11).
fn is_zoned(host: &str) -> bool {
    host.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok()
            && !zone.is_empty()
            && zone.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// As hosts are named (RFC 1123, section 2.1), and containers, with underscores. Its last part is not a number, because then it would be
/// an address, and a resolver takes `127.1` for one.
fn is_name(host: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.split('.').all(is_part) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_each_kind_of_listen_address() {
        let tcp = |addr: &str| ListenAddress::Tcp(addr.parse().unwrap());
        let named = |host: &str, port| ListenAddress::Named(host.to_owned(), port);
        let unix = |path: &str| ListenAddress::Unix(path.into());
        let table = [
            (":9184", ListenAddress::Port(9184)),
            (":0", ListenAddress::Port(0)),
            ("0.0.0.0:9184", tcp("0.0.0.0:9184")),
            ("127.0.0.1:65535", tcp("127.0.0.1:65535")),
            ("[::1]:9184", tcp("[::1]:9184")),
            ("[::]:1", tcp("[::]:1")),
            ("[fe80::1%eth0]:9184", named("fe80::1%eth0", 9184)),
            ("localhost:9184", named("localhost", 9184)),
            ("a-b.example.:1", named("a-b.example.", 1)),
            ("my_service:1", named("my_service", 1)),
            ("/run/app/metrics.sock", unix("/run/app/metrics.sock")),
            ("./metrics.sock", unix("./metrics.sock")),
            ("/run/a:b", unix("/run/a:b")),
        ];
        for (value, address) in table {
            assert_eq!(parse(value), Ok(address), "{value:?}");
        }
    }

    #[test]
    fn parse_rejects_invalid_address_with_the_reason() {
        let table = [
            ("", "no port"),
            ("9184", "no port"),
            ("localhost", "no port"),
            ("127.0.0.1", "no port"),
            ("metrics.sock", "slash"),
            (":", "must be a number"),
            (":+1", "must be a number"),
            (":-1", "must be a number"),
            (":65536", "must be a number"),
            (":http", "must be a number"),
            (": 9184", "must be a number"),
            ("localhost:", "must be a number"),
            ("::1", "needs brackets"),
            ("::", "needs brackets"),
            ("fe80::1:9184", "needs brackets"),
            ("[::1]", "must be a number"),
            ("[]:1", "neither"),
            ("[localhost]:1", "neither"),
            ("[127.0.0.1]:1", "neither"),
            ("[fe80::1%]:1", "neither"),
            ("*:9184", "neither"),
            (" :9184", "neither"),
            ("local host:1", "neither"),
            ("b\u{fc}cher:1", "neither"),
            ("a..b:1", "neither"),
            (".:1", "neither"),
            ("300.0.0.1:1", "neither"),
            ("127.1:1", "neither"),
            ("user@host:1", "neither"),
            ("a:b:1", "neither"),
            ("vsock://:9184", "vsock is not served"),
            ("vsock://3:9184", "vsock is not served"),
            ("http://localhost:9184", "without a scheme"),
            ("unix:/run/metrics.sock", "path of a Unix socket alone"),
            ("unix:///run/metrics.sock", "path of a Unix socket alone"),
            ("/run/\0", "zero byte"),
        ];
        for (value, why) in table {
            let sentence = parse(value).unwrap_err();
            assert!(sentence.contains(why), "{value:?}: {sentence}");
        }
    }
}
