//! Whether a request says which host it is for, as it must.

use std::net::Ipv6Addr;

use http::Version;
use http::header::HOST;
use http::request::Parts;

/// RFC 9112, section 3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any request
/// message that contains more than one Host header field line or a Host header field with an invalid field value".
pub(super) fn host_is_valid(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => head.version != Version::HTTP_11,
        (Some(host), None) => host_value_is_valid(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// `Host = uri-host [ ":" port ]` (RFC 9110, section 7.2), with RFC 3986's reg-name or IP-literal for the host.
/// Empty is valid: that is what a target without an authority has.
fn host_value_is_valid(value: &[u8]) -> bool {
    let (host_is_valid, rest) = match value.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = literal.iter().position(|&byte| byte == b']') else { return false };
            (is_ip_literal(&literal[..end]), &literal[end + 1..])
        }
        None => {
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            (is_reg_name(&value[..end]), &value[end..])
        }
    };
    // *DIGIT: a number that is no port names no other host.
    let port_is_valid = match rest.strip_prefix(b":") {
        Some(port) => port.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    host_is_valid && port_is_valid
}

/// An IPv6 address, with a zone (RFC 6874) or without. There is no other version in use.
fn is_ip_literal(literal: &[u8]) -> bool {
    let Ok(literal) = std::str::from_utf8(literal) else { return false };
    let (address, zone) = literal.split_once("%25").unwrap_or((literal, "zone"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && is_reg_name(zone.as_bytes())
}

/// *( unreserved / pct-encoded / sub-delims ) (RFC 3986, section 3.2.2)
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

    #[test]
    fn hosts() {
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
