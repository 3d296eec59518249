//! `Accept-Encoding` (RFC 9110, section 12.5.3).

use std::cmp::Reverse;

use super::element::{Weight, elements};
use crate::exposition::compress::Coding;

/// Chooses the coding of a body from the values of `Accept-Encoding`, one per line.
///
/// `compressed` are the enabled codings besides identity, the cheapest first. The highest weight wins. Among equal
/// weights a named coding wins, then identity, then a coding that only `*` allows. Among those, the first of
/// `compressed` wins.
///
/// No header, an empty one, and one that allows no known coding give identity: "the origin server SHOULD send a
/// response without any content coding". Section 12.5.3 excepts an excluded identity. This function does not, because
/// a server may disregard the header, and a body that the client may refuse is more useful than an error.
pub fn accept_encoding<'a>(lines: impl IntoIterator<Item = &'a [u8]>, compressed: &[Coding]) -> Coding {
    let mut named = Coding::ALL.map(|coding| (coding, None::<Weight>));
    let mut any = None::<Weight>;
    for element in elements(lines) {
        let listed = if element.is("*") {
            Some(&mut any)
        } else {
            named
                .iter_mut()
                .find(|(coding, _)| coding.names().iter().any(|name| element.is(name)))
                .map(|(_, weight)| weight)
        };
        if let Some(weight) = listed {
            *weight = (*weight).max(Some(element.weight()));
        }
    }

    let standing = |coding: Coding| {
        let name = named.iter().find_map(|&(listed, weight)| weight.filter(|_| listed == coding));
        // "*" "matches any available content coding not explicitly listed".
        let weight = name.or(any)?;
        let preference = match (coding, name) {
            (Coding::Identity, _) => 1,
            (_, Some(_)) => 2,
            (_, None) => 0,
        };
        (weight > 0).then_some((coding, (weight, preference)))
    };
    let acceptable = compressed.iter().copied().chain([Coding::Identity]).filter_map(standing);
    // `min_by_key` returns the first of the best. Identity is acceptable too if it is not mentioned, but then has no
    // weight.
    acceptable.min_by_key(|&(_, standing)| Reverse(standing)).map_or(Coding::Identity, |(coding, _)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: &[Coding] = &[];
    const GZIP: &[Coding] = &[Coding::Gzip];
    const ZSTD: &[Coding] = &[Coding::Zstd];
    const BOTH: &[Coding] = &[Coding::Zstd, Coding::Gzip];

    #[test]
    fn chooses_codings() {
        use Coding::{Gzip, Identity, Zstd};
        let rows: [(&[&str], &[Coding], Coding); 46] = [
            // No header.
            (&[], BOTH, Identity),
            (&[""], BOTH, Identity),
            (&[" , "], BOTH, Identity),
            // Prometheus, with compression on and off.
            (&["gzip"], BOTH, Gzip),
            (&["gzip"], ZSTD, Identity),
            (&["gzip"], NONE, Identity),
            (&["identity"], BOTH, Identity),
            // Browsers, curl --compressed, Python's requests, Go's transport, Grafana Alloy.
            (&["gzip, deflate, br, zstd"], BOTH, Zstd),
            (&["gzip, deflate, br, zstd"], GZIP, Gzip),
            (&["gzip, deflate, br, zstd"], NONE, Identity),
            (&["deflate, gzip, br, zstd"], &[Gzip, Zstd], Gzip),
            (&["gzip, deflate"], BOTH, Gzip),
            (&["zstd;q=1, gzip;q=0.5"], GZIP, Gzip),
            // Names are case-insensitive, and gzip has two.
            (&["GZip"], BOTH, Gzip),
            (&["x-gzip"], BOTH, Gzip),
            (&["X-GZIP;q=0.5"], BOTH, Gzip),
            (&["gzip;q=0, x-gzip;q=0"], BOTH, Identity),
            (&["gzipped, azstd, *gzip"], BOTH, Identity),
            // Several lines are one list.
            (&["br", "gzip"], BOTH, Gzip),
            (&["gzip;q=0.5", "zstd;q=0.4"], BOTH, Gzip),
            // Weights.
            (&["gzip;q=0.5, zstd;q=0.4"], BOTH, Gzip),
            (&["gzip;q=0.4, zstd;q=0.5"], BOTH, Zstd),
            (&["gzip;q=0.5, zstd;q=0.5"], BOTH, Zstd),
            (&["gzip;q=0.001"], BOTH, Gzip),
            (&["gzip;q=0"], BOTH, Identity),
            (&["gzip;q=0, zstd"], GZIP, Identity),
            (&["identity, gzip"], BOTH, Gzip),
            (&["identity;q=0.5, gzip;q=0.5"], BOTH, Gzip),
            (&["identity;q=0.6, gzip;q=0.5"], BOTH, Identity),
            (&["identity, gzip;q=0.999"], BOTH, Identity),
            // The wildcard. The first three rows are RFC 9110's examples.
            (&["*"], BOTH, Identity),
            (&["gzip;q=1.0, identity; q=0.5, *;q=0"], BOTH, Gzip),
            (&["gzip;q=0.5, zstd;q=1.0"], GZIP, Gzip),
            (&["*;q=0.5"], BOTH, Identity),
            (&["gzip, *"], BOTH, Gzip),
            (&["gzip;q=0.5, *"], BOTH, Identity),
            (&["gzip;q=0, *"], BOTH, Identity),
            (&["identity;q=0.1, *;q=0.5"], BOTH, Zstd),
            (&["identity;q=0, *"], GZIP, Gzip),
            (&["*;q=0"], BOTH, Identity),
            (&["*;q=0, gzip"], BOTH, Gzip),
            // Everything is refused: identity, and no 406.
            (&["identity;q=0"], BOTH, Identity),
            (&["identity;q=0, *;q=0"], BOTH, Identity),
            (&["identity;q=0, br"], BOTH, Identity),
            // Unreadable weights: the coding is listed, so it is acceptable, but after all others.
            (&["gzip;q=2"], BOTH, Gzip),
            (&["gzip;q=high, zstd;q=0.1"], BOTH, Zstd),
        ];
        for (lines, compressed, expected) in rows {
            let found = accept_encoding(lines.iter().map(|line| line.as_bytes()), compressed);
            assert_eq!(found, expected, "{lines:?} of {compressed:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_known_coding(lines: Vec<Vec<u8>>) {
            let found = accept_encoding(lines.iter().map(Vec::as_slice), GZIP);
            prop_assert!(found != Coding::Zstd);
        }

        #[test]
        fn chooses_like_a_naive_parser(
            listed in prop::collection::vec(
                (prop::sample::select(vec!["gzip", "zstd", "identity", "*", "br"]), 0..=5u16), 0..6),
        ) {
            let header: Vec<_> =
                listed.iter().map(|(name, tenths)| format!("{name} ; q=0.{tenths}")).collect();
            let found = accept_encoding([header.join(", ").as_bytes()], BOTH);
            let heaviest = |name| listed.iter().filter(|(n, _)| *n == name).map(|(_, tenths)| *tenths).max();
            // From the least to the most preferred among equal weights.
            let mut best = (0, Coding::Identity);
            for (coding, name) in [(Coding::Gzip, "gzip"), (Coding::Zstd, "zstd")] {
                if heaviest(name).is_none() && heaviest("*").unwrap_or(0) >= best.0.max(1) {
                    best = (heaviest("*").unwrap(), coding);
                }
            }
            let identity = heaviest("identity").or(heaviest("*")).unwrap_or(0);
            if identity >= best.0 {
                best = (identity, Coding::Identity);
            }
            for (coding, name) in [(Coding::Gzip, "gzip"), (Coding::Zstd, "zstd")] {
                if heaviest(name).unwrap_or(0) >= best.0.max(1) {
                    best = (heaviest(name).unwrap(), coding);
                }
            }
            prop_assert_eq!(found, best.1, "{:?}", header);
        }
    }
}
