//! Formats a time as a date and a time of day in UTC.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last second of the year 9999. `httpdate` panics after it, and before 1970.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Returns the date, `2024-02-29`, and the time of day, `23:59:59`.
pub(super) fn utc(time: SystemTime) -> (String, String) {
    // `Sun, 06 Nov 1994 08:49:37 GMT` always has the same length (RFC 9110, section 5.6.7).
    let text = httpdate::fmt_http_date(time.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST));
    let month = MONTHS.iter().take_while(|month| **month != &text[8..11]).count() + 1;
    (format!("{}-{month:02}-{}", &text[12..16], &text[5..7]), text[17..25].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has the output of GNU `date -u -d @… +%FT%TZ`.
    #[test]
    fn utc_returns_the_gregorian_date_and_time() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (978_307_199, "2000-12-31T23:59:59Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_569_465_600, "2400-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in table {
            let (date, time) = utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(format!("{date}T{time}Z"), text, "{seconds}");
        }
        let before = utc(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before, ("1970-01-01".to_owned(), "00:00:00".to_owned()));
    }
}
