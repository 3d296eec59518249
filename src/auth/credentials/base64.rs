//! base64 as RFC 4648 has it and as bcrypt has it: for two short strings a crate would be more than its use.

const STANDARD: [u8; 256] = values(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const BCRYPT: [u8; 256] = values(b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

/// What stands for none of 64 values.
const NONE: u8 = u8::MAX;

/// What to do with the bits of the last character that belong to no byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Zero,
    Any,
}

/// With padding, and in the one form that an encoder gives.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
        return None;
    }
    let unpadded = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    decode_unpadded(&STANDARD, unpadded, Rest::Zero)
}

/// bcrypt's, which has an alphabet of its own and no padding.
pub(super) fn decode_bcrypt(text: &[u8], rest: Rest) -> Option<Vec<u8>> {
    decode_unpadded(&BCRYPT, text, rest)
}

/// The value of each character.
const fn values(alphabet: &[u8; 64]) -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    values
}

fn decode_unpadded(values: &[u8; 256], text: &[u8], rest: Rest) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut width) = (0_u32, 0);
    for character in text {
        let value = values[usize::from(*character)];
        if value == NONE {
            return None;
        }
        bits = (bits << 6) | u32::from(value);
        width += 6;
        if width >= 8 {
            width -= 8;
            bytes.extend((bits >> width).to_be_bytes().last());
            bits &= (1 << width) - 1;
        }
    }
    // Six bits are a character too few, or one too many.
    (width < 6 && (bits == 0 || rest == Rest::Any)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use ::base64::Engine;
    use ::base64::engine::general_purpose;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        let table: &[(&str, Option<&str>)] = &[
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg==", Some("foob")),
            ("Zm9vYmE=", Some("fooba")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zg", None),
            ("Zg=", None),
            ("Zg===", None),
            ("Zh==", None),
            ("Zm9=", None),
            ("Z===", None),
            ("====", None),
            ("=", None),
            ("Zg==Zg==", None),
            ("Zm9v\n", None),
            ("Zm-_", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text.as_bytes()), expected.map(|text| text.as_bytes().to_vec()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn as_the_crate_decodes(bytes: Vec<u8>, text in "[A-Za-z0-9+/=]{0,12}") {
            prop_assert_eq!(decode(general_purpose::STANDARD.encode(&bytes).as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(decode(text.as_bytes()), general_purpose::STANDARD.decode(&text).ok());
            let text = bcrypt::BASE_64.encode(&bytes);
            prop_assert_eq!(decode_bcrypt(text.as_bytes(), Rest::Zero), Some(bytes));
        }
    }
}
