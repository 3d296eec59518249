//! The timeout of a scrape: the scraper's own, within the server's limits.

use std::time::{Duration, Instant};

use http::HeaderName;
use http::request::Parts;

/// Timeouts of scrapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScrapeTimeouts {
    /// Timeout for scrapes without an `X-Prometheus-Scrape-Timeout-Seconds` header.
    pub(crate) default: Duration,
    /// Maximum timeout.
    pub(crate) max: Duration,
    /// Subtracted from the scraper's timeout for the network, but at most a fifth of it.
    pub(crate) margin: Duration,
}

impl ScrapeTimeouts {
    /// Returns the time for a scrape: the scraper's timeout less the margin, or the default.
    pub(super) fn of(&self, head: &Parts) -> Duration {
        // Prometheus sends seconds as a decimal (`scrape/scrape.go`).
        const TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
        let seconds =
            head.headers.get(TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
        let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0) else {
            return self.default.min(self.max);
        };
        self.less_margin(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Returns the time for a scraper that uses the default timeout.
    pub(crate) fn standard(&self) -> Duration {
        self.less_margin(self.default).min(DECADES)
    }

    fn less_margin(&self, timeout: Duration) -> Duration {
        (timeout - self.margin.min(timeout / 5)).min(self.max)
    }
}

/// Longer than any useful timeout, and within the range of the clock.
const DECADES: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Returns the deadline after this timeout. A timeout beyond the clock's range, such as [`Duration::MAX`], ends in
/// some decades.
pub(super) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + DECADES)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn subtracts_the_margin_within_the_limits() {
        let timeouts = ScrapeTimeouts {
            default: Duration::from_secs(10),
            max: Duration::from_secs(120),
            margin: Duration::from_millis(500),
        };
        let table: &[(&str, f64)] = &[
            ("10", 9.5),
            ("1.5", 1.2),
            ("2.000", 1.6),
            ("2.5", 2.0),
            ("0.1", 0.08),
            (" 5 ", 4.5),
            ("120", 119.5),
            ("1000", 120.0),
            ("1e300", 120.0),
            ("0", 10.0),
            ("-1", 10.0),
            ("", 10.0),
            ("NaN", 10.0),
            ("inf", 10.0),
            ("-inf", 10.0),
            ("10s", 10.0),
            ("1,5", 10.0),
            ("ten", 10.0),
        ];
        for (value, seconds) in table {
            let request = http::Request::builder().header("X-Prometheus-Scrape-Timeout-Seconds", *value);
            let (head, ()) = request.body(()).unwrap().into_parts();
            let left = timeouts.of(&head).as_secs_f64();
            assert!((left - seconds).abs() < 1e-6, "{value:?}: {left} instead of {seconds}");
        }
        let (head, ()) = http::Request::new(()).into_parts();
        assert_eq!(timeouts.of(&head), timeouts.default);
        assert_eq!(timeouts.standard(), Duration::from_millis(9_500), "same as for a header of 10");
        let endless = ScrapeTimeouts { default: Duration::MAX, max: Duration::MAX, ..timeouts };
        assert_eq!(endless.standard(), DECADES);
    }
}
