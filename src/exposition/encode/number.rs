//! Writes numbers.
//!
//! The text is that of `f64`'s `Display`, which `prometheus::TextEncoder` uses, but it is written faster. OpenMetrics
//! has another form of bounds and timestamps.

use std::io::Write;

use super::line::Line;

/// The end of the range in which every integer is an `f64`.
const INTEGERS_END: u64 = 1 << 53;

/// The end of the range in which different decimal numbers are different `f64` values.
const FIFTEEN_DIGITS_END: u64 = 1_000_000_000_000_000;

const EIGHT_DIGITS_END: u64 = 100_000_000;

/// Writes a value. The text formats write the special values as `NaN`, `+Inf` and `-Inf`.
#[inline(always)]
pub(super) fn value(out: &mut Line<'_>, value: f64) {
    let integer = value as i64;
    // Compares bits, so that -0.0 is not taken for 0.
    if (integer as f64).to_bits() == value.to_bits() && integer.unsigned_abs() < INTEGERS_END {
        if integer < 0 {
            out.push(b'-');
        }
        digits(out, integer.unsigned_abs());
    } else if value.is_finite() {
        out.lend(|out| fraction(out, value));
    } else {
        out.put(match value {
            f64::INFINITY => b"+Inf",
            f64::NEG_INFINITY => b"-Inf",
            _ => b"NaN",
        });
    }
}

/// Writes a count of observations. In the text format it is a float like any other value.
#[inline(always)]
pub(super) fn count(out: &mut Line<'_>, count: u64) {
    if count < INTEGERS_END {
        digits(out, count);
    } else {
        out.lend(|out| display(out, count as f64));
    }
}

/// Writes a timestamp in milliseconds.
pub(super) fn timestamp(out: &mut Line<'_>, milliseconds: i64) {
    // Writing to a line cannot fail.
    let _ = write!(out, "{milliseconds}");
}

/// Writes a timestamp in seconds. A fraction "SHOULD NOT use exponential float rendering" (OpenMetrics).
pub(super) fn seconds(out: &mut Line<'_>, milliseconds: i64) {
    let magnitude = milliseconds.unsigned_abs();
    let (seconds, fraction) = (magnitude / 1000, magnitude % 1000);
    let sign = if milliseconds < 0 { "-" } else { "" };
    // Writing to a line cannot fail.
    let _ = if fraction == 0 {
        write!(out, "{sign}{seconds}")
    } else {
        write!(out, "{sign}{seconds}.{fraction:03}")
    };
}

/// Writes a value of `le` or `quantile` in the canonical form of OpenMetrics: "the default Go rendering of
/// float64 values (i.e. %g), with a .0 appended in case there is no decimal point or exponent".
pub(super) fn canonical(out: &mut Line<'_>, value: f64) {
    if !value.is_finite() {
        return self::value(out, value);
    }
    if value == 0.0 {
        // Without the sign, as in client_golang.
        return out.put(b"0.0");
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

/// Writes a number that is not an integer. Most have few decimals: durations nine, times of day three.
fn fraction(out: &mut Line<'_>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if !decimal::<1_000_000_000>(out, magnitude) && !decimal::<1_000>(out, magnitude) {
        display(out, magnitude);
    }
}

/// Writes a number that is a multiple of `1 / PARTS` and has at most 15 digits (`f64::DIGITS`). Returns whether it is.
///
/// A multiplication finds the digits and a division proves them. No other decimal number of 15 digits is the same
/// `f64`, so `Display` writes the same digits.
fn decimal<const PARTS: u64>(out: &mut Line<'_>, magnitude: f64) -> bool {
    let parts = (magnitude * PARTS as f64 + 0.5) as u64;
    let found = 0 < parts && parts < FIFTEEN_DIGITS_END && parts as f64 / PARTS as f64 == magnitude;
    if found {
        digits(out, parts / PARTS);
        let billionths = parts % PARTS * (1_000_000_000 / PARTS);
        out.put(&[b'.', b'0' + (billionths / EIGHT_DIGITS_END) as u8]);
        let rest = eight_digits(billionths % EIGHT_DIGITS_END);
        out.put_first(ascii(rest), 8 - rest.leading_zeros() as usize / 8);
    }
    found
}

/// Writes an integer below [`INTEGERS_END`].
#[inline(always)]
fn digits(out: &mut Line<'_>, number: u64) {
    if number < EIGHT_DIGITS_END {
        without_leading_zeros(out, number);
    } else {
        without_leading_zeros(out, number / EIGHT_DIGITS_END);
        out.put(&ascii(eight_digits(number % EIGHT_DIGITS_END)));
    }
}

#[inline(always)]
fn without_leading_zeros(out: &mut Line<'_>, number: u64) {
    let digits = eight_digits(number);
    // At least one digit is written.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    out.put_first(ascii(digits >> (8 * zeros)), 8 - zeros as usize);
}

/// Returns the eight digits of a number, one per byte, the first digit in the lowest byte.
///
/// Each of three steps splits all parts in halves at once. Digit by digit, the digits are read back from memory
/// before the stores finish, which stalls.
#[inline(always)]
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // Division by 100 is multiplication by 5243 / 2^19, which is exact below 10,000. Division by 10 is 103 / 2^10.
    let hundreds = ((fours * 5243) >> 19) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

#[inline(always)]
fn ascii(digits: u64) -> [u8; 8] {
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

fn display(out: &mut Line<'_>, value: f64) {
    // Writing to a line cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::{super::line, *};

    fn text(write: impl Fn(&mut Line<'_>)) -> String {
        let mut out = Vec::new();
        line::into(&mut out, write);
        String::from_utf8(out).unwrap()
    }

    /// Returns a random number, faster than `proptest`, because the loop has millions of passes.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn check(ours: &mut Vec<u8>, theirs: &mut Vec<u8>, number: f64) {
        theirs.clear();
        line::into(ours, |line| value(line, number));
        write!(theirs, "{number}").unwrap();
        assert!(ours == theirs, "{number:e}: {}", String::from_utf8_lossy(ours));
    }

    #[test]
    fn writes_special_values() {
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
    fn writes_counts() {
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
    fn writes_timestamps() {
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
        }
    }

    /// Has the examples of the specification, then numbers that Go printed.
    #[test]
    fn writes_canonical_numbers() {
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
    fn value_writes_what_display_writes() {
        let (mut ours, mut theirs, mut state) = (Vec::new(), Vec::new(), 1);
        for _ in 0..1_000_000 {
            let bits = random(&mut state);
            // First any magnitude, then those of the fast path, decimal fractions, and numbers about `INTEGERS_END`.
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
