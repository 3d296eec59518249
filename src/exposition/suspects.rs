//! Finds the bytes of a quoted text that end or escape it, eight at a time.

const LOW_BITS: u64 = u64::MAX / 255;
pub(super) const TOP_BITS: u64 = LOW_BITS << 7;

/// Sets the top bit of each byte that is a quotation mark, a backslash or a control character.
///
/// If there is one, top bits of higher bytes may be set, too, because a borrow affects higher bits only.
/// ("Determine if a word has a byte less than n", Bit Twiddling Hacks)
#[inline(always)]
pub(super) fn suspects(word: u64) -> u64 {
    // The XOR swaps the quotation mark (0x22) and the space (0x20), which follows the control characters.
    let quotation_mark_or_control = (word ^ (LOW_BITS * 2)).wrapping_sub(LOW_BITS * 0x21);
    let backslash = (word ^ (LOW_BITS * u64::from(b'\\'))).wrapping_sub(LOW_BITS);
    (quotation_mark_or_control | backslash) & !word
}
