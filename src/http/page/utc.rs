//! A moment, as a `<time>` has it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A second of UTC, in the Gregorian calendar. Its [`Display`](fmt::Display) is a global date and time (HTML standard,
/// section 2.3.5.7); the alternate one, `{:#}`, is for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Utc {
    seconds: u64,
}

impl Utc {
    /// A clock that stands before 1970 knows nothing better than that.
    pub(super) fn now() -> Self {
        Utc::after_the_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    fn after_the_epoch(time: Duration) -> Self {
        Utc { seconds: time.as_secs() }
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.seconds / 86_400, self.seconds % 86_400);
        let (year, month, day) = date(days);
        let (between, end) = if f.alternate() { (' ', " UTC") } else { ('T', "Z") };
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{end}")
    }
}

/// Year, month and day, so many days after 1 January 1970. Years are counted from 1 March, so that a leap day is the last of
/// its year, and by periods of 400, which are all alike (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    const PERIOD: u64 = 146_097;
    // From 1 March of the year 0.
    let days = days + 719_468;
    let day = days % PERIOD;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (days / PERIOD * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As GNU `date -u -d @… +%FT%TZ` has them.
    #[test]
    fn moments() {
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
        ];
        for (seconds, text) in table {
            let utc = Utc::after_the_epoch(Duration::from_secs(seconds));
            assert_eq!(utc.to_string(), text, "{seconds}");
            assert_eq!(format!("{utc:#}"), text.replace('T', " ").replace('Z', " UTC"), "{seconds}");
        }
    }
}
