//! Fields of a certificate that rustls does not expose: the end of its validity, and its alternative names.
//!
//! This parser follows the structure in RFC 5280. No decision depends on it alone: rustls' own parser accepts or
//! rejects the certificate.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// 2.5.29.17 (RFC 5280, section 4.2.1.6).
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Returns the last second in which the certificate is valid, since the epoch.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let mut validity = Der(fields(certificate)?.validity);
    validity.next()?;
    match validity.next()? {
        (UTC_TIME, digits) => {
            // "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY" (section 4.1.2.5.1).
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            time(if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        (GENERALIZED_TIME, digits) => {
            let (year, rest) = digits.split_at_checked(4)?;
            time(number(year)?, rest)
        }
        _ => None,
    }
}

/// Returns the certificate's alternative names (DNS, e-mail, IP, URI), formatted as in Go's exporter-toolkit.
pub(super) fn names(certificate: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut names = Vec::new();
    let Some(extensions) = fields(certificate)?.extensions else { return Some(names) };
    let mut extensions = Der(Der(extensions).expect(SEQUENCE)?);
    while !extensions.is_empty() {
        let mut extension = Der(extensions.expect(SEQUENCE)?);
        if extension.expect(OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        let (mut tag, mut value) = extension.next()?;
        if tag != OCTET_STRING {
            (tag, value) = extension.next()?; // the first value was `critical`
        }
        if tag != OCTET_STRING {
            return None;
        }
        let mut general_names = Der(Der(value).expect(SEQUENCE)?);
        while !general_names.is_empty() {
            match general_names.next()? {
                // rfc822Name, dNSName, uniformResourceIdentifier
                (0x81 | 0x82 | 0x86, name) => names.push(Cow::Borrowed(name)),
                (0x87, address) => names.push(Cow::Owned(ip(address)?.to_string().into_bytes())),
                _ => {}
            }
        }
    }
    Some(names)
}

fn ip(address: &[u8]) -> Option<IpAddr> {
    match address.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).into()),
        // Go writes an IPv4-mapped address as IPv4.
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_canonical()),
        _ => None,
    }
}

struct Fields<'a> {
    validity: &'a [u8],
    extensions: Option<&'a [u8]>,
}

/// Parses the fields of section 4.1.
fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let mut to_be_signed = Der(Der(Der(certificate).expect(SEQUENCE)?).expect(SEQUENCE)?);
    to_be_signed.optional(0xa0); // version
    to_be_signed.expect(INTEGER)?; // serialNumber
    to_be_signed.expect(SEQUENCE)?; // signature
    to_be_signed.expect(SEQUENCE)?; // issuer
    let validity = to_be_signed.expect(SEQUENCE)?;
    to_be_signed.expect(SEQUENCE)?; // subject
    to_be_signed.expect(SEQUENCE)?; // subjectPublicKeyInfo
    to_be_signed.optional(0x81); // issuerUniqueID
    to_be_signed.optional(0x82); // subjectUniqueID
    Some(Fields { validity, extensions: to_be_signed.optional(0xa3) })
}

/// The rest of a list of DER values (X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next value and its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            // A certificate's length needs at most three bytes.
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.expect(tag) } else { None }
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Parses `MMDDHHMMSSZ`, the only form that RFC 5280 allows after the year.
fn time(year: i64, rest: &[u8]) -> Option<i64> {
    let (b'Z', digits) = rest.split_last()? else { return None };
    if digits.len() != 10 {
        return None;
    }
    let mut numbers = digits.chunks(2).map(number);
    let mut next = || numbers.next().flatten();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    if !(1..=12).contains(&month) {
        return None;
    }
    // The year begins in March, so that the leap day is its last. Count the days before the month, then the leap
    // years.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn make(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn reads_the_end_of_validity() {
        // rcgen writes UTCTime until 2049, and GeneralizedTime from 2050.
        for (year, month, day) in
            [(1999, 12, 31), (2000, 2, 29), (2027, 3, 1), (2049, 12, 31), (2050, 1, 1), (2400, 2, 29)]
        {
            let end = date_time_ymd(year, month, day);
            let certificate = make(|params| params.not_after = end);
            assert_eq!(not_after(&certificate), Some(end.unix_timestamp()), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn reads_valid_times_to_the_second_and_rejects_others() {
        let table = [
            (2026, "1122014059Z", Some(1_795_311_659)),
            (1970, "0101000000Z", Some(0)),
            (2026, "1122014059", None),
            (2026, "112201405Z", None),
            (2026, "1322014059Z", None),
            (2026, "11220140+9Z", None),
            (2026, "1122014059+0100", None),
        ];
        for (year, rest, expected) in table {
            assert_eq!(time(year, rest.as_bytes()), expected, "{rest}");
        }
    }

    #[test]
    fn reads_all_four_kinds_of_names() {
        let certificate = make(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("prometheus.example".try_into().unwrap()),
                SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
                SanType::URI("spiffe://example.org/prometheus".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
                SanType::IpAddress("2001:db8::7".parse().unwrap()),
                SanType::IpAddress("::ffff:192.0.2.8".parse().unwrap()),
            ];
        });
        let names = names(&certificate).unwrap();
        let names: Vec<&str> = names.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
        let expected = [
            "prometheus.example",
            "ops@example.org",
            "spiffe://example.org/prometheus",
            "192.0.2.7",
            "2001:db8::7",
            "192.0.2.8",
        ];
        assert_eq!(names, expected);
        assert_eq!(super::names(&make(|_| ())).unwrap().len(), 0);
    }

    /// Every input returns a result, and none panics.
    #[test]
    fn never_panics_on_broken_certificates() {
        let certificate = make(|params| {
            params.subject_alt_names = vec![SanType::IpAddress("2001:db8::7".parse().unwrap())];
        });
        for cut in 0..certificate.len() {
            assert_eq!(not_after(&certificate[..cut]), None);
            assert_eq!(names(&certificate[..cut]), None);
        }
        for at in 0..certificate.len() {
            for byte in [0, 1, 0x30, 0x7f, 0x80, 0x81, 0x83, 0x84, 0xff] {
                let mut broken = certificate.clone();
                broken[at] = byte;
                let _ = (not_after(&broken), names(&broken));
            }
        }
    }
}
