//! Numbers as `f64`'s `Display` writes them, which is what `prometheus::TextEncoder` does, only faster; and the
//! few that OpenMetrics has in a form of its own.

use std::io::Write;

/// The most bytes that one number takes: `Display` writes no exponent, so the smallest subnormals have
/// hundreds of zeros.
pub(super) const LONGEST: usize = 360;

/// The most bytes that a timestamp takes.
pub(super) const LONGEST_TIMESTAMP: usize = 21;

/// From here on not every integer is an `f64`.
const INTEGERS_END: u64 = 1 << 53;

/// Writes a value. The text formats spell the values without digits `NaN`, `+Inf` and `-Inf`.
#[inline]
pub(super) fn value(out: &mut Vec<u8>, value: f64) {
    let integer = value as i64;
    // Compares bits, so that -0.0 is none of these.
    if (integer as f64).to_bits() == value.to_bits() && integer.unsigned_abs() < INTEGERS_END {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_finite() {
        fraction(out, value);
    } else {
        out.extend_from_slice(match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        });
    }
}

/// Writes a count of observations, which the text format has as a float like any other value.
#[inline]
pub(super) fn count(out: &mut Vec<u8>, count: u64) {
    if count < INTEGERS_END {
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    } else {
        display(out, count as f64);
    }
}

/// Writes a timestamp in milliseconds.
pub(super) fn timestamp(out: &mut Vec<u8>, milliseconds: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(milliseconds).as_bytes());
}

/// Writes a timestamp in seconds, whose fraction "SHOULD NOT use exponential float rendering" (OpenMetrics).
pub(super) fn seconds(out: &mut Vec<u8>, milliseconds: i64) {
    let magnitude = milliseconds.unsigned_abs();
    let (seconds, fraction) = (magnitude / 1000, magnitude % 1000);
    let sign = if milliseconds < 0 { "-" } else { "" };
    // A Vec takes whatever is written to it.
    let _ = if fraction == 0 {
        write!(out, "{sign}{seconds}")
    } else {
        write!(out, "{sign}{seconds}.{fraction:03}")
    };
}

/// Writes a value of `le` or `quantile` in the canonical form of OpenMetrics: "the default Go rendering of
/// float64 values (i.e. %g), with a .0 appended in case there is no decimal point or exponent".
pub(super) fn canonical(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return self::value(out, value);
    }
    if value == 0.0 {
        // Without the sign, as Prometheus' own client has it.
        return out.extend_from_slice(b"0.0");
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // "%e is used if the exponent from the conversion is less than -4 or greater than or equal to the
    // precision. If precision was the shortest possible, use precision 6 for this decision." (Go, strconv/ftoa.go)
    let _ = if (-4..6).contains(&exponent) {
        write!(out, "{value:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs())
    };
}

/// The fast crate finds the shortest digits as `Display` does, but with 16 or 17 of them the two break ties
/// differently, and outside of these magnitudes it writes exponents. Up to 15 digits (`f64::DIGITS`) name
/// only one number, so there is nothing to choose.
fn fraction(out: &mut Vec<u8>, value: f64) {
    if (1e-4..1e15).contains(&value.abs()) {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let leading = text.iter().take_while(|byte| matches!(byte, b'-' | b'0' | b'.')).count();
        // A value of one or more has its point among the digits.
        let point = usize::from(value.abs() >= 1.0);
        if text.len() - leading - point <= f64::DIGITS as usize {
            return out.extend_from_slice(text);
        }
    }
    display(out, value);
}

fn display(out: &mut Vec<u8>, value: f64) {
    // A Vec takes whatever is written to it.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// Enough of a random number generator for a loop of millions.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn check(ours: &mut Vec<u8>, theirs: &mut Vec<u8>, number: f64) {
        ours.clear();
        theirs.clear();
        value(ours, number);
        write!(theirs, "{number}").unwrap();
        assert!(ours == theirs, "{number:e}: {}", String::from_utf8_lossy(ours));
    }

    #[test]
    fn special_values() {
        for (number, expected) in [
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (9007199254740991.0, "9007199254740991"),
            (9007199254740992.0, "9007199254740992"),
            (-9007199254740993.0, "-9007199254740992"),
        ] {
            assert_eq!(text(|out| value(out, number)), expected, "{number:e}");
        }
    }

    #[test]
    fn counts() {
        for (number, expected) in [
            (0, "0"),
            (u64::from(u32::MAX), "4294967295"),
            ((1 << 53) - 1, "9007199254740991"),
            ((1 << 53) + 1, "9007199254740992"),
            (u64::MAX, "18446744073709552000"),
        ] {
            assert_eq!(text(|out| count(out, number)), expected, "{number}");
        }
    }

    #[test]
    fn timestamps() {
        for (number, milliseconds, in_seconds) in [
            (0, "0", "0"),
            (1, "1", "0.001"),
            (-1, "-1", "-0.001"),
            (120, "120", "0.120"),
            (-1_000, "-1000", "-1"),
            (1_520_879_607_789, "1520879607789", "1520879607.789"),
            (i64::MAX, "9223372036854775807", "9223372036854775.807"),
            (i64::MIN, "-9223372036854775808", "-9223372036854775.808"),
        ] {
            assert_eq!(text(|out| timestamp(out, number)), milliseconds);
            assert_eq!(text(|out| seconds(out, number)), in_seconds);
            assert!(in_seconds.len() <= LONGEST_TIMESTAMP);
        }
    }

    /// The examples of the specification, then what Go prints.
    #[test]
    fn canonical_numbers() {
        let examples = "0.0 0.001 0.002 0.01 0.1 0.9 0.95 0.99 0.999 1.0 1.7 10.0 \
            1e-10 1e-09 1e-05 0.0001 0.1 1.0 100000.0 1e+06 1e+10 +Inf \
            -Inf NaN -1.0 -0.5 -1e+06 999999.0 1.234567e+06 123456.7 0.00012 1.2e-05 5e-324 \
            1.7976931348623157e+308 1e+100 0.30000000000000004 2.5 25.0 2.5e+06";
        for example in examples.split_whitespace() {
            assert_eq!(text(|out| canonical(out, example.parse().unwrap())), example);
        }
        assert_eq!(text(|out| canonical(out, -0.0)), "0.0");
    }

    #[test]
    fn no_number_is_longer_than_the_longest() {
        for number in [f64::MIN, -f64::MIN_POSITIVE, -5e-324, f64::from_bits((1 << 52) - 1), -f64::EPSILON] {
            assert!(text(|out| value(out, number)).len() <= LONGEST, "{number:e}");
        }
    }

    #[test]
    fn values_are_what_display_writes() {
        let (mut ours, mut theirs, mut state) = (Vec::new(), Vec::new(), 1);
        for _ in 0..1_000_000 {
            let bits = random(&mut state);
            // Any magnitude; the magnitudes of the fast path; decimal fractions; about the last integers.
            let spread = f64::from_bits(bits);
            if spread.is_finite() {
                check(&mut ours, &mut theirs, spread);
            }
            let exponent = 1023 - 16 + random(&mut state) % 72;
            check(&mut ours, &mut theirs, f64::from_bits(bits & !(0x7ff << 52) | exponent << 52));
            let (digits, places) = (bits >> (random(&mut state) % 64), random(&mut state) % 20);
            check(&mut ours, &mut theirs, digits as f64 / 10f64.powi(places as i32));
            let near = (1i64 << 53) + (bits % 4096) as i64 - 2048;
            check(&mut ours, &mut theirs, near as f64 / f64::from(1u32 << (random(&mut state) % 8)));
        }
    }
}
