//! Reads the numbers of the formats.

/// Powers of ten, each of which is an exact `f64`.
const TENS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads up to 19 digits at the start of `text` and appends them to `number`. Returns the result and their count.
#[inline(always)]
fn digits(text: &[u8], mut number: u64) -> (u64, usize) {
    let mut len = 0;
    while let Some(digit) = text.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if len == 19 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(digit.into());
        len += 1;
    }
    (number, len)
}

/// Returns whether a number ends before `rest`.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'\n' | b' '))
}

/// Reads a plain number at the start of `text`. Returns it with its length, or `None` if [`value`] must read it.
///
/// Up to 15 digits are below 2^53, so they are an exact `f64`. One division of two exact numbers rounds once, as
/// `f64::from_str` does.
#[inline(always)]
pub(super) fn plain(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let (whole, wholes) = digits(text.get(sign..)?, 0);
    let mut len = sign + wholes;
    let mut number = whole as f64;
    let mut all = wholes;
    if text.get(len) == Some(&b'.') {
        let (scaled, fractions) = digits(&text[len + 1..], whole);
        len += 1 + fractions;
        all += fractions;
        number = scaled as f64 / TENS.get(fractions)?;
    }
    let is_plain = wholes > 0 && all <= 15 && is_end(text.get(len..)?);
    is_plain.then_some((if sign == 1 { -number } else { number }, len))
}

/// Reads a plain count at the start of `text`. Returns it with its length, or `None` if [`count`] must read it.
#[inline(always)]
pub(super) fn plain_count(text: &[u8]) -> Option<(u64, usize)> {
    let (number, len) = digits(text, 0);
    (0 < len && len < 19 && is_end(&text[len..])).then_some((number, len))
}

/// Reads a value. The formats and `f64::from_str` have the same syntax.
///
/// It is a decimal number, or `inf`, `infinity` or `nan` in upper or lower case.
pub(super) fn value(token: &str) -> Option<f64> {
    token.parse().ok()
}

/// Reads a count of observations, which some clients write as a float.
pub(super) fn count(token: &str) -> Option<u64> {
    if let Ok(count) = token.parse() {
        return Some(count);
    }
    let value = value(token)?;
    // The conversion saturates. An encoder rounds counts near `u64::MAX` to 2^64, which is out of range.
    (value >= 0.0 && value.fract() == 0.0 && value.is_finite()).then_some(value as u64)
}

/// Reads a timestamp of the text format: "timestamp is an int64 (milliseconds since epoch […])".
pub(super) fn milliseconds(token: &str) -> Option<i64> {
    token.parse().ok()
}

/// Reads a timestamp of OpenMetrics. Returns milliseconds, rounded down.
///
/// "Timestamps MUST be Unix Epoch in seconds."
pub(super) fn seconds(token: &str) -> Option<i64> {
    let (is_negative, magnitude) = match token.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, token.strip_prefix('+').unwrap_or(token)),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !are_digits(whole) || !are_digits(fraction) {
        return approximate_seconds(value(token)?);
    }
    // The sign is applied first, because `i64::MIN` has no positive counterpart.
    let sign = if is_negative { -1 } else { 1 };
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut milliseconds = whole.checked_mul(sign)?.checked_mul(1000)?;
    let mut digits = fraction.bytes().map(|byte| i64::from(byte - b'0'));
    for scale in [100, 10, 1] {
        milliseconds = milliseconds.checked_add(sign * scale * digits.next().unwrap_or(0))?;
    }
    if is_negative && digits.any(|digit| digit != 0) {
        milliseconds = milliseconds.checked_sub(1)?;
    }
    Some(milliseconds)
}

/// Reads a timestamp with an exponent, which is rare: "Fractions SHOULD NOT use exponential float rendering".
fn approximate_seconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1000.0).floor();
    // 2^63 is an `f64`, but `i64::MAX` is not.
    let fits = (i64::MIN as f64..-(i64::MIN as f64)).contains(&milliseconds);
    fits.then_some(milliseconds as i64)
}
