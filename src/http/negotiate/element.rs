//! One element of an `Accept` or `Accept-Encoding` list: `name;parameter=value;q=0.5`.

/// A weight in thousandths: `0` excludes, `1000` is the default (RFC 9110, section 12.4.2).
pub(super) type Weight = u16;

const DEFAULT_WEIGHT: Weight = 1000;

/// The weight of an element with an unreadable one (`q=2` in Prometheus 2.49.0). The element is listed, so it is
/// acceptable, but it comes after all readable weights.
///
/// RFC 9110 lets a recipient recover from malformed input (section 2.4). goautoneg, which Prometheus' own client
/// library uses for `Accept`, puts such elements last too. Ignoring the element would exclude a format that the
/// client can read. Weight 1 would let the `*/*;q=2` of 2.49.0 win over the format that it names.
const UNREADABLE_WEIGHT: Weight = 1;

/// An element of a list, as slices of the header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    name: &'a [u8],
    parameters: &'a [u8],
}

/// The value of a parameter: a token or a quoted string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a>(&'a [u8]);

/// Returns the elements of all lines of one header.
///
/// Several lines are one list (RFC 9110, section 5.3), and empty elements are ignored (section 5.6.1). An unclosed
/// quote ends with its line, so that it cannot affect other lines.
pub(super) fn elements<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Element<'a>> {
    lines
        .into_iter()
        .flat_map(|line| split(line, b','))
        .map(Element::new)
        .filter(|element| !element.name.is_empty())
}

impl<'a> Element<'a> {
    fn new(element: &'a [u8]) -> Self {
        let (name, parameters) = cut(element, b';');
        Element { name: name.trim_ascii(), parameters: parameters.unwrap_or_default() }
    }

    /// Returns whether the element has this name. Names are case-insensitive, both of media types (RFC 9110, section
    /// 8.3.1) and of content codings (section 8.4.1).
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns the parameter with this name, which is case-insensitive (RFC 9110, section 5.6.6). Prometheus 3.0 to
    /// 3.2 send `escaping` twice. The last one counts, as in `expfmt`.
    pub(super) fn parameter(&self, name: &str) -> Option<Value<'a>> {
        let named = |(found, _): &(&[u8], Value<'_>)| found.eq_ignore_ascii_case(name.as_bytes());
        all_parameters(self.parameters).filter(named).last().map(|(_, value)| value)
    }

    /// Returns the weight. A `q` counts at any position: "Recipients SHOULD process any parameter named "q" as
    /// weight, regardless of parameter ordering." (RFC 9110, section 12.5.1)
    pub(super) fn weight(&self) -> Weight {
        self.parameter("q")
            .map_or(DEFAULT_WEIGHT, |Value(value)| read_weight(value).unwrap_or(UNREADABLE_WEIGHT))
    }
}

impl Value<'_> {
    /// Returns whether this is the value, which is case-sensitive. A quoted string equals the token in it (RFC 9110,
    /// section 5.6.6). A backslash in it quotes the next byte (section 5.6.4).
    pub(super) fn is(self, value: &str) -> bool {
        let Some(quoted) = self.0.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
            return self.0 == value.as_bytes();
        };
        let mut bytes = quoted.iter().copied();
        let unquoted = std::iter::from_fn(|| match bytes.next() {
            Some(b'\\') => bytes.next(),
            byte => byte,
        });
        unquoted.eq(value.bytes())
    }
}

/// Parses `parameters = *( OWS ";" OWS [ parameter ] )` (RFC 9110, section 5.6.6). A part without `=` is ignored.
/// Blanks around `=` are forbidden there and accepted here.
fn all_parameters(parameters: &[u8]) -> impl Iterator<Item = (&[u8], Value<'_>)> {
    split(parameters, b';').filter_map(|parameter| {
        let (name, value) = cut(parameter, b'=');
        Some((name.trim_ascii(), Value(value?.trim_ascii())))
    })
}

