//! Selections in the query string of a request.

use std::borrow::Cow;
use std::fmt;

use crate::exposition::encode::{FORMATS, Format};
use crate::exposition::filter::Names;
use crate::scrape::probe::Parameters;

/// The selection in a query string. Equal selections are equal values, however they were written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// `name[]`: the requested families.
    pub names: Names,
    /// `registry[]`: the registries to gather, sorted and without duplicates. Empty: all of them.
    pub registries: Vec<String>,
    /// `format`: the format of the response. It is meant for people with a browser. Its media type is plain text if `Accept` does
    /// not name it. An error if the format is unknown. A probe may have a parameter of this name with other values.
    pub format: Result<Option<&'static Format>, UnknownFormat>,
}

/// The value of `format` is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnknownFormat;

/// Reason why a query string is rejected. Contains none of the client's text, because a browser may show the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// A `%` that is not followed by two hexadecimal digits.
    MalformedEscape,
    /// Bytes that are not UTF-8 once decoded.
    NotUtf8,
    /// More than [`Query::MAX_SELECTORS`] selectors.
    TooMany,
}

impl Query {
    /// Maximum number of `name[]` and `registry[]` parameters in one query, taken together.
    pub const MAX_SELECTORS: usize = 1024;

    /// Parses a query string, without its `?`, as `application/x-www-form-urlencoded`
    /// (<https://url.spec.whatwg.org/#urlencoded-parsing>). Time is linear in its length, except for sorting.
    ///
    /// `name[]` and `registry[]` may be repeated and must be well-formed. Of several `format`s, the first known one
    /// counts. All other parameters are ignored, malformed or not: Prometheus sends the `params` of its configuration
    /// to every target.
    pub fn parse(query: &str) -> Result<Query, QueryError> {
        let mut names = Vec::new();
        let mut registries = Vec::new();
        let mut format = Ok(None);
        for parameter in query.split('&') {
            // "If bytes contains a 0x3D (=), then let name be the bytes ... before its first occurrence ...;
            // otherwise let name have the value of bytes and let value be the empty byte sequence."
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let selectors = match decode(key).as_deref() {
                Ok("name[]") => &mut names,
                Ok("registry[]") => &mut registries,
                Ok("format") => {
                    format = match format {
                        Ok(Some(_)) => format,
                        _ => named_format(value),
                    };
                    continue;
                }
                _ => continue,
            };
            selectors.push(decode(value)?.into_owned());
            if names.len() + registries.len() > Self::MAX_SELECTORS {
                return Err(QueryError::TooMany);
            }
        }
        registries.sort_unstable();
        registries.dedup();
        Ok(Query { names: Names::new(names), registries, format })
    }
}

/// Parses the parameters of a probe. Unlike in [`Query::parse`], the whole query must be well-formed, because a probe
/// with half of its parameters is another probe.
pub(crate) fn parameters(query: &str) -> Result<Parameters, QueryError> {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        Ok((decode(name)?.into_owned(), decode(value)?.into_owned()))
    });
    parameters.collect()
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::MalformedEscape => {
                f.write_str("400: malformed query. A % must be followed by two hexadecimal digits.")
            }
            QueryError::NotUtf8 => {
                f.write_str("400: the query is not UTF-8. Percent-encode names and values as UTF-8.")
            }
            QueryError::TooMany => {
                let most = Query::MAX_SELECTORS;
                write!(
                    f,
                    "400: more than {most} name[] and registry[] in the query. Use fewer, or none to get all metrics."
                )
            }
        }
    }
}

impl std::error::Error for QueryError {}

fn named_format(value: &str) -> Result<Option<&'static Format>, UnknownFormat> {
    let value = decode(value).map_err(|_| UnknownFormat)?;
    let named = FORMATS.iter().find(|format| format.query_name == Some(&value));
    Ok(Some(*named.ok_or(UnknownFormat)?))
}

