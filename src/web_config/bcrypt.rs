//! What a bcrypt hash looks like. Nothing is hashed here.

/// `$2a$`, `$2b$` or `$2y$`, a cost of two digits from 04 to 31, `$`, and 22 characters of salt and 31 of hash in
/// bcrypt's own base 64, of which the last two bits belong to no byte: where they are set no password matches.
pub(super) fn is_hash(text: &str) -> bool {
    let Some(("", rest)) = text.split_once("$2") else { return false };
    let Some(rest) = rest.strip_prefix(['a', 'b', 'y']).and_then(|rest| rest.strip_prefix('$')) else {
        return false;
    };
    let Some((cost, hash)) = rest.split_once('$') else { return false };
    let cost_fits =
        matches!(cost.as_bytes(), [b'0', b'4'..=b'9'] | [b'1' | b'2', b'0'..=b'9'] | [b'3', b'0' | b'1']);
    cost_fits
        && hash.len() == 22 + 31
        && hash.bytes().all(|b| matches!(b, b'.' | b'/') || b.is_ascii_alphanumeric())
        && hash.ends_with(|last| ".CGKOSWaeimquy26".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::credentials::Keyring;

    /// Nobody looks at a user's hash after this.
    #[test]
    fn what_is_a_hash_here_is_one_to_those_who_verify() {
        let body = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu018";
        assert_eq!(body.len(), 52);
        for prefix in ["$2a$", "$2b$", "$2y$", "$2x$", "$2$", "2b$"] {
            for cost in 0..=40 {
                for last in (0..=u8::MAX).map(char::from) {
                    let hash = format!("{prefix}{cost:02}${body}{last}");
                    let mut keyring = Keyring::default();
                    keyring.push_user("user", &hash);
                    assert_eq!(is_hash(&hash), keyring.fault().is_none(), "{hash}");
                }
            }
        }
    }

    #[test]
    fn hashes() {
        let body = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu0186";
        assert_eq!(body.len(), 53);
        for (prefix, expected) in [
            ("$2a$10$", true),
            ("$2b$10$", true),
            ("$2y$10$", true),
            ("$2y$04$", true),
            ("$2y$09$", true),
            ("$2y$18$", true),
            ("$2y$29$", true),
            ("$2y$31$", true),
            ("$2y$00$", false),
            ("$2y$03$", false),
            ("$2y$32$", false),
            ("$2y$40$", false),
            ("$2y$4$", false),
            ("$2y$010$", false),
            ("$2y$+9$", false),
            ("$2x$10$", false),
            ("$2$10$", false),
            ("$1y$10$", false),
            ("2y$10$", false),
            (" $2y$10$", false),
            ("$2y$10", false),
            ("", false),
        ] {
            assert_eq!(is_hash(&format!("{prefix}{body}")), expected, "{prefix}");
        }
        for body in [
            "",
            &body[..52],
            &format!("{body}a"),
            &format!("{}-", &body[..52]),
            &format!("{}\u{e9}", &body[..51]),
        ] {
            assert!(!is_hash(&format!("$2y$10${body}")), "{body}");
        }
        assert!(!is_hash("doe"));
    }
}