/// Parses `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` (RFC 9110, section 12.4.2). Decimals after
/// the third are cut off, because some clients print floats.
fn read_weight(value: &[u8]) -> Option<Weight> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] => (whole, decimals),
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        _ => return None,
    };
    if !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::iter::once(whole).chain(decimals).chain(std::iter::repeat(&b'0')).take(4);
    let weight = digits.fold(0, |weight, digit| weight * 10 + Weight::from(digit - b'0'));
    (weight <= DEFAULT_WEIGHT).then_some(weight)
}

/// Splits at separators outside quoted strings.
fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let (piece, after) = cut(rest?, separator);
        rest = after;
        Some(piece)
    })
}

/// Splits at the first separator outside a quoted string, if there is one.
fn cut(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    let end = bytes.iter().position(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            byte => return byte == separator && !quoted,
        }
        false
    });
    match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_weights() {
        let rows = [
            ("gzip", 1000),
            ("gzip;q=1", 1000),
            ("gzip;q=1.", 1000),
            ("gzip;q=1.000", 1000),
            ("gzip;q=0", 0),
            ("gzip;q=0.", 0),
            ("gzip;q=0.000", 0),
            ("gzip;q=0.5", 500),
            ("gzip;q=0.25", 250),
            ("gzip;q=0.001", 1),
            ("gzip ;\tQ=0.5\t; x", 500),
            ("gzip;q = 0.5", 500),
            ("gzip;;q=0.5;", 500),
            ("gzip;x=\"a;q=0.1\";q=0.5", 500),
            ("gzip;q=0.5;x=y", 500),
            // No qvalues, but unambiguous.
            ("gzip;q=0.30000000000000004", 300),
            ("gzip;q=0.0000", 0),
            // No qvalues, and unreadable.
            ("gzip;q=2", UNREADABLE_WEIGHT),
            ("gzip;q=1.001", UNREADABLE_WEIGHT),
            ("gzip;q=.5", UNREADABLE_WEIGHT),
            ("gzip;q=-1", UNREADABLE_WEIGHT),
            ("gzip;q=0,5", 0), // two elements: `gzip;q=0` and `5`
            ("gzip;q=1e0", UNREADABLE_WEIGHT),
            ("gzip;q=00.5", UNREADABLE_WEIGHT),
            ("gzip;q=NaN", UNREADABLE_WEIGHT),
            ("gzip;q=\"0.5\"", UNREADABLE_WEIGHT),
            ("gzip;q=", UNREADABLE_WEIGHT),
            // `q` without `=` is no parameter.
            ("gzip;q", 1000),
            ("gzip;q=0.1;q=0.2", 200),
        ];
        for (header, expected) in rows {
            let element = elements([header.as_bytes()]).next().expect(header);
            assert!(element.is("GZIP"), "{header}");
            assert_eq!(element.weight(), expected, "{header}");
        }
    }

    #[test]
    fn reads_names_and_quoted_strings() {
        let rows: [(&[&str], &[&str]); 8] = [
            (&[], &[]),
            (&["", " , ,\t"], &[]),
            (&["a,b", " c "], &["a", "b", "c"]),
            (&["a;x=\"1,2\",b"], &["a", "b"]),
            (&["a;x=\"1\\\",2\",b"], &["a", "b"]),
            (&["a;x=\"1\\\\\",b"], &["a", "b"]),
            (&["a;x=\"never closed, b", "c"], &["a", "c"]),
            (&["a\\,b"], &["a\\", "b"]),
        ];
        for (lines, expected) in rows {
            let found: Vec<_> = elements(lines.iter().map(|line| line.as_bytes()))
                .map(|element| String::from_utf8_lossy(element.name).into_owned())
                .collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn compares_values() {
        let rows = [
            ("1.0.0", true),
            ("\"1.0.0\"", true),
            ("\"1\\.0.\\0\"", true),
            ("1\\.0.0", false),
            ("\"1.0.0", false),
            ("1.0.0\"", false),
            ("\"", false),
            ("", false),
            ("1.0.00", false),
        ];
        for (value, expected) in rows {
            assert_eq!(Value(value.as_bytes()).is("1.0.0"), expected, "{value}");
        }
    }
}