/// Decodes a key or a value: `+` is a blank, `%` and two hexadecimal digits are a byte.
///
/// WHATWG keeps a malformed `%`. In a name it is more likely a mistake, and a mistake must not give an empty
/// exposition.
fn decode(encoded: &str) -> Result<Cow<'_, str>, QueryError> {
    if !encoded.contains(['+', '%']) {
        return Ok(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let high = digit().ok_or(QueryError::MalformedEscape)?;
                let low = digit().ok_or(QueryError::MalformedEscape)?;
                high << 4 | low
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| QueryError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::encode::{OPENMETRICS_100, TEXT_004};
    use proptest::prelude::*;

    const HISTOGRAM: &[&str] = &["_bucket", "_sum", "_count"];

    fn query(names: &[&str], registries: &[&str], format: Option<&'static Format>) -> Query {
        let owned = |values: &[&str]| values.iter().map(|value| value.to_string()).collect();
        Query { names: Names::new(owned(names)), registries: owned(registries), format: Ok(format) }
    }

    fn unknown_format() -> Query {
        Query { format: Err(UnknownFormat), ..query(&[], &[], None) }
    }

    #[test]
    fn parses_selections() {
        let rows = [
            ("", Ok(query(&[], &[], None))),
            ("&&=&", Ok(query(&[], &[], None))),
            // Keys as people, curl and HTTP libraries write them.
            ("name[]=up", Ok(query(&["up"], &[], None))),
            ("name%5B%5D=up", Ok(query(&["up"], &[], None))),
            ("name%5b]=up", Ok(query(&["up"], &[], None))),
            ("%6eame[]=up", Ok(query(&["up"], &[], None))),
            // Repeated, in any order, more than once.
            ("name[]=b&name[]=a&name[]=b", Ok(query(&["a", "b"], &[], None))),
            ("registry[]=b&name[]=x&registry[]=a", Ok(query(&["x"], &["a", "b"], None))),
            // Values.
            ("name[]=a%20b+c%2Bd%26e=f", Ok(query(&["a b c+d&e=f"], &[], None))),
            ("name[]=%e6%B8%A9", Ok(query(&["温"], &[], None))),
            ("name[]=温", Ok(query(&["温"], &[], None))),
            ("name[]=%00", Ok(query(&["\0"], &[], None))),
            // An empty value is a name too, which no family has.
            ("name[]=", Ok(query(&[""], &[], None))),
            ("name[]", Ok(query(&[""], &[], None))),
            // Other keys are ignored.
            ("name=up&names[]=up&name[0]=up&NAME[]=up&[]=up", Ok(query(&[], &[], None))),
            ("x=%zz&%zz=x&name[]%=x&%ff=x&x=%ff", Ok(query(&[], &[], None))),
            ("%zzname[]=%zz", Ok(query(&[], &[], None))),
            // Formats.
            ("format=text", Ok(query(&[], &[], Some(&TEXT_004)))),
            ("format=openmetrics", Ok(query(&[], &[], Some(&OPENMETRICS_100)))),
            ("form%61t=open%6detrics", Ok(query(&[], &[], Some(&OPENMETRICS_100)))),
            ("format=%zz&format=%ff&format=text&format=openmetrics", Ok(query(&[], &[], Some(&TEXT_004)))),
            ("format=text&format=json", Ok(query(&[], &[], Some(&TEXT_004)))),
            ("format=json", Ok(unknown_format())),
            ("format=protobuf", Ok(unknown_format())),
            ("format=&format", Ok(unknown_format())),
            ("format=%zz", Ok(unknown_format())),
            // Malformed.
            ("name[]=%", Err(QueryError::MalformedEscape)),
            ("name[]=%4", Err(QueryError::MalformedEscape)),
            ("name[]=%4&a", Err(QueryError::MalformedEscape)),
            ("name[]=%zz", Err(QueryError::MalformedEscape)),
            ("name[]=%+4", Err(QueryError::MalformedEscape)),
            ("name[]=%温", Err(QueryError::MalformedEscape)),
            ("registry[]=ok&registry%5B%5D=%4g", Err(QueryError::MalformedEscape)),
            ("name[]=%ff", Err(QueryError::NotUtf8)),
            ("name[]=%ed%a0%80", Err(QueryError::NotUtf8)),
            ("registry[]=%C3", Err(QueryError::NotUtf8)),
        ];
        for (text, expected) in rows {
            assert_eq!(Query::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn the_limit_counts_both_selectors_and_repetitions() {
        let most = ["name[]=a", "registry[]=a"].repeat(Query::MAX_SELECTORS / 2).join("&");
        assert_eq!(Query::parse(&most), Ok(query(&["a"], &["a"], None)));
        assert_eq!(Query::parse(&format!("{most}&x=y&formats=z")), Ok(query(&["a"], &["a"], None)));
        assert_eq!(Query::parse(&format!("{most}&name[]=a")), Err(QueryError::TooMany));
        assert_eq!(Query::parse(&format!("{most}&registry[]")), Err(QueryError::TooMany));
    }

    #[test]
    fn selects_families_by_name() {
        let rows: [(&str, &str, &[&str], bool); 13] = [
            ("", "x", HISTOGRAM, true),
            ("name[]=x", "x", HISTOGRAM, true),
            ("name[]=x_bucket", "x", HISTOGRAM, true),
            ("name[]=x_sum", "x", HISTOGRAM, true),
            ("name[]=a&name[]=x_count&name[]=z", "x", HISTOGRAM, true),
            ("name[]=x_count", "x", &["_sum"], false),
            ("name[]=x_count", "x", &[], false),
            ("name[]=x_count", "x_count", &[], true),
            ("name[]=x", "x_count", &[], false),
            ("name[]=x_", "x", HISTOGRAM, false),
            ("name[]=X", "x", HISTOGRAM, false),
            ("name[]=", "x", HISTOGRAM, false),
            ("name[]=_sum", "x", HISTOGRAM, false),
        ];
        for (text, family, suffixes, expected) in rows {
            let names = Query::parse(text).unwrap().names;
            assert_eq!(names.want(family, suffixes), expected, "{text}: {family} {suffixes:?}");
        }
    }

    #[test]
    fn errors_name_the_fault() {
        let errors = [QueryError::MalformedEscape, QueryError::NotUtf8, QueryError::TooMany];
        for sentence in errors.map(|error| error.to_string()) {
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
        }
        assert!(QueryError::TooMany.to_string().contains(" 1024 "));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text: String) {
            let _ = Query::parse(&text);
        }

        #[test]
        fn junk_of_the_grammar_never_panics(
            text in "(name\\[\\]=|registry%5B%5D=|format=|[&=+%]|[0-9a-f]|.){0,60}",
        ) {
            let _ = Query::parse(&text);
        }

        #[test]
        fn reads_escaped_names(names in prop::collection::btree_set(".{0,8}", 0..5)) {
            let escaped = names.iter().rev().map(|name| {
                let value: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
                format!("name%5B%5D={value}")
            });
            let text = escaped.collect::<Vec<_>>().join("&");
            prop_assert_eq!(Query::parse(&text).unwrap().names, Names::new(names.into_iter().collect()));
        }

        #[test]
        fn selects_like_a_naive_search(
            names in prop::collection::vec("[ab_]{0,4}", 0..6),
            family in "[ab_]{0,3}",
        ) {
            let text = names.iter().map(|name| format!("name[]={name}")).collect::<Vec<_>>().join("&");
            let expected = names.is_empty()
                || ["", "_a", "b"].iter().any(|suffix| names.contains(&format!("{family}{suffix}")));
            prop_assert_eq!(Query::parse(&text).unwrap().names.want(&family, &["_a", "b"]), expected);
        }
    }
}
