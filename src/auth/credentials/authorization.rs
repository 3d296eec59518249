//! The `Authorization` header: `credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]` (RFC 9110, section
//! 11.4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Credentials that a request presents.
#[derive(PartialEq, Eq)]
pub(super) enum Presented<'h> {
    /// None, or unreadable ones.
    Nothing,
    Bearer(&'h [u8]),
    Basic {
        user: String,
        password: String,
    },
}

/// Parses the header's lines. The header is not a list, so several lines count as none.
pub(super) fn read<'h>(mut lines: impl Iterator<Item = &'h [u8]>) -> Presented<'h> {
    match (lines.next(), lines.next()) {
        (Some(line), None) => read_line(line).unwrap_or(Presented::Nothing),
        _ => Presented::Nothing,
    }
}

fn read_line(line: &[u8]) -> Option<Presented<'_>> {
    let (scheme, rest) = line.split_at(line.iter().position(|&byte| byte == b' ')?);
    let token = &rest[rest.iter().position(|&byte| byte != b' ')?..];
    // Schemes are case-insensitive (section 11.1).
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        is_b64token(token).then_some(Presented::Bearer(token))
    } else if scheme.eq_ignore_ascii_case(b"Basic") {
        read_basic(token)
    } else {
        None
    }
}

/// Parses `user-id ":" password`, in base64. The user contains no colon, and neither contains control characters (RFC
/// 7617, section 2). Both are UTF-8, because the challenge asks for it (section 2.1).
fn read_basic(token: &[u8]) -> Option<Presented<'static>> {
    let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    let (user, password) = pair.split_once(':').filter(|_| !pair.chars().any(char::is_control))?;
    Some(Presented::Basic { user: user.to_owned(), password: password.to_owned() })
}

/// Returns whether this is a `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750,
/// section 2.1).
pub(super) fn is_b64token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    end > 0 && token[..end].iter().all(legal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(presented: &Presented<'_>) -> String {
        match presented {
            Presented::Nothing => "nothing".to_owned(),
            Presented::Bearer(token) => format!("bearer {}", String::from_utf8_lossy(token)),
            Presented::Basic { user, password } => format!("basic {user} {password}"),
        }
    }

    #[test]
    fn reads_bearer_and_basic() {
        let table: &[(&[&str], &str)] = &[
            (&[], "nothing"),
            (&[""], "nothing"),
            (&["Bearer abc"], "bearer abc"),
            (&["bEaReR abc"], "bearer abc"),
            (&["Bearer    abc"], "bearer abc"),
            (&["Bearer a-._~+/9=="], "bearer a-._~+/9=="),
            (&["Bearer abc", "Bearer abc"], "nothing"),
            (&["Bearer abc", ""], "nothing"),
            (&["Bearer"], "nothing"),
            (&["Bearer "], "nothing"),
            (&["Bearer =="], "nothing"),
            (&["Bearer a=b"], "nothing"),
            (&["Bearer a b"], "nothing"),
            (&["Bearer a,b"], "nothing"),
            (&["Bearer \tabc"], "nothing"),
            (&["Bearer\tabc"], "nothing"),
            (&["Bearerabc"], "nothing"),
            (&[" Bearer abc"], "nothing"),
            (&["Bearer abc "], "nothing"),
            (&["Digest abc"], "nothing"),
            // RFC 7617, section 2.
            (&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], "basic Aladdin open sesame"),
            (&["BASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], "basic Aladdin open sesame"),
            (&["basic dGVzdDoxMjPCow=="], "basic test 123£"),
            // "a:b:c", ":b", "a:", ":"
            (&["Basic YTpiOmM="], "basic a b:c"),
            (&["Basic OmI="], "basic  b"),
            (&["Basic YTo="], "basic a "),
            (&["Basic Og=="], "basic  "),
            // "ab", "a:b\0", "a:b\n", "a:\xa3"
            (&["Basic YWI="], "nothing"),
            (&["Basic YTpiAA=="], "nothing"),
            (&["Basic YTpiCg=="], "nothing"),
            (&["Basic YTqj"], "nothing"),
            (&["Basic YTpi YTpi"], "nothing"),
            (&["Basic YTpi="], "nothing"),
            (&["Basic Og"], "nothing"),
            (&["Basic"], "nothing"),
            (&["Basic a:b"], "nothing"),
        ];
        for (lines, expected) in table {
            let presented = read(lines.iter().map(|line| line.as_bytes()));
            assert_eq!(shown(&presented), *expected, "{lines:?}");
        }
    }

    /// The input is as large as a request head may be.
    #[test]
    fn parses_junk_in_linear_time() {
        for (start, junk) in
            [("Basic ", "A"), ("Basic ", "="), ("Bearer ", "="), ("Bearer ", " "), ("", " "), ("", "x")]
        {
            let line = format!("{start}{}", junk.repeat(1 << 20));
            let started = std::time::Instant::now();
            let _ = read(std::iter::once(line.as_bytes()));
            // 64 times the largest input: anything worse than linear would take hours.
            assert!(started.elapsed().as_secs() < 30, "{start:?} {junk:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3), scheme in "(Basic|Bearer) {0,2}") {
            let _ = read(lines.iter().map(Vec::as_slice));
            for line in lines {
                let line = [scheme.as_bytes(), &line].concat();
                let _ = read(std::iter::once(line.as_slice()));
            }
        }
    }
}
