//! Durations in the format of Go's `time.ParseDuration`, which upstream uses for `interval`. Unlike in Prometheus'
//! own format, there are no days.

use std::time::Duration;

const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),  // micro sign
    ("\u{3bc}s", 1_000), // Greek mu
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Parses numbers with units, such as `1h2m3.5s`. `0` needs no unit. Rejects negative durations, and those above Go's
/// int64.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_u128;
    while !rest.is_empty() {
        let whole = digits(&mut rest);
        let fraction = match rest.strip_prefix('.') {
            Some(after) => {
                rest = after;
                digits(&mut rest)
            }
            None => "",
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        rest = after;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // Further digits are below a nanosecond, even of an hour.
        let fraction = &fraction[..fraction.len().min(15)];
        let fraction = number(fraction)? * factor / 10_u128.pow(fraction.len() as u32);
        nanoseconds = number(whole)?.checked_mul(*factor)?.checked_add(nanoseconds + fraction)?;
        if nanoseconds > i64::MAX as u128 {
            return None;
        }
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

fn digits<'a>(rest: &mut &'a str) -> &'a str {
    let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    *rest = after;
    digits
}

fn number(digits: &str) -> Option<u128> {
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_reads_what_go_reads() {
        let table = [
            ("0", Some(0)),
            ("+0", Some(0)),
            ("0s", Some(0)),
            ("1ns", Some(1)),
            ("2us", Some(2_000)),
            ("2\u{b5}s", Some(2_000)),
            ("2\u{3bc}s", Some(2_000)),
            ("250ms", Some(250_000_000)),
            ("1s", Some(1_000_000_000)),
            ("+1s", Some(1_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1h0m0.5s", Some(3_600_500_000_000)),
            (".5s", Some(500_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("1.0000000005s", Some(1_000_000_000)),
            ("0.3333333333333333333h", Some(1_200_000_000_000 - 1)),
            ("9223372036s", Some(9_223_372_036_000_000_000)),
            ("9223372037s", None),
            ("340282366920938463463374607431768211455h", None),
            ("340282366920938463463374607431768211456h", None),
            ("1h340282366920938463463374607431768211455ns", None),
            ("340282366920938463463374607431768211.999us", None),
            ("", None),
            ("+", None),
            ("-1s", None),
            ("1", None),
            ("1.5", None),
            (".s", None),
            ("s", None),
            ("1d", None),
            ("1S", None),
            ("1 s", None),
            (" 1s", None),
            ("1s ", None),
            ("1sm", None),
            ("1e3s", None),
            ("++1s", None),
            ("1_000s", None),
            ("\u{661}s", None),
        ];
        for (text, expected) in table {
            assert_eq!(duration(text), expected.map(Duration::from_nanos), "{text:?}");
        }
    }
}
