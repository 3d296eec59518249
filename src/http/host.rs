//! Validation of the host that a request names.

use std::net::Ipv6Addr;

use http::Version;
use http::header::HOST;
use http::request::Parts;

/// Returns whether a request names its host correctly. RFC 9112, section 3.2: 400 "to any HTTP/1.1 request message
/// that lacks a Host header field and to any request message that contains more than one Host header field line or a
/// Host header field with an invalid field value".
///
/// A target in absolute form names its host itself. Section 3.2.2: an origin server "MUST ignore the received Host
/// header field (if any) and instead use the host information of the request-target", and "MUST accept the
/// absolute-form". So such a request needs no Host, and hyper's low-level client sends none. A Host that is present
/// must still be valid.
pub(super) fn host_is_valid(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    let field_is_valid = match (hosts.next(), hosts.next()) {
        (None, _) => head.version != Version::HTTP_11 || is_absolute(head),
        (Some(host), None) => host_value_is_valid(host.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    field_is_valid && target_is_valid(head)
}

/// Only the absolute form has a scheme. The authority form, which CONNECT uses, has none.
fn is_absolute(head: &Parts) -> bool {
    head.uri.scheme().is_some()
}

/// Validates the authority of a target like a Host. This rejects user information, which a recipient "SHOULD" treat
/// as an error (RFC 9110, section 4.2.4). It also rejects an empty host, which a recipient "MUST reject" (section
/// 4.2.1).
fn target_is_valid(head: &Parts) -> bool {
    match head.uri.authority().filter(|_| is_absolute(head)) {
        Some(authority) => !authority.host().is_empty() && host_value_is_valid(authority.as_str().as_bytes()),
        None => true,
    }
}

/// Validates `Host = uri-host [ ":" port ]` (RFC 9110, section 7.2). The host is a reg-name or an IP-literal of RFC
/// 3986. Empty is valid: a target without an authority has an empty Host.
fn host_value_is_valid(value: &[u8]) -> bool {
    split(value).is_some_and(|(host, _)| match host {
        UriHost::Literal(literal) => is_ip_literal(literal),
        UriHost::Name(name) => is_reg_name(name),
    })
}

/// A host before its validation.
pub(super) enum UriHost<'a> {
    /// The text between brackets.
    Literal(&'a [u8]),
    Name(&'a [u8]),
}

/// Splits `uri-host [ ":" port ]`. A port is `*DIGIT`. A number above 65535 still names the same host.
pub(super) fn split(value: &[u8]) -> Option<(UriHost<'_>, Option<&[u8]>)> {
    let (host, rest) = match value.strip_prefix(b"[") {
        Some(literal) => {
            let end = literal.iter().position(|&byte| byte == b']')?;
            (UriHost::Literal(&literal[..end]), &literal[end + 1..])
        }
        None => {
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            (UriHost::Name(&value[..end]), &value[end..])
        }
    };
    match rest.strip_prefix(b":") {
        Some(port) => port.iter().all(u8::is_ascii_digit).then_some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

/// Returns whether this is an IPv6 address, with or without a zone (RFC 6874). No other version is in use.
fn is_ip_literal(literal: &[u8]) -> bool {
    let Ok(literal) = std::str::from_utf8(literal) else { return false };
    let (address, zone) = literal.split_once("%25").unwrap_or((literal, "zone"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && is_reg_name(zone.as_bytes())
}

/// Returns whether this is `*( unreserved / pct-encoded / sub-delims )` (RFC 3986, section 3.2.2).
fn is_reg_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(u8::is_ascii_hexdigit)),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        };
        if !valid {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request's target, its Host lines, and whether they are valid.
    #[test]
    fn an_absolute_target_needs_no_host() {
        let table: &[(&str, &[&str], bool)] = &[
            ("/metrics", &[], false),
            ("/metrics", &["a"], true),
            ("/metrics", &["a", "a"], false),
            ("/metrics", &["a b"], false),
            ("*", &[], false),
            ("http://localhost:6003/metrics", &[], true),
            ("http://localhost", &[], true),
            ("HTTPS://[::1]:9184/", &[], true),
            ("http://a/metrics", &["a"], true),
            ("http://a/metrics", &["b"], true),
            ("http://a/metrics", &[""], true),
            ("http://a/metrics", &["a", "a"], false),
            ("http://a/metrics", &["a b"], false),
            ("http://user@a/metrics", &[], false),
            ("http://user@a/metrics", &["a"], false),
            ("http://:80/metrics", &[], false),
            // The authority form of CONNECT (section 3.2.3).
            ("a:80", &[], false),
            ("a:80", &["a:80"], true),
        ];
        for (target, hosts, valid) in table {
            let mut request = http::Request::builder().uri(*target);
            for host in *hosts {
                request = request.header(HOST, *host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(host_is_valid(&head), *valid, "{target:?} {hosts:?}");
        }
    }

    #[test]
    fn validates_hosts() {
        let table: &[(&str, bool)] = &[
            ("", true),
            ("localhost", true),
            ("localhost:9184", true),
            ("localhost:", true),
            ("10.0.0.1:80", true),
            ("[::1]", true),
            ("[::1]:9184", true),
            ("[fe80::1%25eth0]:1", true),
            ("xn--bcher-kva.example", true),
            ("a_b.example", true),
            ("%41:1", true),
            (":80", true),
            ("localhost:99999999", true),
            ("[::ffff:10.0.0.1]", true),
            ("[]", false),
            ("[zzz]", false),
            ("[:::::]", false),
            ("[::1%25]", false),
            ("[::1%eth0]", false),
            ("%zz", false),
            ("a%", false),
            ("a%4", false),
            ("[::1", false),
            ("[::1]9184", false),
            ("::1", false),
            ("localhost:http", false),
            ("user@localhost", false),
            ("local host", false),
            ("localhost/metrics", false),
            ("localhost?x", false),
            ("a,b:1:2", false),
            ("<script>", false),
            ("b\u{fc}cher", false),
        ];
        for (value, valid) in table {
            assert_eq!(host_value_is_valid(value.as_bytes()), *valid, "{value:?}");
        }
    }
}
