//! How long a scrape may take: what the scraper says, within what the server allows.

use std::time::{Duration, Instant};

use http::HeaderName;
use http::request::Parts;

/// How long a scrape may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScrapeTimeouts {
    /// For a scraper that does not say how long it waits.
    pub(crate) default: Duration,
    /// At the most.
    pub(crate) max: Duration,
    /// What is taken off a scraper's own timeout for the way, but never more than a fifth of it.
    pub(crate) margin: Duration,
}

impl ScrapeTimeouts {
    /// What is left to a scrape: the scraper's own timeout less the margin, else the default.
    pub(super) fn of(&self, head: &Parts) -> Duration {
        // As Prometheus says it (`scrape/scrape.go`): seconds, a decimal.
        const TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
        let seconds =
            head.headers.get(TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
        let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0) else {
            return self.default.min(self.max);
        };
        self.less_margin(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Returns what is left to a scraper that waits for the default timeout.
    pub(crate) fn standard(&self) -> Duration {
        self.less_margin(self.default).min(DECADES)
    }

    fn less_margin(&self, timeout: Duration) -> Duration {
        (timeout - self.margin.min(timeout / 5)).min(self.max)
    }
}

/// As long as any timeout need be, and within what the clock can count.
const DECADES: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// So long from now; for a timeout beyond what the clock can count, such as [`Duration::MAX`], in some decades.
pub(super) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + DECADES)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn what_is_left_to_a_scrape() {
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
        assert_eq!(timeouts.standard(), Duration::from_millis(9_500), "as for a header of 10");
        let endless = ScrapeTimeouts { default: Duration::MAX, max: Duration::MAX, ..timeouts };
        assert_eq!(endless.standard(), DECADES);
    }
}
