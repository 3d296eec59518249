//! Reserved paths, and validation of the paths for metrics and probes.

use http::uri::PathAndQuery;

pub(super) const HEALTHY_PATH: &str = "/-/healthy";
pub(super) const READY_PATH: &str = "/-/ready";

/// Fault of a path that is not [valid](path_is_valid).
pub(crate) const INVALID_PATH: &str = "must be an absolute path such as /metrics, percent-encoded, without a query, and not /-/healthy or /-/ready";

/// Returns whether metrics or probes may use this path. It must be absolute, as in a request line, and not reserved.
/// The page links it, and a browser reads a link with two slashes as another host. Browsers treat a backslash as a
/// slash (URL standard, section 4.4).
pub(crate) fn path_is_valid(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.is_ascii()
        && ![HEALTHY_PATH, READY_PATH].contains(&path)
        && path.parse::<PathAndQuery>().is_ok_and(|parsed| parsed.path() == path && parsed.query().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validates_metrics_paths() {
        let table: &[(&str, bool)] = &[
            ("/metrics", true),
            ("/", true),
            ("/a/b.c/-/~x", true),
            ("/%C3%BC", true),
            ("", false),
            ("metrics", false),
            ("*", false),
            ("/metrics?x", false),
            ("/metrics?", false),
            ("/metrics#x", false),
            ("/m\u{fc}trics", false),
            ("/me trics", false),
            ("/me\ntrics", false),
            ("http://host/metrics", false),
            ("//host/metrics", false),
            ("/\\host/metrics", false),
            ("/a//b", true),
            (HEALTHY_PATH, false),
            (READY_PATH, false),
        ];
        for (path, valid) in table {
            assert_eq!(path_is_valid(path), *valid, "{path:?}");
        }
    }
}
